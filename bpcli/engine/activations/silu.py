"""a = z sigmoid(z); da/dz = sigmoid(z) (1 + z (1 - sigmoid(z)))."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.activations.sigmoid import Sigmoid
from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations


@activations.register("silu", "swish", elsewhere="hard_swish")
@dataclass(frozen=True, kw_only=True)
class SiLU:
    """a = z sigmoid(z): the sigmoid linear unit. Elfwing et al. 2018; also swish, Ramachandran et al. 2017."""

    needs_z: ClassVar[bool] = True
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        Sigmoid().forward(z, a, scratch)
        np.multiply(a, z, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        s = scratch.full
        Sigmoid().forward(z, s, scratch)
        np.multiply(da, s, out=da)
        np.subtract(1.0, s, out=s)
        np.multiply(s, z, out=s)
        np.add(s, 1.0, out=s)
        np.multiply(da, s, out=da)
