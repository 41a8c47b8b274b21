"""a = z; da/dz = 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations


@activations.register("identity", "linear", "purelin", elsewhere="fann_linear none")
@dataclass(frozen=True, kw_only=True)
class Identity:
    """a = z: for the outputs of a regression."""

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        if a is not z:
            np.copyto(a, z)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        pass
