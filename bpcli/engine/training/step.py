"""A training step: the only code that updates the parameters.

The training loop, the profile and the printed step all use the object that `make_step` returns, so the step that is
measured or shown is the step that trains. It is a `BatchStep` or a `FullBatchStep`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.objective import Penalty, penalty_of
from bpcli.engine.protocols import (
    AnyOptimizer,
    FullBatchOptimizer,
    Layer,
    Loss,
    Optimizer,
    Parameters,
    Progress,
    Schedule,
)
from bpcli.engine.registry import optimizers
from bpcli.engine.team import ALONE, Team
from bpcli.engine.training.divergence import HUGE_STEP, NotFiniteError, first_not_finite, is_finite
from bpcli.engine.training.full_batch import FullBatchUpdate, TrainingProblem, objections
from bpcli.engine.training.gradient import BatchGradient, shards_for
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState


class Step(Protocol):
    """Updates the parameters of a state; bound to its memory."""

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last step."""
        ...

    @property
    def layers(self) -> Sequence[Sequence[Layer]]:
        """The bound layers for a whole batch: for each layer of the network, one for every shard."""
        ...

    @property
    def advice(self) -> str:
        """What to try if training with this step diverges."""
        ...

    @property
    def ends_at_rest(self) -> bool:
        """Whether training ends after a step that moves no parameter, because it found no lower loss."""
        ...

    def heed(self, give_up: Callable[[], bool]) -> None:
        """Lets a step that may take long call `give_up` now and then, and stop unfinished if it returns True."""
        ...

    def __call__(self, rows: slice | Array, n: int) -> float:
        """Takes a step on these n samples and returns their loss before it.

        Raises:
            NotFiniteError: a loss, gradient or weight is not finite.
            UnfinishedIterationError: the step was abandoned; the state is as before it.
        """
        ...


class BatchStep:
    """The gradient of a batch and the optimizer's update with it. gradients: one for each size of batch."""

    ends_at_rest = False
    problem = None

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        samples: Samples,
        state: TrainState,
        options: TrainOptions,
        *,
        schedule: Schedule | None = None,
        team: Team = ALONE,
    ) -> None:
        batches = options.batches(len(samples))
        self.network, self.samples, self.state, self.size = network, samples, state, batches.size
        self.grad = np.empty_like(state.theta)
        self.gradients = {n: _gradient(network, loss, state, self.grad, n, options, team) for n in batches.sizes}
        self.update = Update(
            network,
            optimizer,
            state,
            self.grad,
            iterations_per_epoch=batches.count,
            epochs=options.epochs,
            schedule=schedule,
            clip_norm=options.clip_norm,
            clip_value=options.clip_value,
            team=team,
        )

    @property
    def learning_rate(self) -> float:
        return self.update.learning_rate

    @property
    def layers(self) -> Sequence[Sequence[Layer]]:
        return self.gradients[self.size].layers

    @property
    def advice(self) -> str:
        return (
            f"a lower optimizer.learning_rate (it was {self.learning_rate:g}), "
            "training.clip_norm: 1.0, data.scale: standard, or training.on_divergence: halve_rate"
        )

    def heed(self, give_up: Callable[[], bool]) -> None:
        pass  # a single gradient does not take long

    def __call__(self, rows: slice | Array, n: int) -> float:
        gradient = self.gradients[n]
        value = gradient(self.samples, rows)
        if not (math.isfinite(value) and self.update.apply()):
            raise NotFiniteError(*first_not_finite(self.network, self.state, gradient, loss=value))
        return value


class FullBatchStep:
    """An iteration of a full-batch method, which may evaluate its `problem`, the whole training set, several times."""

    ends_at_rest = True
    advice = "data.scale: standard"

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: FullBatchOptimizer,
        samples: Samples,
        state: TrainState,
        options: TrainOptions,
        *,
        team: Team = ALONE,
    ) -> None:
        self.network, self.state = network, state
        self.size = n = len(samples)
        point = np.empty_like(state.theta)
        at_point = dataclasses.replace(state, theta=point)
        gradient = _gradient(network, loss, at_point, np.empty_like(point), n, options, team)
        self.gradients = {n: gradient}
        self.problem = TrainingProblem(network, loss, samples, gradient, point, optimizer.weight_decay)
        self.update = FullBatchUpdate(optimizer, self.problem, state)

    @property
    def learning_rate(self) -> float:
        return self.update.learning_rate

    @property
    def layers(self) -> Sequence[Sequence[Layer]]:
        return self.gradients[self.size].layers

    def heed(self, give_up: Callable[[], bool]) -> None:
        self.problem.give_up = give_up

    def __call__(self, rows: slice | Array, n: int) -> float:
        value = self.update.apply()
        if not math.isfinite(value):
            raise NotFiniteError(*first_not_finite(self.network, self.state, self.gradients[n], loss=value))
        return value


def make_step(
    network: Network,
    loss: Loss,
    optimizer: AnyOptimizer,
    samples: Samples,
    state: TrainState,
    options: TrainOptions,
    *,
    schedule: Schedule | None = None,
    team: Team = ALONE,
) -> BatchStep | FullBatchStep:
    """The step for this optimizer.

    Raises:
        ValueError: the options do not fit a full-batch method.
    """
    if not isinstance(optimizer, FullBatchOptimizer):
        return BatchStep(network, loss, optimizer, samples, state, options, schedule=schedule, team=team)
    found = objections(
        optimizers.name_of(optimizer),
        network,
        loss,
        full_batch=options.batch_size is None,
        scheduled=schedule is not None,
        clipped=tuple(key for key in ("clip_norm", "clip_value") if getattr(options, key) is not None),
    )
    if messages := [f"{key}: {message}" for key, _, message in found]:
        raise ValueError("\n".join(messages))
    return FullBatchStep(network, loss, optimizer, samples, state, options, team=team)


def _gradient(
    network: Network, loss: Loss, state: TrainState, grad: Array, n: int, options: TrainOptions, team: Team
) -> BatchGradient:
    shards = min(n, options.shards or shards_for(network, n))
    return BatchGradient(network, loss, state, grad, n=n, shards=shards, team=team)


PART = 1 << 16  # parameters updated together: with the optimizer's vectors they fit in cache
WORTH_TWO_THREADS = 250_000  # numbers in theta and the optimizer's vectors


class Update:
    """An optimizer's step on the parameters of a state. Memory is allocated once.

    clip_value: each element of the gradient is first clipped to -clip_value..clip_value. clip_norm: a longer gradient
    is then scaled down to this Euclidean norm, over all parameters that learn. The derivative of the optimizer's
    penalty is added after that. grad: holds the gradient; overwritten. team: its threads share the pieces of a large
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
        self.pieces = [
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
        self.tasks = [partial(self._move, piece) for piece in self.pieces]
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
        for piece in self.pieces:
            piece.t = state.step
            if self.rate_scale is None:
                piece.rate = rate
        if len(self.pieces) > 1:
            self.team.run(self.tasks)
        else:
            self._move(self.pieces[0])
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
