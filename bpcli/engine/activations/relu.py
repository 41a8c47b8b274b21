"""a = max(z, 0); da/dz = 1 where z > 0, else 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations


@activations.register("relu", elsewhere="poslin rectifier relu6")
@dataclass(frozen=True, kw_only=True)
class ReLU:
    """a = max(z, 0): the rectified linear unit. At the kink, z = 0, the derivative is taken as 0."""

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "he_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.maximum(z, scratch.zeros, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.greater(a, 0.0, out=scratch.mask)  # a > 0 just where z > 0
        np.copyto(scratch.full, scratch.mask)
        np.multiply(da, scratch.full, out=da)
