"""a = z/6 + 1/2, cut off at 0 and 1; da/dz = 1/6 where 0 < a < 1, else 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.registry import activations


@activations.register("hard_sigmoid", elsewhere="satlin")
@dataclass(frozen=True, kw_only=True)
class HardSigmoid:
    """a = min(max(z/6 + 1/2, 0), 1): the sigmoid in three straight pieces. At the kinks the derivative is taken as 0.

    The slope is 1/6 as in PyTorch, Keras 3 and MobileNetV3 (Howard et al. 2019): relu6(z + 3) / 6. Keras 2, Theano and
    ONNX's default have 0.2 z + 0.5.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.multiply(z, 1.0 / 6.0, out=a)
        np.add(a, 0.5, out=a)
        np.maximum(a, 0.0, out=a)
        np.minimum(a, 1.0, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.subtract(1.0, a, out=scratch.full)
        np.multiply(scratch.full, a, out=scratch.full)
        np.sign(scratch.full, out=scratch.full)  # 1 where 0 < a < 1, else 0
        np.multiply(scratch.full, 1.0 / 6.0, out=scratch.full)
        np.multiply(da, scratch.full, out=da)
