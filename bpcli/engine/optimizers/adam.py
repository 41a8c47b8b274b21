"""Adam: a step for each parameter, scaled by running averages of its gradient and of the gradient's square."""

from __future__ import annotations

from typing import Annotated

from bpcli.engine.fields import AtLeast, Between, MoreThan
from bpcli.engine.optimizers._moments import adam_step
from bpcli.engine.protocols import Optimizer, Parameters
from bpcli.engine.registry import optimizers, part_of


@part_of(optimizers, "adam", elsewhere="adamax amsgrad")
class Adam(Optimizer):
    """m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2, theta <- theta - rate * m' / (sqrt(v') + eps).

    m' = m / (1 - b1^t) and v' = v / (1 - b2^t) correct the bias from starting at 0 (Kingma & Ba 2015, algorithm 1; eps
    is added to the root of the corrected v, as there and in PyTorch). weight_decay and l1 add their derivative to g,
    for weights but not for biases; for decoupled weight decay see adamw.

    amsgrad: v' comes from the largest v so far, so that no parameter's steps grow again (Reddi et al. 2018, algorithm
    2, which leaves the bias in). As in PyTorch, the maximum of v is taken first and then corrected; optax corrects
    first.
    """

    learning_rate: Annotated[float, MoreThan(0)] = 0.001
    beta1: Annotated[float, Between(0, 1, end=False)] = 0.9
    beta2: Annotated[float, Between(0, 1, end=False)] = 0.999
    eps: Annotated[float, MoreThan(0)] = 1e-8
    amsgrad: bool = False
    weight_decay: Annotated[float, AtLeast(0)] = 0.0
    l1: Annotated[float, AtLeast(0)] = 0.0

    def vector_names(self) -> tuple[str, ...]:
        return ("m", "v", "v_max") if self.amsgrad else ("m", "v")

    def step(self, p: Parameters) -> None:
        adam_step(p, beta1=self.beta1, beta2=self.beta2, eps=self.eps, amsgrad=self.amsgrad)
