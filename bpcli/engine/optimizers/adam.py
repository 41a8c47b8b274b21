"""Adam: a step for each parameter, scaled by running averages of its gradient and of the gradient's square."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.fields import AtLeast, Between, MoreThan, check_fields
from bpcli.engine.penalty import add_penalty_gradient
from bpcli.engine.registry import optimizers


@optimizers.register("adam")
@dataclass(frozen=True, kw_only=True)
class Adam:
    """m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, theta <- theta - rate * m' / (sqrt(v') + eps).

    m' = m / (1 - b1^t) and v' = v / (1 - b2^t) take off the bias of the zero start (Kingma & Ba 2015, algorithm 1;
    eps is added to the root of the corrected v, as there and in PyTorch). weight_decay and l1 add their derivative
    to g, for weights and not for biases.
    """

    learning_rate: Annotated[float, MoreThan(0)] = 0.001
    beta1: Annotated[float, Between(0, 1, end=False)] = 0.9
    beta2: Annotated[float, Between(0, 1, end=False)] = 0.999
    eps: Annotated[float, MoreThan(0)] = 1e-8
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    l1: Annotated[float, AtLeast(0)] = 0.0

    def __post_init__(self) -> None:
        check_fields(self)

    def vector_names(self) -> tuple[str, ...]:
        return ("m", "v")

    def step(
        self,
        theta: Array,
        grad: Array,
        state: Mapping[str, Array],
        scratch: Array,
        *,
        rate: float | Array,
        t: int,
        decay: Array,
    ) -> None:
        add_penalty_gradient(theta, grad, scratch, decay=decay, l2=self.weight_decay, l1=self.l1)
        m, v = state["m"], state["v"]
        np.multiply(m, self.beta1, out=m)
        np.multiply(grad, 1.0 - self.beta1, out=scratch)
        np.add(m, scratch, out=m)
        np.multiply(v, self.beta2, out=v)
        np.multiply(grad, grad, out=scratch)
        np.multiply(scratch, 1.0 - self.beta2, out=scratch)
        np.add(v, scratch, out=v)

        np.sqrt(v, out=scratch)
        np.multiply(scratch, 1.0 / math.sqrt(1.0 - self.beta2**t), out=scratch)
        np.add(scratch, self.eps, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, rate, out=scratch)
        np.multiply(scratch, 1.0 / (1.0 - self.beta1**t), out=scratch)
        np.subtract(theta, scratch, out=theta)
