"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.fields import AtLeast, Between, MoreThan
from bpcli.engine.optimizers._moments import adam_step
from bpcli.engine.protocols import Optimizer, Parameters
from bpcli.engine.registry import optimizers, part_of


@part_of(optimizers, "adamw")
class AdamW(Optimizer):
    """theta <- theta - rate * weight_decay * theta, for weights and not for biases; then Adam's step.

    The decay is not part of g and so not divided by sqrt(v): weights with large gradients decay like the others
    (Loshchilov & Hutter 2019, algorithm 2). In the paper the decay is multiplied by the schedule's factor only. Here,
    as in PyTorch and Keras, it is multiplied by the rate, so its strength changes with the learning rate. amsgrad as in
    adam.
    """

    learning_rate: Annotated[float, MoreThan(0)] = 0.001
    beta1: Annotated[float, Between(0, 1, end=False)] = 0.9
    beta2: Annotated[float, Between(0, 1, end=False)] = 0.999
    eps: Annotated[float, MoreThan(0)] = 1e-8
    amsgrad: bool = False
    weight_decay: Annotated[float, AtLeast(0)] = 0.01

    decoupled_decay: ClassVar[bool] = True

    def vector_names(self) -> tuple[str, ...]:
        return ("m", "v", "v_max") if self.amsgrad else ("m", "v")

    def step(self, p: Parameters) -> None:
        if self.weight_decay:
            np.multiply(p.decay, -self.weight_decay, out=p.scratch)
            np.multiply(p.scratch, p.rate, out=p.scratch)
            np.add(p.scratch, 1.0, out=p.scratch)
            np.multiply(p.theta, p.scratch, out=p.theta)
        adam_step(p, beta1=self.beta1, beta2=self.beta2, eps=self.eps, amsgrad=self.amsgrad)
