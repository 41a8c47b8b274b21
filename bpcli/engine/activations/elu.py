"""a = z where z > 0, else alpha (exp(z) - 1); da/dz = 1, or alpha exp(z) = a + alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.fields import MoreThan, check_fields
from bpcli.engine.registry import activations


@activations.register("elu")
@dataclass(frozen=True, kw_only=True)
class ELU:
    """a = z where z > 0, else alpha (exp(z) - 1): the exponential linear unit. Clevert et al. 2016.

    With alpha = 1 the derivative has no jump; otherwise, at z = 0, it is taken as alpha.
    """

    alpha: Annotated[float, MoreThan(0)] = 1.0

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "he_uniform"

    def __post_init__(self) -> None:
        check_fields(self)

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        linear_or_exponential(z, a, scratch, 1.0, self.alpha)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        times_slope(da, a, scratch, 1.0, self.alpha)


def linear_or_exponential(z: Array, a: Array, scratch: Scratch, slope: float, alpha: float) -> None:
    """a = slope z where z > 0, else alpha (exp(z) - 1). a may be z."""
    np.minimum(z, 0.0, out=scratch.full)  # so that exp cannot overflow
    np.expm1(scratch.full, out=scratch.full)  # exp(z) - 1 would lose the digits of a small z
    np.multiply(scratch.full, alpha, out=scratch.full)
    np.maximum(z, 0.0, out=a)
    np.multiply(a, slope, out=a)
    np.add(a, scratch.full, out=a)


def times_slope(da: Array, a: Array, scratch: Scratch, slope: float, alpha: float) -> None:
    """Multiplies da by slope where a > 0, else by a + alpha."""
    np.minimum(a, 0.0, out=scratch.full)
    np.add(scratch.full, alpha, out=scratch.full)
    np.multiply(da, scratch.full, out=da)  # where a > 0 by alpha
    if slope != alpha:
        np.greater(a, 0.0, out=scratch.full)
        np.multiply(scratch.full, slope / alpha - 1.0, out=scratch.full)
        np.add(scratch.full, 1.0, out=scratch.full)
        np.multiply(da, scratch.full, out=da)
