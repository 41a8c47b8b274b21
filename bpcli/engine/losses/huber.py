"""L = (1/M) sum_j h(e_j) for one sample, e = a - y; h(e) = e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2)."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from bpcli.engine.arrays import Array, Scale, Scratch
from bpcli.engine.fields import MoreThan
from bpcli.engine.protocols import Loss
from bpcli.engine.registry import losses, part_of


@part_of(losses, "huber", elsewhere="huber_loss smooth_l1 smooth_l1_loss")
class Huber(Loss):
    """Huber's loss, the mean over samples and the M outputs of h(e): quadratic near 0, linear beyond delta.

    h(e) = e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2), so that dh/de is e clipped to -delta..delta.
    Huber 1964. As in PyTorch's `huber_loss` and Keras; PyTorch's `smooth_l1_loss` is h / delta. The mean over the
    outputs is taken with either reduction over the batch.
    """

    delta: Annotated[float, MoreThan(0)] = 1.0
    reduction: Literal["mean", "sum"] = "mean"

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        error, cut = scratch.full, d_output
        np.subtract(output, target, out=error)
        np.minimum(error, self.delta, out=cut)
        np.maximum(cut, -self.delta, out=cut)
        np.multiply(error, 2.0, out=error)
        np.subtract(error, cut, out=error)  # h(e) = cut (2 e - cut) / 2, in both pieces
        np.multiply(cut, scale, out=d_output)
        np.multiply(d_output, 1.0 / output.shape[-1], out=d_output)
        return 0.5 * float(np.vdot(error, d_output))
