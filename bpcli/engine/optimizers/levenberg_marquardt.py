"""Levenberg-Marquardt: Gauss-Newton steps on a sum of squares, damped until they lower it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.fields import AtLeast, Between, MoreThan
from bpcli.engine.protocols import FullBatchOptimizer, Problem
from bpcli.engine.registry import optimizers, part_of

SMALLEST_MU = 1e-20


@part_of(optimizers, "levenberg_marquardt", "lm", "trainlm", elsewhere="lma marquardt trainbr")
class LevenbergMarquardt(FullBatchOptimizer):
    """theta <- theta - (J^T J + mu I)^-1 J^T r, for L = (1/2) r^T r with J = dr/dtheta.

    Hagan & Menhaj 1994, with the defaults of MATLAB's trainlm: after a step that lowers L, mu shrinks by mu_dec;
    otherwise mu grows by mu_inc and the step is tried again within the same iteration. If mu exceeds mu_max, theta does
    not change and training stops. J^T J is that of the loss itself, so for a mean over N samples it is N times smaller
    than for Hagan & Menhaj's sum, with the same mu. The full step is taken, so the reported learning rate is 1.

    For mse and half_squared_error, and for networks of up to a few thousand parameters: J^T J takes P^2 * 8 bytes, and
    solving for the step as much again. J^T J is always computed in float64; with dtype: float64, L can be resolved
    closer to the minimum. weight_decay adds (weight_decay / 2) |w|^2 to the loss, without biases.
    """

    mu: Annotated[float, MoreThan(0)] = 0.001
    mu_dec: Annotated[float, Between(0, 1, end=False)] = 0.1
    mu_inc: Annotated[float, MoreThan(1)] = 10.0
    mu_max: Annotated[float, MoreThan(0)] = 1e10
    weight_decay: Annotated[float, AtLeast(0)] = 0.0

    def iterate(
        self, problem: Problem, theta: Array, vectors: Mapping[str, Array], memory: dict[str, float], *, t: int
    ) -> float:
        loss = problem.value(theta)
        _, jtj, gradient = problem.normal_equations(theta)
        diagonal = jtj.diagonal().copy()
        mu = memory.get("mu", self.mu)
        while mu <= self.mu_max:
            np.fill_diagonal(jtj, diagonal + mu)
            trial = _minus_solution(theta, jtj, gradient)
            if problem.value(trial) < loss:
                np.copyto(theta, trial)
                memory["mu"] = max(mu * self.mu_dec, SMALLEST_MU)
                return loss
            mu *= self.mu_inc
        return loss


def _minus_solution(theta: Array, matrix: Array, gradient: Array) -> Array:
    """theta - matrix^-1 gradient in theta's dtype; NaN where the matrix is singular."""
    try:
        step: Array = np.linalg.solve(matrix, gradient)
    except np.linalg.LinAlgError:
        return np.full_like(theta, np.nan)
    with np.errstate(all="ignore"):  # an overflowing step is rejected because it does not lower the loss
        return (theta - step).astype(theta.dtype)
