"""Negative log-likelihood in nats, computed from the logits z, so that dL/dz = a - y exactly.

sigmoid: -sum_j [y_j ln a_j + (1 - y_j) ln(1 - a_j)], a Bernoulli variable for each output.
softmax: -sum_j y_j ln a_j, one categorical variable over all outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from bpcli.engine.activations import Sigmoid, Softmax, sigmoid
from bpcli.engine.arrays import Array, Scale, Scratch, largest_of_rows
from bpcli.engine.fields import Between
from bpcli.engine.protocols import Activation, Loss
from bpcli.engine.registry import activations, losses, part_of


@part_of(
    losses,
    "log_likelihood",
    "cross_entropy",
    elsewhere="bce bce_loss bce_with_logits bce_with_logits_loss binary_cross_entropy binary_crossentropy "
    "ce categorical_crossentropy sparse_categorical_crossentropy cross_entropy_loss "
    "log_loss negative_log_likelihood nll nll_loss softmax softmax_cross_entropy",
)
class LogLikelihood(Loss):
    """Negative log-likelihood, in nats, for one sample summed over the outputs. Used with sigmoid or softmax.

    label_smoothing: s moves the targets towards uniform ones: (1 - s) y + s/M for the M outputs of a softmax, as in
    PyTorch and Keras; (1 - s) y + s/2 for sigmoid, as in Keras. Szegedy et al. 2016, section 7.
    """

    label_smoothing: Annotated[float, Between(0, 1, end=False)] = 0.0
    reduction: Literal["mean", "sum"] = "mean"

    for_classes: ClassVar[bool] = True

    def from_logits(self, activation: Activation) -> Loss:
        if isinstance(activation, Softmax):
            return CategoricalLogLikelihood(label_smoothing=self.label_smoothing, reduction=self.reduction)
        if isinstance(activation, Sigmoid):
            return BernoulliLogLikelihood(label_smoothing=self.label_smoothing, reduction=self.reduction)
        raise ValueError(
            "log_likelihood goes with the output activation sigmoid (each output yes or no) "
            f"or softmax (one of several classes), not {activations.name_of(activation)}"
        )

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        raise ValueError("log_likelihood is computed from logits: use from_logits(activation)")


@dataclass(frozen=True, kw_only=True)
class CategoricalLogLikelihood(Loss):
    """L = ln S - sum_j y_j x_j for one sample, x = z - max z, S = sum_k exp x_k. output: the logits z (N, M).

    Since the y_j sum to 1, S - 1 = sum_k (exp x_k - y_k), and dL/dz = (exp x - y - y (S - 1)) / S. So even a very small
    loss keeps its digits, although ln S is 0 once S is rounded to 1. Neither term of L is negative.
    """

    label_smoothing: float = 0.0
    reduction: Literal["mean", "sum"] = "mean"

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        z, dz, work, row = output, d_output, scratch.full, scratch.row
        s, even = self.label_smoothing, 1.0 / z.shape[-1]
        np.subtract(z, largest_of_rows(z, scratch), out=work)  # x
        np.exp(work, out=dz)
        np.multiply(work, scale, out=work)
        value = -(1.0 - s) * float(np.vdot(target, work))
        if s:
            value -= s * even * float(np.add.reduce(work, axis=None))
        y = _smoothed(target, s, even, work)
        np.subtract(dz, y, out=dz)
        np.add.reduce(dz, axis=-1, keepdims=True, out=row)  # S - 1
        np.multiply(y, row, out=work)
        np.subtract(dz, work, out=dz)
        loss = np.log1p(row, out=work[..., :1])  # ln S
        value += float(np.add.reduce(np.multiply(loss, scale, out=loss), axis=None))
        np.add(row, scratch.one, out=row)
        np.divide(dz, row, out=dz)
        np.multiply(dz, scale, out=dz)
        return value


@dataclass(frozen=True, kw_only=True)
class BernoulliLogLikelihood(Loss):
    """L = sum_j [ln(1 + exp(-|z_j|)) + z_j ([z_j > 0] - y_j)] for one sample. output: the logits z (N, M).

    Both terms are never negative for y in 0..1, so nothing cancels, and exp never overflows.
    """

    label_smoothing: float = 0.0
    reduction: Literal["mean", "sum"] = "mean"

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        z, y, dz, work = output, target, d_output, scratch.full
        np.greater(z, 0.0, out=dz)
        np.subtract(dz, _smoothed(y, self.label_smoothing, 0.5, work), out=dz)
        np.multiply(dz, scale, out=dz)
        fit = float(np.vdot(z, dz))
        np.abs(z, out=work)
        np.negative(work, out=work)
        np.exp(work, out=work)
        np.log1p(work, out=work)
        np.multiply(work, scale, out=work)
        value = float(np.add.reduce(work, axis=None)) + fit
        sigmoid(z, dz, scratch)
        np.subtract(dz, _smoothed(y, self.label_smoothing, 0.5, work), out=dz)
        np.multiply(dz, scale, out=dz)
        return value


def _smoothed(y: Array, s: float, even: float, out: Array) -> Array:
    """(1 - s) y + s even, in `out`; y itself for s = 0."""
    if s == 0.0:
        return y
    np.multiply(y, 1.0 - s, out=out)
    return np.add(out, s * even, out=out)
