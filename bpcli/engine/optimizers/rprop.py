"""Rprop: step sizes that depend on the sign of each gradient and not on its size."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from bpcli.engine.fields import AtLeast, Between, MoreThan
from bpcli.engine.protocols import Optimizer, Parameters
from bpcli.engine.registry import optimizers, part_of


@part_of(
    optimizers,
    "rprop",
    elsewhere="fann_train_quickprop fann_train_rprop fann_train_sarprop "
    "irprop quickprop resilient_backpropagation trainrp",
)
class RProp(Optimizer):
    """Step sizes grow by eta_plus while g keeps its sign; where it flips, they shrink by eta_minus and skip one step.

    theta <- theta - (rate / learning_rate) * step * sign(g). This is iRprop- (Igel & Huesken 2000, algorithm 4), as is
    PyTorch's Rprop despite its name: where g flips its sign, Rprop- takes the shrunk step, and Rprop+ (Riedmiller &
    Braun 1993) reverts the last step. Steps start at learning_rate and stay within min_step and max_step. PyTorch uses
    the rate only for that start; here a schedule and a layer's learning_rate_scale multiply every step.

    For full batches: with mini-batches, signs flip at random, and all steps shrink to min_step.
    """

    learning_rate: Annotated[float, MoreThan(0)] = 0.01
    eta_minus: Annotated[float, Between(0, 1, end=False)] = 0.5
    eta_plus: Annotated[float, MoreThan(1)] = 1.2
    min_step: Annotated[float, AtLeast(0)] = 1e-6
    max_step: Annotated[float, MoreThan(0)] = 50.0

    def vector_names(self) -> tuple[str, ...]:
        return ("step", "sign")

    def step(self, p: Parameters) -> None:
        theta, grad, scratch = p.theta, p.grad, p.scratch
        step, sign = p.state["step"], p.state["sign"]
        if p.t == 1:
            step.fill(self.learning_rate)
        # signs, not gradients: the product of two small gradients could be 0
        np.sign(grad, out=grad)
        np.multiply(sign, grad, out=sign)  # 1 where g kept its sign, -1 where it flipped, 0 where either is 0
        np.maximum(sign, 0.0, out=scratch)
        np.multiply(scratch, self.eta_plus - 1.0, out=scratch)
        np.add(scratch, 1.0, out=scratch)
        np.multiply(step, scratch, out=step)
        np.minimum(sign, 0.0, out=sign)
        np.multiply(sign, 1.0 - self.eta_minus, out=scratch)
        np.add(scratch, 1.0, out=scratch)
        np.multiply(step, scratch, out=step)
        np.clip(step, self.min_step, self.max_step, out=step)
        np.add(sign, 1.0, out=sign)
        np.multiply(sign, grad, out=sign)  # g's sign, 0 where it flipped
        np.multiply(step, sign, out=scratch)
        np.multiply(scratch, p.rate, out=scratch)
        np.divide(scratch, self.learning_rate, out=scratch)
        np.subtract(theta, scratch, out=theta)
