"""From a batch's gradient to the change of theta: frozen parameters, clipping, the learning rate, the optimizer."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.divergence import HUGE_STEP, is_finite
from bpcli.engine.network import Network
from bpcli.engine.protocols import Moment, Optimizer, Schedule
from bpcli.engine.state import TrainState
from bpcli.engine.team import ALONE, Team

PART = 1 << 16  # parameters that are updated together: with the optimizer's vectors they stay in cache
WORTH_TWO_THREADS = 250_000  # numbers in theta and the optimizer's vectors


class Update:
    """An optimizer's step on a network's parameters, on memory made once.

    clip_value: each number of the gradient is first cut to -clip_value..clip_value. clip_norm: a longer gradient is
    then shortened to this Euclidean norm, over all parameters that learn. team: shares the parts of a large theta.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        theta: Array,
        *,
        iterations_per_epoch: int,
        epochs: int,
        schedule: Schedule | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        team: Team = ALONE,
    ) -> None:
        self.optimizer, self.schedule = optimizer, schedule
        self.clip_norm, self.clip_value = clip_norm, clip_value
        self.iterations_per_epoch, self.epochs = iterations_per_epoch, epochs
        count = -(-theta.size // PART)
        self.parts = [slice(theta.size * k // count, theta.size * (k + 1) // count) for k in range(count)]
        numbers = theta.size * (1 + len(optimizer.vector_names()))
        self.team = team if numbers >= WORTH_TWO_THREADS else ALONE
        self.scratch = np.empty_like(theta)
        self.decay = network.decay_mask.astype(theta.dtype)
        mask = network.trainable_mask
        self.mask = None if bool(mask.all()) else mask.astype(theta.dtype)
        scale = network.rate_scale
        self.rate_scale = None if scale is None else scale.astype(theta.dtype)
        self.rates = np.empty_like(theta)
        self.learning_rate = optimizer.learning_rate

    def __call__(self, state: TrainState, grad: Array) -> bool:
        """Does one step: changes theta, the optimizer's vectors and `step`; overwrites grad.

        Gives False, and does nothing, if the gradient is not finite; gives False too after a huge step that leaves a
        weight so.
        """
        if self.mask is not None:
            np.multiply(grad, self.mask, out=grad)
        square = float(np.vdot(grad, grad))  # not finite exactly when something in grad is not, and needs no array
        if not math.isfinite(square):
            return False
        if self.clip_value is not None:
            np.clip(grad, -self.clip_value, self.clip_value, out=grad)
            square = float(np.vdot(grad, grad))
        if self.clip_norm is not None and math.sqrt(square) > self.clip_norm:
            np.multiply(grad, self.clip_norm / math.sqrt(square), out=grad)
        self.learning_rate = rate = self.rate_at(state, state.step)
        state.step += 1
        rates = rate if self.rate_scale is None else np.multiply(self.rate_scale, rate, out=self.rates)
        if len(self.parts) > 1:
            self.team.run([partial(self._step_part, part, state, grad, rates) for part in self.parts])
        else:
            self.optimizer.step(
                state.theta, grad, state.vectors, self.scratch, rate=rates, t=state.step, decay=self.decay
            )
        return rate * rate * (1.0 + square) < HUGE_STEP or is_finite(state.theta)

    def _step_part(self, part: slice, state: TrainState, grad: Array, rates: float | Array) -> None:
        """The optimizer's step for a part of all parameters: each of them goes its way by itself."""
        self.optimizer.step(
            state.theta[part],
            grad[part],
            {name: vector[part] for name, vector in state.vectors.items()},
            self.scratch[part],
            rate=rates if isinstance(rates, float) else rates[part],
            t=state.step,
            decay=self.decay[part],
        )

    def rate_at(self, state: TrainState, step: int) -> float:
        """The learning rate at that iteration of the epoch under way."""
        rate = self.optimizer.learning_rate
        if self.schedule is None:
            return rate
        moment = Moment(state.epoch, step, self.iterations_per_epoch, self.epochs)
        return rate * self.schedule.factor(moment, state.memory)
