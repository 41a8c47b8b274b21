"""NAdam: Adam with Nesterov's momentum."""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated

import numpy as np

from bpcli.engine.fields import AtLeast, Between, MoreThan
from bpcli.engine.optimizers._moments import root_of_second_moment, times_rate, update_moments
from bpcli.engine.protocols import Optimizer, Parameters
from bpcli.engine.registry import optimizers, part_of

NEGLIGIBLE = 2.0**-54  # 1 minus a number below it is 1


@part_of(optimizers, "nadam")
class NAdam(Optimizer):
    """theta <- theta - rate * (u(t+1) / (1 - U(t+1)) m + (1 - u(t)) / (1 - U(t)) g) / (sqrt(v') + eps).

    m, v, v' as in adam. u(t) = b1 (1 - 0.5 * 0.96^(t * momentum_decay)) is the momentum of step t, rising from b1 / 2
    to b1, and U(t) = u(1) u(2) ... u(t) (Dozat 2016, algorithm 2, with PyTorch's constants). Keras's momentum_decay is
    fixed; optax's nadam has a constant momentum. weight_decay and l1 add their derivative to g, for weights only.
    """

    learning_rate: Annotated[float, MoreThan(0)] = 0.002
    beta1: Annotated[float, Between(0, 1, end=False)] = 0.9
    beta2: Annotated[float, Between(0, 1, end=False)] = 0.999
    eps: Annotated[float, MoreThan(0)] = 1e-8
    momentum_decay: Annotated[float, AtLeast(0)] = 0.004
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    l1: Annotated[float, AtLeast(0)] = 0.0

    def vector_names(self) -> tuple[str, ...]:
        return ("m", "v")

    def step(self, p: Parameters) -> None:
        theta, grad, scratch, t = p.theta, p.grad, p.scratch, p.t
        m, v = p.state["m"], p.state["v"]
        update_moments(m, v, grad, scratch, beta1=self.beta1, beta2=self.beta2)
        now, ahead = (_momentum(self.beta1, self.momentum_decay, number) for number in (t, t + 1))
        product = _momentum_product(self.beta1, self.momentum_decay, t)
        np.multiply(grad, (1.0 - now) / (1.0 - product), out=grad)
        np.multiply(m, ahead / (1.0 - product * ahead), out=scratch)
        np.add(grad, scratch, out=grad)
        c = root_of_second_moment(v, scratch, beta2=self.beta2, eps=self.eps, t=t)
        np.divide(grad, scratch, out=scratch)
        times_rate(scratch, p.rate, c)
        np.subtract(theta, scratch, out=theta)


def _momentum(beta1: float, momentum_decay: float, t: int) -> float:
    return beta1 * (1.0 - 0.5 * math.pow(0.96, t * momentum_decay))


def _momentum_product(beta1: float, momentum_decay: float, t: int) -> float:
    """U(t), computed from t alone, so that checkpoints need not store it."""
    first = _first_products(beta1, momentum_decay)
    return first[t] if t < len(first) else first[-1] * math.pow(beta1, t - len(first) + 1)


@cache
def _first_products(beta1: float, momentum_decay: float) -> tuple[float, ...]:
    """U(0), U(1), ... until U is negligible or every further factor is beta1: at most a few thousand numbers."""
    products = [1.0]
    while products[-1] >= NEGLIGIBLE and math.pow(0.96, len(products) * momentum_decay) >= NEGLIGIBLE:
        products.append(products[-1] * _momentum(beta1, momentum_decay, len(products)))
    return tuple(products)
