"""What is minimised: the loss on top of the output activation, and the penalty on large weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bpcli.engine.activations import Identity
from bpcli.engine.arrays import Array, DType, Scale, Scratch, Shape
from bpcli.engine.protocols import Activation, Loss, Penalised


class Objective:
    """Loss and output activation, bound to memory for batches of exactly n samples.

    If possible the loss is computed from the logits (sigmoid and softmax with log-likelihood); otherwise
    a^L = f(z^L), then dL/da^L, then delta = dL/da^L * f'(z^L).

    Raises:
        ValueError: the loss is not defined for this activation.
    """

    def __init__(self, loss: Loss, activation: Activation, n: int, out_shape: Shape, dtype: DType) -> None:
        fused = loss.from_logits(activation)
        self.loss = fused or loss
        self.activation = Identity() if fused else activation
        self.delta = np.empty((n, *out_shape), dtype)
        self.scratch = Scratch.beside((n, *out_shape), dtype)
        self.a = None if isinstance(self.activation, Identity) else np.empty((n, *out_shape), dtype)

    def value_and_delta(self, z: Array, target: Array, scale: Scale) -> tuple[float, Array]:
        """(L, dL/dz^L) for logits and targets (n, *out_shape); L = sum over the samples of scale * loss.

        delta is a buffer of this object, valid until the next call.
        """
        a = z
        if self.a is not None:
            a = self.a
            self.activation.forward(z, a, self.scratch)
        value = self.loss.value_and_grad(a, target, self.delta, self.scratch, scale)
        self.activation.backward(self.delta, z, a, self.scratch)
        return value, self.delta


def batch_scale(loss: Loss, n: int) -> float:
    """The factor that turns a sum over n samples into the loss's reduction: 1/n for mean, 1 for sum."""
    return 1.0 / n if loss.reduction == "mean" else 1.0


@dataclass(frozen=True)
class Penalty:
    """P = (l2 / 2) sum w^2 + l1 sum |w|, over the weights w where `decay` is 1. Vectors of one length."""

    l2: float = 0.0
    l1: float = 0.0

    def add_gradient(self, theta: Array, grad: Array, scratch: Array, decay: Array) -> None:
        """grad += decay * (l2 theta + l1 sign(theta)); overwrites scratch."""
        if self.l2:
            np.multiply(theta, decay, out=scratch)
            np.multiply(scratch, self.l2, out=scratch)
            np.add(grad, scratch, out=grad)
        if self.l1:
            np.sign(theta, out=scratch)
            np.multiply(scratch, decay, out=scratch)
            np.multiply(scratch, self.l1, out=scratch)
            np.add(grad, scratch, out=grad)

    def value(self, theta: Array, decay: Array) -> float:
        """P, summed in float64."""
        value = 0.0
        if self.l2:
            value += 0.5 * self.l2 * float(np.dot(decay, np.square(theta, dtype=np.float64)))
        if self.l1:
            value += self.l1 * float(np.dot(decay, np.abs(theta, dtype=np.float64)))
        return value


def penalty_of(optimizer: Penalised) -> Penalty:
    """What the optimizer adds to the minimised loss; a decoupled decay adds nothing."""
    return Penalty(0.0 if optimizer.decoupled_decay else optimizer.weight_decay, optimizer.l1)
