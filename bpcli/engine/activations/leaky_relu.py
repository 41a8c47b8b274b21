"""a = z where z > 0, else slope z; da/dz = 1 or slope."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.fields import Between, check_fields
from bpcli.engine.registry import activations


@activations.register("leaky_relu", elsewhere="lrelu prelu")
@dataclass(frozen=True, kw_only=True)
class LeakyReLU:
    """a = max(z, slope z): a unit that is never quite dead. At the kink, z = 0, the derivative is taken as the slope.

    slope: 0.01 as in Maas et al. 2013 and PyTorch; Keras has 0.3 (`negative_slope`), TensorFlow 0.2. A slope that is
    learned is a layer, `prelu`.
    """

    slope: Annotated[float, Between(0, 1)] = 0.01

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "he_uniform"

    def __post_init__(self) -> None:
        check_fields(self)

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.multiply(z, self.slope, out=scratch.full)
        np.maximum(z, scratch.full, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.greater(a, 0.0, out=scratch.full)  # a and z have the same sign
        np.maximum(scratch.full, self.slope, out=scratch.full)
        np.multiply(da, scratch.full, out=da)
