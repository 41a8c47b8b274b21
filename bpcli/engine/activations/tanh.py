"""a = tanh(z); da/dz = 1 - a^2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations


@activations.register("tanh", "tansig", elsewhere="fann_sigmoid_symmetric hard_tanh hyperbolic_tangent")
@dataclass(frozen=True, kw_only=True)
class Tanh:
    """a = tanh(z): the hyperbolic tangent, values in -1..1."""

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.tanh(z, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.multiply(a, a, out=scratch.full)
        np.subtract(scratch.one, scratch.full, out=scratch.full)
        np.multiply(da, scratch.full, out=da)
