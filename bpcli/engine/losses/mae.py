"""L = (1/M) sum_j |a_j - y_j| for one sample."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bpcli.engine.arrays import Array, Scale, Scratch
from bpcli.engine.protocols import Loss
from bpcli.engine.registry import losses, part_of


@part_of(losses, "mae", "mean_absolute_error", elsewhere="absolute_error l1 l1_loss")
class MAE(Loss):
    """Mean absolute error, over samples and the M outputs: L = (1/M) sum_j |a_j - y_j| for one sample.

    The mean over the outputs is taken with either reduction over the batch. At a = y the derivative is 0.
    """

    reduction: Literal["mean", "sum"] = "mean"

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        error, outputs = scratch.full, float(output.shape[-1])
        np.subtract(output, target, out=error)
        np.sign(error, out=d_output)
        np.multiply(d_output, scale, out=d_output)
        np.multiply(d_output, 1.0 / outputs, out=d_output)
        return float(np.vdot(error, d_output))
