"""a = lambda z where z > 0, else lambda alpha (exp(z) - 1); da/dz = lambda, or a + lambda alpha."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.activations.elu import linear_or_exponential, times_slope
from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations

ALPHA = 1.6732632423543772848170429916717
LAMBDA = 1.0507009873554804934193349852946


@activations.register("selu")
@dataclass(frozen=True, kw_only=True)
class SELU:
    """a = lambda elu(z) with the alpha and lambda that keep mean 0 and variance 1 from layer to layer.

    Klambauer et al. 2017, eq. 2 and 14. It does so only with weights of variance 1 / fan_in, hence `lecun_normal`, and
    with inputs of mean 0 and variance 1. The derivative jumps at z = 0, where it is taken as lambda alpha.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "lecun_normal"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        linear_or_exponential(z, a, scratch, LAMBDA, LAMBDA * ALPHA)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        times_slope(da, a, scratch, LAMBDA, LAMBDA * ALPHA)
