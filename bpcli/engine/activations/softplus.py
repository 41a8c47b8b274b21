"""a = ln(1 + exp(z)); da/dz = sigmoid(z) = 1 - exp(-a)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations


@activations.register("softplus")
@dataclass(frozen=True, kw_only=True)
class Softplus:
    """a = ln(1 + exp(z)) = max(z, 0) + ln(1 + exp(-|z|)): a smooth relu, always positive. Dugas et al. 2001.

    PyTorch takes a = z above its `threshold`, z = 20, which is off by up to 2e-9; this does not.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.abs(z, out=scratch.full)
        np.negative(scratch.full, out=scratch.full)
        np.exp(scratch.full, out=scratch.full)
        np.log1p(scratch.full, out=scratch.full)
        np.maximum(z, 0.0, out=a)
        np.add(a, scratch.full, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.negative(a, out=scratch.full)
        np.expm1(scratch.full, out=scratch.full)
        np.negative(scratch.full, out=scratch.full)
        np.multiply(da, scratch.full, out=da)
