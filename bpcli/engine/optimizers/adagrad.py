"""AdaGrad: a rate for each parameter that falls with the sum of its squared gradients."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from bpcli.engine.fields import AtLeast, MoreThan
from bpcli.engine.protocols import Optimizer, Parameters
from bpcli.engine.registry import optimizers, part_of


@part_of(optimizers, "adagrad")
class AdaGrad(Optimizer):
    """s <- s + g^2, theta <- theta - rate * g / (sqrt(initial_accumulator + s) + eps).

    Duchi, Hazan & Singer 2011, figure 1 (diagonal). initial_accumulator and eps are PyTorch's; Keras and optax start at
    0.1 and have eps = 1e-7 inside the root. PyTorch's lr_decay is the schedule inverse_time, by iteration. weight_decay
    and l1 add their derivative to g, for weights but not for biases.
    """

    learning_rate: Annotated[float, MoreThan(0)] = 0.01
    initial_accumulator: Annotated[float, AtLeast(0)] = 0.0
    eps: Annotated[float, MoreThan(0)] = 1e-10
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    l1: Annotated[float, AtLeast(0)] = 0.0

    def vector_names(self) -> tuple[str, ...]:
        return ("sum",)

    def step(self, p: Parameters) -> None:
        theta, grad, scratch = p.theta, p.grad, p.scratch
        total = p.state["sum"]  # without the initial value: state vectors start at zero
        np.multiply(grad, grad, out=scratch)
        np.add(total, scratch, out=total)
        np.add(total, self.initial_accumulator, out=scratch)
        np.sqrt(scratch, out=scratch)
        np.add(scratch, self.eps, out=scratch)
        np.divide(grad, scratch, out=scratch)
        np.multiply(scratch, p.rate, out=scratch)
        np.subtract(theta, scratch, out=theta)
