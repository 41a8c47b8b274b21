"""a = max(z, 0); da/dz = 1 where z > 0, else 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations


@activations.register("relu")
@dataclass(frozen=True, kw_only=True)
class ReLU:
    """a = max(z, 0): the rectified linear unit. At the kink, z = 0, the derivative is taken as 0."""

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "he_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.maximum(z, 0.0, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.sign(a, out=scratch.full)  # 1 where z > 0, else 0, since a is never negative
        np.multiply(da, scratch.full, out=da)
