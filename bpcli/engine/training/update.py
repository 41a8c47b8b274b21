"""From a batch's gradient to the change of theta: frozen parameters, clipping, the learning rate, the optimizer."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.objective import Penalty, penalty_of
from bpcli.engine.protocols import Optimizer, Parameters, Progress, Schedule
from bpcli.engine.team import ALONE, Team
from bpcli.engine.training.divergence import HUGE_STEP, is_finite
from bpcli.engine.training.state import TrainState

PART = 1 << 16  # parameters updated together: with the optimizer's vectors they fit in cache
WORTH_TWO_THREADS = 250_000  # numbers in theta and the optimizer's vectors


class Update:
    """An optimizer's step on the parameters of a state. Memory is allocated once.

    clip_value: each element of the gradient is first clipped to -clip_value..clip_value. clip_norm: a longer gradient
    is then scaled down to this Euclidean norm, over all parameters that learn. The derivative of the optimizer's
    penalty is added after that. grad: holds the gradient; overwritten. team: its threads share the parts of a large
    theta.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        state: TrainState,
        grad: Array,
        *,
        iterations_per_epoch: int,
        epochs: int,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        team: Team = ALONE,
    ) -> None:
        self.optimizer, self.state, self.grad, self.schedule = optimizer, state, grad, schedule
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.iterations_per_epoch, self.epochs = iterations_per_epoch, epochs
        theta = state.theta
        mask = network.trainable_mask
        self.mask = None if bool(mask.all()) else mask.astype(theta.dtype)
        scale = network.rate_scale
        self.rate_scale = None if scale is None else scale.astype(theta.dtype)
        self.rates = np.empty_like(theta)
        self.penalty = penalty_of(optimizer)
        self.is_penalised = self.penalty != Penalty()
        decay, scratch = network.decay_mask.astype(theta.dtype), np.empty_like(theta)
        count = -(-theta.size // PART)
        self.parts = [
            Parameters(
                theta=theta[part],
                grad=grad[part],
                state={name: vector[part] for name, vector in state.vectors.items()},
                scratch=scratch[part],
                decay=decay[part],
                rate=self.rates[part],
            )
            for part in (slice(theta.size * k // count, theta.size * (k + 1) // count) for k in range(count))
        ]
        self.tasks = [partial(self._move, part) for part in self.parts]
        numbers = theta.size * (1 + len(state.vectors))
        self.team = team if numbers >= WORTH_TWO_THREADS else ALONE
        # if a resumed epoch has no iteration left, the rate of its last one is reported
        self.learning_rate = self.rate_at(state.step - 1) if state.position else optimizer.learning_rate

    def apply(self) -> bool:
        """Takes one step: updates theta, the optimizer's vectors and `step`; overwrites grad.

        Returns False and changes nothing if the gradient is not finite. Also returns False after a huge step that
        leaves a weight not finite.
        """
        grad, state = self.grad, self.state
        if self.mask is not None:
            np.multiply(grad, self.mask, out=grad)
        square = float(np.vdot(grad, grad))  # not finite exactly when a value in grad is not, and allocates no array
        if not math.isfinite(square):
            return False
        if self.clip_value is not None:
            np.clip(grad, -self.clip_value, self.clip_value, out=grad)
            square = float(np.vdot(grad, grad))
        if self.clip_norm is not None and math.sqrt(square) > self.clip_norm:
            np.multiply(grad, self.clip_norm / math.sqrt(square), out=grad)
        self.learning_rate = rate = self.rate_at(state.step)
        state.step += 1
        if self.rate_scale is not None:
            np.multiply(self.rate_scale, rate, out=self.rates)
        for part in self.parts:
            part.t = state.step
            if self.rate_scale is None:
                part.rate = rate
        if len(self.parts) > 1:
            self.team.run(self.tasks)
        else:
            self._move(self.parts[0])
        return rate * rate * (1.0 + square) < HUGE_STEP or is_finite(state.theta)

    def _move(self, part: Parameters) -> None:
        """The optimizer's step for a part of the parameters, each of which is updated independently."""
        if self.is_penalised:
            self.penalty.add_gradient(part.theta, part.grad, part.scratch, part.decay)
        self.optimizer.step(part)

    def rate_at(self, step: int) -> float:
        """The learning rate at that iteration of the current epoch."""
        rate = self.optimizer.learning_rate
        if self.schedule is None:
            return rate
        progress = Progress(self.state.epoch, step, self.iterations_per_epoch, self.epochs)
        return rate * self.schedule.factor(progress, self.state.memory)
