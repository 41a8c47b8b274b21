"""L = (1/M) sum_j (a_j - y_j)^2 for one sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bpcli.engine.arrays import Array, Scale, Scratch
from bpcli.engine.protocols import Activation, Loss
from bpcli.engine.registry import losses


@losses.register("mse", "mean_squared_error")
@dataclass(frozen=True, kw_only=True)
class MSE:
    """Mean squared error, over samples and the M outputs: L = (1/M) sum_j (a_j - y_j)^2 for one sample.

    The mean over the outputs is part of it whatever the reduction over the batch.
    """

    reduction: Literal["mean", "sum"] = "mean"

    def from_logits(self, activation: Activation) -> Loss | None:
        return None

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        weighted, outputs = scratch.full, float(output.shape[-1])
        np.subtract(output, target, out=d_output)
        np.multiply(d_output, scale, out=weighted)
        value = float(np.vdot(d_output, weighted)) / outputs
        np.multiply(weighted, 2.0 / outputs, out=d_output)
        return value
