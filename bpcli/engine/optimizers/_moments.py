"""Running averages of the gradient and of its square, shared by Adam and its variants."""

from __future__ import annotations

import math

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.protocols import Parameters


def update_moments(m: Array, v: Array, grad: Array, scratch: Array, *, beta1: float, beta2: float) -> None:
    """m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2; all vectors of one length; overwrites scratch."""
    np.multiply(m, beta1, out=m)
    np.multiply(grad, 1.0 - beta1, out=scratch)
    np.add(m, scratch, out=m)
    np.multiply(v, beta2, out=v)
    np.multiply(grad, grad, out=scratch)
    np.multiply(scratch, 1.0 - beta2, out=scratch)
    np.add(v, scratch, out=v)


def root_of_second_moment(v: Array, out: Array, *, beta2: float, eps: float, t: int) -> float:
    """Writes out = c (sqrt(v / (1 - b2^t)) + eps) and returns c = sqrt(1 - b2^t), which saves a pass."""
    c = math.sqrt(1.0 - beta2**t)
    np.sqrt(v, out=out)
    np.add(out, c * eps, out=out)
    return c


def times_rate(step: Array, rate: float | Array, factor: float) -> None:
    """step <- rate * factor * step."""
    if isinstance(rate, float):
        np.multiply(step, rate * factor, out=step)
    else:
        np.multiply(step, rate, out=step)
        np.multiply(step, factor, out=step)


def adam_step(p: Parameters, *, beta1: float, beta2: float, eps: float, amsgrad: bool) -> None:
    """theta <- theta - rate * m' / (sqrt(v') + eps), as in bpcli.engine.optimizers.adam, with g = p.grad unchanged.

    amsgrad: the largest v so far, p.state["v_max"], replaces v. Overwrites p.scratch.
    """
    m, v, scratch = p.state["m"], p.state["v"], p.scratch
    update_moments(m, v, p.grad, scratch, beta1=beta1, beta2=beta2)
    if amsgrad:
        v = np.maximum(p.state["v_max"], v, out=p.state["v_max"])
    c = root_of_second_moment(v, scratch, beta2=beta2, eps=eps, t=p.t)
    np.divide(m, scratch, out=scratch)
    times_rate(scratch, p.rate, c / (1.0 - beta1**p.t))
    np.subtract(p.theta, scratch, out=p.theta)
