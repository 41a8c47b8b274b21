"""Scaled conjugate gradients: steps from the curvature along conjugate directions, without a line search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.fields import AtLeast, MoreThan
from bpcli.engine.protocols import FullBatchOptimizer, Problem
from bpcli.engine.registry import optimizers, part_of

ATTEMPTS = 100  # to raise lambda along one direction
SMALLEST = math.ulp(0.0)  # against a sum that underflows


@part_of(
    optimizers,
    "scaled_conjugate_gradient",
    "scg",
    "trainscg",
    elsewhere="cg conjugate_gradient traincgb traincgf traincgp",
)
class ScaledConjugateGradient(FullBatchOptimizer):
    """theta <- theta + alpha p, alpha = p^T r / (p^T s + lambda |p|^2), r = -dL/dtheta.

    Moller 1993, with the defaults of MATLAB's trainscg: s is the change of the gradient over a distance of sigma along
    p; lambda falls if the quadratic model of L fits and rises if it does not. The new direction is r + beta p, and r
    itself after every P steps for P parameters. An iteration is a step that does not raise L; Moller's unsuccessful
    steps, which only raise lambda, are part of it. The reported learning rate is alpha. If no lambda helps, r is tried
    instead of p. If that does not help either, theta does not change and training stops.

    weight_decay adds (weight_decay / 2) |w|^2 to the loss, without biases.
    """

    sigma: Annotated[float, MoreThan(0)] = 5e-5
    lambda_start: Annotated[float, MoreThan(0)] = 5e-7
    weight_decay: Annotated[float, AtLeast(0)] = 0.0

    def vector_names(self) -> tuple[str, ...]:
        return ("direction",)

    def iterate(
        self, problem: Problem, theta: Array, vectors: Mapping[str, Array], memory: dict[str, float], *, t: int
    ) -> float:
        loss, grad = problem.value_and_grad(theta)
        r, p = -grad, vectors["direction"]
        if "lambda" in memory and self._step(problem, theta, p, r, loss, memory):
            return loss
        np.copyto(p, r)
        memory.update({"lambda": self.lambda_start, "since_restart": 0.0})
        self._step(problem, theta, p, r, loss, memory)
        return loss

    def _step(self, problem: Problem, theta: Array, p: Array, r: Array, loss: float, memory: dict[str, float]) -> bool:
        """Takes a step along p and computes the next p. Returns False, changing nothing, if L does not fall."""
        size, along = float(p @ p), float(p @ r)
        if not (along > 0 and 0 < along * along < math.inf and 0 < size < math.inf):  # it is a divisor below
            return False
        sigma = self.sigma / math.sqrt(size)
        curvature = float(p @ (problem.value_and_grad(theta + sigma * p)[1] + r)) / sigma
        lambda_ = memory["lambda"]
        for _ in range(ATTEMPTS):
            delta = curvature + lambda_ * size
            if delta <= 0:  # step 4: makes the Hessian positive definite along p
                lambda_ = 2.0 * (lambda_ - delta / size)
                delta = curvature + lambda_ * size or SMALLEST
            alpha = along / delta
            trial = theta + alpha * p
            fit = 2.0 * delta * (loss - problem.value(trial)) / along**2  # step 6's comparison parameter
            if fit >= 0:
                break
            lambda_ += delta * (1.0 - fit if math.isfinite(fit) else 10.0) / size
        if not fit >= 0 or not math.isfinite(lambda_) or np.array_equal(trial, theta):
            return False
        if fit >= 0.75:
            lambda_ /= 4.0
        elif fit < 0.25:
            lambda_ += delta * (1.0 - fit) / size
        r_after = -problem.value_and_grad(trial)[1]
        np.copyto(theta, trial)
        steps = memory.get("since_restart", 0.0) + 1.0
        beta = 0.0 if steps >= theta.size else (float(r_after @ r_after) - float(r_after @ r)) / along
        np.multiply(p, beta, out=p)
        np.add(p, r_after, out=p)
        memory.update({"lambda": lambda_, "since_restart": steps % theta.size, "learning_rate": alpha})
        return True
