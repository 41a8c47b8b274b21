"""a = z / (1 + |z|); da/dz = 1 / (1 + |z|)^2 = (1 - |a|)^2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations


@activations.register("softsign", elsewhere="elliot elliotsig fann_elliot_symmetric")
@dataclass(frozen=True, kw_only=True)
class Softsign:
    """a = z / (1 + |z|): values in -1..1 like tanh, but near its ends only as fast as 1 / |z|. Bergstra et al. 2009."""

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.abs(z, out=scratch.full)
        np.add(scratch.full, 1.0, out=scratch.full)
        np.divide(z, scratch.full, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.abs(a, out=scratch.full)
        np.subtract(1.0, scratch.full, out=scratch.full)
        np.multiply(scratch.full, scratch.full, out=scratch.full)
        np.multiply(da, scratch.full, out=da)
