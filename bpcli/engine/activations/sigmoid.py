"""a = 1 / (1 + exp(-z)); da/dz = a (1 - a)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations


@activations.register("sigmoid", "logistic", "logsig", elsewhere="expit fann_sigmoid sigm")
@dataclass(frozen=True, kw_only=True)
class Sigmoid:
    """a = 1 / (1 + exp(-z)): the logistic function, values in 0..1.

    exp(-z) overflows to infinity for very negative z, and 1 / (1 + inf) is the right 0. The form with tanh has no
    overflow but loses the small values: at z = -40 it gives 0 instead of 4e-18.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.negative(z, out=a)
        np.exp(a, out=a)
        np.add(a, scratch.one, out=a)
        np.reciprocal(a, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.subtract(scratch.one, a, out=scratch.full)
        np.multiply(scratch.full, a, out=scratch.full)
        np.multiply(da, scratch.full, out=da)
