"""L = max(0, 1 - margin) for one sample: 0 if the right class leads by 1 or more."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from bpcli.engine.activations import HardSigmoid, Sigmoid, Softmax
from bpcli.engine.arrays import Array, Scale, Scratch
from bpcli.engine.protocols import Activation, Loss
from bpcli.engine.registry import activations, losses, part_of


@part_of(losses, "hinge", elsewhere="categorical_hinge hinge_loss multi_margin_loss squared_hinge svm")
class Hinge(Loss):
    """L = max(0, 1 - margin) for one sample, as scikit-learn's `hinge_loss`.

    One output, targets 0 and 1: margin = (2 y - 1) a, so class 1 is a > 0. Several outputs, targets one-hot: margin =
    a_right - max of the others (Crammer & Singer 2001); if several others tie for the maximum, they share the gradient.
    Keras's `categorical_hinge` also counts a 0 among the others; PyTorch's `multi_margin_loss` sums over all others.
    At margin = 1 the derivative is taken as 0.
    """

    reduction: Literal["mean", "sum"] = "mean"

    for_classes: ClassVar[bool] = True
    boundary: ClassVar[float] = 0.0

    def from_logits(self, activation: Activation) -> Loss | None:
        if isinstance(activation, (Sigmoid, HardSigmoid, Softmax)):
            raise ValueError(
                "hinge takes outputs on both sides of 0, with the output activation identity or tanh, "
                f"not {activations.name_of(activation)}"
            )
        return None

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        excess, active = scratch.row, scratch.full[..., :1]  # 1 - margin, and whether it is positive: (N, 1)
        if output.shape[-1] == 1:
            _binary(output, target, d_output, excess)
        else:
            _categorical(output, target, d_output, excess, scratch.full)
        np.maximum(excess, 0.0, out=excess)
        np.sign(excess, out=active)
        np.multiply(d_output, active, out=d_output)
        np.multiply(d_output, scale, out=d_output)
        np.multiply(excess, scale, out=excess)
        return float(np.add.reduce(excess, axis=None))


def _binary(a: Array, y: Array, da: Array, excess: Array) -> None:
    """1 - margin, (N, 1), and its derivative."""
    np.multiply(y, -2.0, out=da)
    np.add(da, 1.0, out=da)
    np.multiply(da, a, out=excess)
    np.add(excess, 1.0, out=excess)


def _categorical(a: Array, y: Array, da: Array, excess: Array, work: Array) -> None:
    """1 - margin, (N, 1), and its derivative, (N, M). Overwrites work (N, M)."""
    np.multiply(y, 0.5 * np.finfo(a.dtype).min, out=work)  # keeps the right class out of the maximum
    np.add(work, a, out=work)
    np.maximum.reduce(work, axis=-1, keepdims=True, out=excess)  # max of the others
    np.equal(work, excess, out=da)
    np.subtract(excess, a, out=work)
    np.multiply(work, y, out=work)
    np.add.reduce(work, axis=-1, keepdims=True, out=excess)
    np.add(excess, 1.0, out=excess)
    count = work[..., :1]
    np.add.reduce(da, axis=-1, keepdims=True, out=count)
    np.divide(da, count, out=da)
    np.subtract(da, y, out=da)
