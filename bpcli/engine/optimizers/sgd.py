"""Gradient descent: theta <- theta - rate * g, with momentum in its classical or Nesterov's form."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from bpcli.engine.fields import AtLeast, Between, MoreThan
from bpcli.engine.protocols import Optimizer, Parameters
from bpcli.engine.registry import optimizers, part_of


@part_of(
    optimizers,
    "sgd",
    elsewhere="backprop fann_train_batch fann_train_incremental gd gradient_descent "
    "momentum nesterov stochastic_gradient_descent traingd traingdm",
)
class SGD(Optimizer):
    """Gradient descent on a batch: v <- momentum * v + g, theta <- theta - rate * v.

    nesterov: theta <- theta - rate * (g + momentum * v) with the new v (Sutskever et al. 2013, as rearranged by Bengio
    et al. 2012; PyTorch's form). The rate multiplies v but is not part of it, so a new rate takes full effect at once.
    weight_decay and l1 add their derivative to g, for weights but not for biases.
    """

    learning_rate: Annotated[float, MoreThan(0)] = 0.1
    momentum: Annotated[float, Between(0, 1, end=False)] = 0.0
    nesterov: bool = False
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    l1: Annotated[float, AtLeast(0)] = 0.0

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov: needs a momentum above 0, for example 0.9")

    def vector_names(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum else ()

    def step(self, p: Parameters) -> None:
        theta, grad, scratch = p.theta, p.grad, p.scratch
        update = grad
        if self.momentum:
            v = p.state["velocity"]
            np.multiply(v, self.momentum, out=v)
            np.add(v, grad, out=v)
            update = v
        if self.nesterov:
            np.multiply(v, self.momentum, out=scratch)
            np.add(grad, scratch, out=grad)
            update = grad
        np.multiply(update, p.rate, out=grad)
        np.subtract(theta, grad, out=theta)
