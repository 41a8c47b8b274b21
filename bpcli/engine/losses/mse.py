"""L = (1/M) sum_j (a_j - y_j)^2 for one sample."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bpcli.engine.arrays import Array, Scale, Scratch, times
from bpcli.engine.protocols import Loss
from bpcli.engine.registry import losses, part_of


@part_of(
    losses,
    "mse",
    "mean_squared_error",
    elsewhere="l2 l2_loss mean_square_error mse_loss msereg quadratic squared_error",
)
class MSE(Loss):
    """Mean squared error, over samples and the M outputs: L = (1/M) sum_j (a_j - y_j)^2 for one sample.

    The mean over the outputs is taken with either reduction over the batch.
    """

    reduction: Literal["mean", "sum"] = "mean"

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        error, outputs = scratch.full, output.shape[-1]
        np.subtract(output, target, out=error)
        np.multiply(error, times(scale, 2.0 / outputs, scratch), out=d_output)
        return 0.5 * float(np.vdot(error, d_output))
