"""a_j = exp(z_j) / sum_k exp(z_k); da_j/dz_k = a_j ([j = k] - a_k)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch, largest_of_rows
from bpcli.engine.registry import activations


@activations.register("softmax", elsewhere="log_softmax")
@dataclass(frozen=True, kw_only=True)
class Softmax:
    """a_j = exp(z_j) / sum_k exp(z_k): probabilities over the last axis, which sum to 1.

    The largest z is taken off first, which changes no value and keeps exp from overflowing.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.subtract(z, largest_of_rows(z, scratch), out=a)
        np.exp(a, out=a)
        np.add.reduce(a, axis=-1, keepdims=True, out=scratch.row)
        np.divide(a, scratch.row, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.multiply(da, a, out=scratch.full)  # dz_k = a_k (da_k - sum_j da_j a_j)
        np.add.reduce(scratch.full, axis=-1, keepdims=True, out=scratch.row)
        np.subtract(da, scratch.row, out=da)
        np.multiply(da, a, out=da)
