"""a = z Phi(z), Phi the normal distribution; da/dz = Phi(z) + z Phi'(z)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.erf import BLOCK, blocks, normal
from bpcli.engine.registry import activations


@activations.register("gelu")
@dataclass(frozen=True, kw_only=True)
class GELU:
    """a = z Phi(z): the Gaussian error linear unit. Hendrycks & Gimpel 2016, section 2.

    approximate: "none" is exact; "tanh" takes (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2 for Phi, which is faster
    and moves a by up to 4.8e-4. PyTorch and Keras are exact by default, JAX and GPT-2 take the approximation.
    """

    approximate: Literal["none", "tanh"] = "none"

    needs_z: ClassVar[bool] = True
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        function = normal if self.approximate == "none" else nearly_normal
        memory = np.empty((4, min(z.size, BLOCK)), z.dtype)
        for z_, a_ in blocks(z, a):
            cdf, density, *work = memory[:, : len(z_)]
            function(z_, cdf, density, work)
            np.multiply(z_, cdf, out=a_)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        function = normal if self.approximate == "none" else nearly_normal
        memory = np.empty((4, min(z.size, BLOCK)), z.dtype)
        for z_, da_ in blocks(z, da):
            cdf, density, *work = memory[:, : len(z_)]
            function(z_, cdf, density, work)
            np.multiply(density, z_, out=density)
            np.add(cdf, density, out=cdf)
            np.multiply(da_, cdf, out=da_)


def nearly_normal(z: Array, cdf: Array, density: Array, work: Sequence[Array]) -> None:
    """`normal` by the approximation: cdf = sigmoid(c (z + k z^3)), which is the form with tanh, and its derivative."""
    square, rest = work
    c, k = 2.0 * math.sqrt(2.0 / math.pi), 0.044715
    np.multiply(z, z, out=square)
    np.multiply(square, -c * k, out=density)
    np.subtract(density, c, out=density)
    np.multiply(density, z, out=density)
    np.exp(density, out=density)  # infinite for very negative z, and 1 / inf is the right 0
    np.add(density, 1.0, out=cdf)
    np.reciprocal(cdf, out=cdf)
    np.subtract(1.0, cdf, out=rest)
    np.multiply(square, 3.0 * c * k, out=density)
    np.add(density, c, out=density)
    np.multiply(density, cdf, out=density)
    np.multiply(density, rest, out=density)
