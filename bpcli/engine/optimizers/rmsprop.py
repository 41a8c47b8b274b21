"""RMSprop: each gradient divided by the root of a running average of its square."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from bpcli.engine.fields import AtLeast, Between, MoreThan
from bpcli.engine.protocols import Optimizer, Parameters
from bpcli.engine.registry import optimizers, part_of


@part_of(optimizers, "rmsprop", elsewhere="adadelta rms")
class RMSProp(Optimizer):
    """v <- alpha v + (1 - alpha) g^2, u <- momentum * u + g / (sqrt(v) + eps), theta <- theta - rate * u.

    Tieleman & Hinton 2012, lecture 6e, there with alpha 0.9. centered: subtracts the squared running average of g from
    v, which gives the gradient's variance (Graves 2013, eq. 38-45). As in PyTorch, eps is outside the root and the rate
    outside u; Keras and Graves have eps inside, TensorFlow 1 the rate too. A variance that rounding makes negative is
    set to 0, while PyTorch's steps become NaN. Steps are still huge if g hardly varies: raise eps then. weight_decay
    and l1 add their derivative to g, for weights only.
    """

    learning_rate: Annotated[float, MoreThan(0)] = 0.01
    alpha: Annotated[float, Between(0, 1, end=False)] = 0.99
    eps: Annotated[float, MoreThan(0)] = 1e-8
    momentum: Annotated[float, Between(0, 1, end=False)] = 0.0
    centered: bool = False
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    l1: Annotated[float, AtLeast(0)] = 0.0

    def vector_names(self) -> tuple[str, ...]:
        return ("v", *(["mean"] if self.centered else []), *(["velocity"] if self.momentum else []))

    def step(self, p: Parameters) -> None:
        theta, grad, scratch = p.theta, p.grad, p.scratch
        v = p.state["v"]
        np.multiply(v, self.alpha, out=v)
        np.multiply(grad, grad, out=scratch)
        np.multiply(scratch, 1.0 - self.alpha, out=scratch)
        np.add(v, scratch, out=v)
        if self.centered:
            mean = p.state["mean"]
            np.multiply(mean, self.alpha, out=mean)
            np.multiply(grad, 1.0 - self.alpha, out=scratch)
            np.add(mean, scratch, out=mean)
            np.multiply(mean, mean, out=scratch)
            np.subtract(v, scratch, out=scratch)
            np.maximum(scratch, 0.0, out=scratch)
            np.sqrt(scratch, out=scratch)
        else:
            np.sqrt(v, out=scratch)
        np.add(scratch, self.eps, out=scratch)
        np.divide(grad, scratch, out=scratch)
        update = scratch
        if self.momentum:
            update = p.state["velocity"]
            np.multiply(update, self.momentum, out=update)
            np.add(update, scratch, out=update)
        np.multiply(update, p.rate, out=scratch)
        np.subtract(theta, scratch, out=theta)
