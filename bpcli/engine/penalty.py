"""The penalty on large weights: P = (l2 / 2) sum w^2 + l1 sum |w|, over weights and not over biases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.protocols import Penalised


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
