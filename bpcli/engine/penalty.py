"""The penalty on large weights: P = (l2 / 2) sum w^2 + l1 sum |w|, over weights and not over biases."""

from __future__ import annotations

import numpy as np

from bpcli.engine.arrays import Array


def add_penalty_gradient(
    theta: Array, grad: Array, scratch: Array, *, decay: Array, l2: float = 0.0, l1: float = 0.0
) -> None:
    """grad += decay * (l2 theta + l1 sign(theta)); all vectors of one length; overwrites scratch."""
    if l2:
        np.multiply(theta, decay, out=scratch)
        np.multiply(scratch, l2, out=scratch)
        np.add(grad, scratch, out=grad)
    if l1:
        np.sign(theta, out=scratch)
        np.multiply(scratch, decay, out=scratch)
        np.multiply(scratch, l1, out=scratch)
        np.add(grad, scratch, out=grad)


def l2_penalty(theta: Array, *, decay: Array, l2: float) -> float:
    """(l2 / 2) sum w^2 over the weights that decay acts on."""
    return 0.5 * l2 * float(np.dot(decay, np.square(theta, dtype=np.float64))) if l2 else 0.0


def l1_penalty(theta: Array, *, decay: Array, l1: float) -> float:
    """l1 sum |w| over the weights that decay acts on."""
    return l1 * float(np.dot(decay, np.abs(theta, dtype=np.float64))) if l1 else 0.0
