"""Gradient descent with momentum; the learning rate grows while the loss falls and shrinks when it jumps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.fields import AtLeast, Between, MoreThan
from bpcli.engine.protocols import FullBatchOptimizer, Problem
from bpcli.engine.registry import optimizers, part_of

ATTEMPTS = 200  # at ever lower learning rates, in one iteration


@part_of(optimizers, "gradient_descent_adaptive", "traingdx", elsewhere="traingda")
class GradientDescentAdaptive(FullBatchOptimizer):
    """v <- momentum v - (1 - momentum) rate g, theta <- theta + v; then rate <- lr_inc rate if the loss fell.

    MATLAB's traingdx; with momentum 0 its traingda. If a step would raise the loss to more than max_perf_inc times its
    value, rate <- lr_dec rate and the step is tried again without momentum. MATLAB counts each attempt as an epoch;
    here it is part of the iteration. As in MATLAB, v starts at -rate g, so that the first step is a full one. After
    that the factor 1 - momentum makes v a mean of steps: momentum does not lengthen them, unlike in sgd. The reported
    learning rate is that of the step taken. If no rate helps, theta does not change and training stops.

    weight_decay adds (weight_decay / 2) |w|^2 to the loss, without biases.
    """

    learning_rate: Annotated[float, MoreThan(0)] = 0.01
    momentum: Annotated[float, Between(0, 1, end=False)] = 0.9
    lr_inc: Annotated[float, AtLeast(1)] = 1.05
    lr_dec: Annotated[float, Between(0, 1, end=False)] = 0.7
    max_perf_inc: Annotated[float, AtLeast(1)] = 1.04
    weight_decay: Annotated[float, AtLeast(0)] = 0.0

    def vector_names(self) -> tuple[str, ...]:
        return ("velocity",)

    def iterate(
        self, problem: Problem, theta: Array, vectors: Mapping[str, Array], memory: dict[str, float], *, t: int
    ) -> float:
        loss, grad = problem.value_and_grad(theta)
        g, rate, momentum = grad.copy(), memory.get("rate", self.learning_rate), self.momentum
        velocity = vectors["velocity"] if "rate" in memory else -rate * g
        highest = loss + (self.max_perf_inc - 1.0) * abs(loss)  # max_perf_inc times the loss, if that is positive
        for _ in range(ATTEMPTS):
            step = momentum * velocity - (1.0 - momentum) * rate * g
            trial = theta + step
            value = problem.value(trial)
            if value <= highest:
                np.copyto(theta, trial)
                np.copyto(vectors["velocity"], step)
                memory["learning_rate"] = rate
                memory["rate"] = rate * self.lr_inc if value < loss else rate
                break
            rate, momentum = rate * self.lr_dec, 0.0
        return loss
