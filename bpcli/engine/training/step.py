"""A training step: the only code that updates the parameters.

The training loop, the profile and the printed step all use the object that `make_step` returns, so the step that is
measured or shown is the step that trains. It is a `BatchStep` or a `FullBatchStep`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.protocols import AnyOptimizer, FullBatchOptimizer, Layer, Loss, Optimizer, Schedule
from bpcli.engine.registry import optimizers
from bpcli.engine.team import ALONE, Team
from bpcli.engine.training.divergence import NotFiniteError, first_not_finite
from bpcli.engine.training.full_batch import FullBatchUpdate, TrainingProblem, objections
from bpcli.engine.training.gradient import BatchGradient, shards_for
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.update import Update


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
    """An iteration of a full-batch method, which may evaluate the whole training set several times."""

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
