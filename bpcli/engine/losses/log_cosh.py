"""L = (1/M) sum_j ln cosh(a_j - y_j) for one sample; dL/da = tanh(a - y) / M."""

from __future__ import annotations

from typing import Literal

import numpy as np

from bpcli.engine.arrays import Array, Scale, Scratch
from bpcli.engine.protocols import Loss
from bpcli.engine.registry import losses, part_of

FAR = 20.0  # above this ln cosh e = |e| - ln 2 to the last digit of a float64, and sinh(e / 2)^2 is still far from inf


@part_of(losses, "log_cosh", "logcosh")
class LogCosh(Loss):
    """Mean over samples and the M outputs of ln cosh(e), e = a - y: e^2 / 2 near 0, |e| - ln 2 far out.

    Computed as ln(1 + 2 sinh(e/2)^2), which keeps all digits of a small loss, while |e| + ln(1 + exp(-2|e|)) - ln 2 (as
    in Keras) cancels. The mean over the outputs is taken with either reduction over the batch.
    """

    reduction: Literal["mean", "sum"] = "mean"

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        error, work, outputs = d_output, scratch.full, float(output.shape[-1])
        np.subtract(output, target, out=error)
        np.abs(error, out=work)
        np.minimum(work, FAR, out=work)
        np.multiply(work, 0.5, out=work)
        np.sinh(work, out=work)
        np.multiply(work, work, out=work)
        np.multiply(work, 2.0, out=work)
        np.log1p(work, out=work)
        np.multiply(work, scale, out=work)
        value = float(np.add.reduce(work, axis=None))
        np.abs(error, out=work)
        np.subtract(work, FAR, out=work)
        np.maximum(work, 0.0, out=work)
        np.multiply(work, scale, out=work)
        value += float(np.add.reduce(work, axis=None))
        np.tanh(error, out=d_output)
        np.multiply(d_output, scale, out=d_output)
        np.multiply(d_output, 1.0 / outputs, out=d_output)
        return value / outputs
