"""Focal loss L = -(1 - p)^gamma ln p for one sample, p the probability of the true class, from the logits z."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from bpcli.engine.activations import Sigmoid, Softmax, softplus
from bpcli.engine.arrays import Array, Scale, Scratch
from bpcli.engine.fields import AtLeast
from bpcli.engine.protocols import Activation, Loss
from bpcli.engine.registry import activations, losses, part_of


@part_of(losses, "focal", elsewhere="binary_focal_crossentropy focal_loss sigmoid_focal_loss")
class Focal(Loss):
    """L = -(1 - p)^gamma ln p, in nats: log-likelihood with less weight on easy samples. Lin et al. 2017.

    softmax: p is the right class's probability, targets one-hot. sigmoid: a sum over the outputs, p = a_j where y_j = 1
    and 1 - a_j where y_j = 0; targets are 0 or 1, nothing between. gamma = 0 is log_likelihood. The paper's weight
    alpha, 0.25 by default in torchvision, is left out: sample weights have the same effect.
    """

    gamma: Annotated[float, AtLeast(0)] = 2.0
    reduction: Literal["mean", "sum"] = "mean"

    for_classes: ClassVar[bool] = True

    def from_logits(self, activation: Activation) -> Loss:
        if isinstance(activation, Softmax):
            return CategoricalFocal(gamma=self.gamma, reduction=self.reduction)
        if isinstance(activation, Sigmoid):
            return BernoulliFocal(gamma=self.gamma, reduction=self.reduction)
        raise ValueError(
            "focal goes with the output activation sigmoid (each output yes or no) "
            f"or softmax (one of several classes), not {activations.name_of(activation)}"
        )

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        raise ValueError("focal is computed from logits: use from_logits(activation)")


@dataclass(frozen=True, kw_only=True)
class BernoulliFocal(Loss):
    """L = sum_j q_j^gamma l_j for one sample, l = -ln p = softplus((1 - 2y) z), q = 1 - p = 1 - exp(-l).

    dL/dz = (1 - 2y) q^gamma (q + gamma p l). All terms are positive, so nothing cancels. output: the logits z (N, M).
    """

    gamma: float
    reduction: Literal["mean", "sum"] = "mean"

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        y, dz, work = target, d_output, scratch.full
        _one_minus_twice(y, out=dz)
        np.multiply(dz, output, out=dz)
        softplus(dz, dz, scratch)  # l
        _wrong(dz, out=work)
        np.power(work, self.gamma, out=work)
        np.multiply(work, dz, out=work)
        np.multiply(work, scale, out=work)
        value = float(np.add.reduce(work, axis=None))
        _p_times(dz, self.gamma, out=work)
        _wrong(dz, out=dz)  # q
        np.add(work, dz, out=work)
        np.power(dz, self.gamma, out=dz)
        np.multiply(dz, work, out=dz)
        np.multiply(dz, scale, out=dz)
        _one_minus_twice(y, out=work)
        np.multiply(dz, work, out=dz)
        return value


@dataclass(frozen=True, kw_only=True)
class CategoricalFocal(Loss):
    """L = q^gamma l for one sample, l = -ln p = ln(sum_k exp(z_k - z_right)), q = 1 - p = 1 - exp(-l).

    dL/dz = (a - y) q^gamma (1 + gamma p l / q). output: the logits z (N, M), M at least 2.
    """

    gamma: float
    reduction: Literal["mean", "sum"] = "mean"

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        z, y, dz, nll, work = output, target, d_output, scratch.row, scratch.full
        np.multiply(z, y, out=work)
        np.add.reduce(work, axis=-1, keepdims=True, out=nll)
        np.subtract(z, nll, out=work)
        np.maximum.reduce(work, axis=-1, keepdims=True, out=nll)  # m = max z - z_right, 0 if z_right is the largest
        np.subtract(work, nll, out=work)
        np.exp(work, out=dz)
        np.subtract(dz, y, out=dz)
        q, factor = work[..., :1], work[..., -1:]  # (N, 1), in memory no longer needed
        np.add.reduce(dz, axis=-1, keepdims=True, out=q)  # s - 1, s the sum: exact if m = 0, when l may be small
        np.log1p(q, out=factor)
        np.add(nll, factor, out=nll)  # l = m + ln s
        np.add(q, 1.0, out=q)
        np.add(dz, y, out=dz)
        np.divide(dz, q, out=dz)
        np.subtract(dz, y, out=dz)  # a - y
        _wrong(nll, out=q)
        np.power(q, self.gamma, out=factor)
        np.multiply(factor, nll, out=factor)
        np.multiply(factor, scale, out=factor)
        value = float(np.add.reduce(factor, axis=None))
        _p_times(nll, self.gamma, out=factor)
        np.maximum(q, np.finfo(q.dtype).tiny, out=q)  # where q = 0, l and a - y are 0 too
        np.divide(factor, q, out=factor)
        np.add(factor, 1.0, out=factor)
        np.power(q, self.gamma, out=q)
        np.multiply(factor, q, out=factor)
        np.multiply(factor, scale, out=factor)
        np.multiply(dz, factor, out=dz)
        return value


def _one_minus_twice(y: Array, out: Array) -> None:
    """1 - 2y: 1 for no, -1 for yes."""
    np.multiply(y, -2.0, out=out)
    np.add(out, 1.0, out=out)


def _wrong(nll: Array, out: Array) -> None:
    """q = 1 - exp(-l)."""
    np.negative(nll, out=out)
    np.expm1(out, out=out)
    np.negative(out, out=out)


def _p_times(nll: Array, gamma: float, out: Array) -> None:
    """gamma p l = gamma exp(-l) l."""
    np.negative(nll, out=out)
    np.exp(out, out=out)
    np.multiply(out, nll, out=out)
    np.multiply(out, gamma, out=out)
