"""L = 1/2 sum_j (a_j - y_j)^2 for one sample: the textbooks' E_k."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bpcli.engine.arrays import Array, Scale, Scratch
from bpcli.engine.protocols import Loss
from bpcli.engine.registry import losses, part_of


@part_of(losses, "half_squared_error", elsewhere="sse sum_squared_error")
class HalfSquaredError(Loss):
    """Half the squared error: L = 1/2 sum_j (a_j - y_j)^2 for one sample, so that dL/da = a - y."""

    reduction: Literal["mean", "sum"] = "mean"

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        error = scratch.full
        np.subtract(output, target, out=error)
        np.multiply(error, scale, out=d_output)
        return 0.5 * float(np.vdot(error, d_output))
