"""Training: a generator that steps through batches and epochs, and yields a report at the end of each epoch.

It prints nothing and saves nothing: whoever takes the reports does, between two of them, when the state is at rest.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple, TypeAlias

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.evaluation import Evaluator
from bpcli.engine.fields import AtLeast, MoreThan, check_fields
from bpcli.engine.full_batch import FullBatchUpdate, TrainingProblem, objections
from bpcli.engine.gradient import BatchGradient, shards_for
from bpcli.engine.network import Network
from bpcli.engine.protocols import AnyOptimizer, FullBatchOptimizer, Loss, Schedule, WatchingSchedule
from bpcli.engine.registry import optimizers
from bpcli.engine.samples import EpochOrder, Samples
from bpcli.engine.state import TrainState
from bpcli.engine.update import Update
from bpcli.errors import DivergenceError

StopReason: TypeAlias = Literal[
    "epochs", "goal", "early_stopping", "min_change", "no_descent", "max_seconds", "interrupted"
]

REPORT_SECONDS = 0.25  # within a long epoch, a report at least this often


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Stops when `monitor` has not got better by more than min_delta for `patience` epochs.

    restore_best: whether the weights of the best epoch are the run's result, or those of the last one. Training itself
    leaves both in its state, so that it can be gone on with.
    """

    monitor: str = "val_loss"
    patience: Annotated[int, AtLeast(1)] = 6
    min_delta: Annotated[float, AtLeast(0)] = 0.0
    restore_best: bool = True

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How long and in which batches. batch_size None is the full batch; shards None decides by the work in a step."""

    epochs: Annotated[int, AtLeast(1)]
    batch_size: Annotated[int, AtLeast(1)] | None = 32
    drop_last: bool = False
    shuffle: bool = True
    shards: Annotated[int, AtLeast(1)] | None = None
    threads: Annotated[int, AtLeast(1)] = 1
    clip_norm: Annotated[float, MoreThan(0)] | None = None
    clip_value: Annotated[float, MoreThan(0)] | None = None
    early_stopping: EarlyStopping | None = None
    goal: float | None = None
    min_change: Annotated[float, MoreThan(0)] | None = None
    max_seconds: Annotated[float, MoreThan(0)] | None = None

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Validation:
    """A split that is evaluated after each epoch, and figures computed from the outputs (N, M), by name."""

    samples: Samples
    metrics: Mapping[str, Callable[[Array], float]] = field(default_factory=dict)
    higher_is_better: frozenset[str] = frozenset()


class Report(NamedTuple):
    """How training stands. `epoch` counts whole epochs; within one, `complete` is False and val_loss is None.

    train_loss: the mean over the epoch's batches, each before its update, weighted by samples (their sum for the
    reduction sum). learning_rate: of the last iteration.
    """

    epoch: int
    step: int
    position: int
    iterations: int
    complete: bool
    train_loss: float
    val_loss: float | None
    metrics: Mapping[str, float]
    learning_rate: float
    seconds: float
    stop: StopReason | None


def iterations_per_epoch(n: int, batch_size: int, *, drop_last: bool = False) -> int:
    """ceil(n / batch_size) iterations, or floor with drop_last, when a short last batch is left out."""
    return n // batch_size if drop_last else -(-n // batch_size)


def train(
    network: Network,
    loss: Loss,
    optimizer: AnyOptimizer,
    samples: Samples,
    state: TrainState,
    options: TrainOptions,
    *,
    schedule: Schedule | None = None,
    validation: Validation | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Report]:
    """Trains until a reason to stop, changing `state` in place.

    Yields a report after each epoch, and now and then within a long one. The last report has `stop` set.
    `should_stop` is asked after each iteration.

    Raises:
        DivergenceError: a loss, gradient or weight is not finite.
        ValueError: the options do not fit the samples.
    """
    with _Trainer(network, loss, optimizer, samples, state, options, schedule, validation) as trainer:
        yield from trainer.reports(should_stop)


class _Trainer:
    """The parts of one training run, bound to memory."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: AnyOptimizer,
        samples: Samples,
        state: TrainState,
        options: TrainOptions,
        schedule: Schedule | None,
        validation: Validation | None,
    ) -> None:
        self.network, self.loss = network, loss
        self.samples, self.state, self.options, self.validation = samples, state, options, validation
        self.n = len(samples)
        self.batch_size = min(options.batch_size or self.n, self.n)
        self.iterations = iterations_per_epoch(self.n, self.batch_size, drop_last=options.drop_last)
        self.shuffles = options.shuffle and self.batch_size < self.n
        self.trained_samples = min(self.iterations * self.batch_size, self.n)
        self.seconds_before = state.seconds
        self.started = time.monotonic()

        theta = state.theta
        self.grad = np.empty_like(theta)
        self.watching = schedule if isinstance(schedule, WatchingSchedule) else None
        self.before = None if options.min_change is None else np.empty_like(theta)
        self.small_change = self.no_descent = False

        self.pool = ThreadPoolExecutor(options.threads - 1) if options.threads > 1 else None
        self.update: Update | FullBatchUpdate
        if isinstance(optimizer, FullBatchOptimizer):
            self._check_full_batch(optimizer, schedule)
            self.before = np.empty_like(theta)
            point = np.empty_like(theta)
            gradient = self._batch_gradient(self.n, dataclasses.replace(state, theta=point))
            problem = TrainingProblem(network, loss, samples, gradient, point, optimizer.weight_decay)
            self.update, self.gradients = FullBatchUpdate(optimizer, problem, state), {self.n: gradient}
        else:
            self.update = Update(
                network,
                optimizer,
                theta,
                iterations_per_epoch=self.iterations,
                epochs=options.epochs,
                schedule=schedule,
                clip_norm=options.clip_norm,
                clip_value=options.clip_value,
            )
            if state.position:  # an epoch that only has to be closed is reported with its last iteration's rate
                self.update.learning_rate = self.update.rate_at(state, state.step - 1)
            self.gradients = {n: self._batch_gradient(n, state) for n in self._batch_sizes()}
        self.evaluator = None
        if validation is not None:
            self.evaluator = Evaluator(network, loss, theta, validation.samples, stats=state.stats)
        self.monitor, self.sign = self._monitor()

    def __enter__(self) -> _Trainer:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.pool is not None:
            self.pool.shutdown()

    def _batch_sizes(self) -> set[int]:
        left_over = self.trained_samples % self.batch_size
        return {self.batch_size, left_over} - {0}

    def _batch_gradient(self, n: int, state: TrainState) -> BatchGradient:
        shards = min(n, self.options.shards or shards_for(self.network, n))
        return BatchGradient(self.network, self.loss, state, self.grad, n=n, shards=shards, pool=self.pool)

    def _check_full_batch(self, optimizer: FullBatchOptimizer, schedule: Schedule | None) -> None:
        clipped = tuple(key for key in ("clip_norm", "clip_value") if getattr(self.options, key) is not None)
        found = objections(
            optimizers.name_of(optimizer),
            self.network,
            self.loss,
            full_batch=self.options.batch_size is None,
            scheduled=schedule is not None,
            clipped=clipped,
        )
        if messages := [f"{key}: {message}" for key, _, message in found]:
            raise ValueError("\n".join(messages))

    def _monitor(self) -> tuple[str, float]:
        """What is watched for the best epoch, and the sign that makes smaller better."""
        names = ["train_loss"]
        higher: frozenset[str] = frozenset()
        if self.validation is not None:
            names += ["val_loss", *self.validation.metrics]
            higher = self.validation.higher_is_better
        stopping = self.options.early_stopping
        name = stopping.monitor if stopping else names[min(1, len(names) - 1)]
        if name not in names:
            raise ValueError(f"early_stopping.monitor: expected one of {', '.join(names)}, got {name!r}")
        return name, -1.0 if name in higher else 1.0

    def reports(self, should_stop: Callable[[], bool]) -> Iterator[Report]:
        """Epoch after epoch, until there is a reason to stop."""
        state = self.state
        if state.epoch >= self.options.epochs:
            yield self._report(complete=True, train_loss=math.nan, stop="epochs")
            return
        while True:
            for stop in self._iterate(should_stop):
                yield self._report(complete=False, train_loss=self._mean_loss(), stop=stop)
                if stop:
                    return
            report = self._end_of_epoch()
            yield report
            if report.stop:
                return

    def _iterate(self, should_stop: Callable[[], bool]) -> Iterator[StopReason | None]:
        """Trains the rest of an epoch; yields when a report is due (None) or a reason to stop comes up."""
        state, limit = self.state, self.options.max_seconds
        order = self._order()
        self.small_change = self.no_descent = False
        due = time.monotonic() + REPORT_SECONDS
        while state.position < self.iterations:
            low = state.position * self.batch_size
            high = min(low + self.batch_size, self.n)
            rows: slice | Array = slice(low, high) if order is None else order[low:high]
            state.loss_sum += self._step(rows, high - low) * (high - low if self.loss.reduction == "mean" else 1)
            state.position += 1
            now = time.monotonic()
            if should_stop():
                yield "interrupted"
            if limit is not None and self.seconds_before + now - self.started >= limit:
                yield "max_seconds"
            if self.small_change:
                return
            if now >= due and state.position < self.iterations:
                due = now + REPORT_SECONDS
                yield None

    def _order(self) -> EpochOrder | None:
        """The epoch's order of samples, in the middle of an epoch drawn once more; None for their own order."""
        if not self.shuffles:
            return None
        state = self.state
        if state.position and state.shuffle_before is not None:
            state.shuffle.bit_generator.state = state.shuffle_before
        state.shuffle_before = state.shuffle.bit_generator.state
        return self.samples.order(state.shuffle)

    def _step(self, rows: slice | Array, n: int) -> float:
        """One iteration: loss and gradient of a batch, then the update. Returns the batch's loss."""
        theta, before = self.state.theta, self.before
        if before is not None:
            np.copyto(before, theta)
        if isinstance(self.update, FullBatchUpdate):
            value = self.update()
            diverged = not math.isfinite(value)
        else:
            value = self.gradients[n](self.samples, rows)
            diverged = not (math.isfinite(value) and self.update(self.state, self.grad))
        if diverged:
            self._raise_divergence(n)
        if before is not None:
            np.subtract(theta, before, out=before)
            change = float(np.abs(before, out=before).max())
            self.small_change = change < (self.options.min_change or 0.0)
            self.no_descent = change == 0.0 and isinstance(self.update, FullBatchUpdate)
        return value

    def _mean_loss(self) -> float:
        """The mean loss over the samples seen so far in this epoch (their sum for the reduction sum)."""
        seen = min(self.state.position * self.batch_size, self.n)
        return self.state.loss_sum / seen if self.loss.reduction == "mean" else self.state.loss_sum

    def _end_of_epoch(self) -> Report:
        state, options = self.state, self.options
        train_loss = self._mean_loss()
        state.epoch, state.position, state.loss_sum = state.epoch + 1, 0, 0.0
        if not math.isfinite(float(np.dot(state.theta, state.theta))):
            self._raise_divergence(self.batch_size)
        val_loss, metrics = self._validate()
        watched: dict[str, float | None] = {"train_loss": train_loss, "val_loss": val_loss, **metrics}
        value = watched[self.monitor]
        assert value is not None  # val_loss is only monitored where there is a validation split
        if self.watching is not None:
            self.watching.after_epoch(self.sign * value, state.memory)
        self._keep_best(value)
        stop: StopReason | None = None
        if options.goal is not None and train_loss <= options.goal:
            stop = "goal"
        elif self.small_change:
            stop = "min_change"
        elif self.no_descent:
            stop = "no_descent"
        elif options.early_stopping and state.epoch - state.stall_epoch >= options.early_stopping.patience:
            stop = "early_stopping"
        elif state.epoch >= options.epochs:
            stop = "epochs"
        return self._report(complete=True, train_loss=train_loss, val_loss=val_loss, metrics=metrics, stop=stop)

    def _validate(self) -> tuple[float | None, dict[str, float]]:
        if self.evaluator is None or self.validation is None:
            return None, {}
        evaluation = self.evaluator()
        return evaluation.loss, {name: f(evaluation.output) for name, f in self.validation.metrics.items()}

    def _keep_best(self, value: float) -> None:
        """Remembers the weights if the monitored value is the best so far."""
        state, sign = self.state, self.sign
        min_delta = self.options.early_stopping.min_delta if self.options.early_stopping else 0.0
        if state.stall_value is None or sign * value < sign * state.stall_value - min_delta:
            state.stall_value, state.stall_epoch = value, state.epoch
        if state.is_better(value, sign):
            state.keep_as_best(value)

    def _report(
        self,
        *,
        complete: bool,
        train_loss: float,
        val_loss: float | None = None,
        metrics: Mapping[str, float] | None = None,
        stop: StopReason | None,
    ) -> Report:
        state = self.state
        state.seconds = self.seconds_before + time.monotonic() - self.started
        return Report(
            epoch=state.epoch,
            step=state.step,
            position=state.position,
            iterations=self.iterations,
            complete=complete,
            train_loss=train_loss,
            val_loss=val_loss,
            metrics=metrics or {},
            learning_rate=self.update.learning_rate,
            seconds=state.seconds,
            stop=stop,
        )

    def _raise_divergence(self, n: int) -> None:
        state = self.state
        advice = (
            "data.scale: standard"
            if isinstance(self.update, FullBatchUpdate)
            else f"a lower optimizer.learning_rate (it was {self.update.learning_rate:g}), "
            "training.clip_norm: 1.0, or data.scale: standard"
        )
        raise DivergenceError(
            f"training diverged in epoch {state.epoch + 1}, iteration {state.step + 1}: {self._first_not_finite(n)} "
            f"is not finite. Try {advice}"
        )

    def _first_not_finite(self, n: int) -> str:
        """The first layer, forward and then backward, with a value that is not finite for the batch in the buffers."""
        with np.errstate(all="ignore"):
            for shard in self.gradients[n].shards:
                x = shard.x
                for placed, layer in zip(self.network.placed, shard.stack.layers, strict=True):
                    x = layer.forward(x, training=True)
                    if not bool(np.isfinite(x).all()):
                        return f"the output of layer {placed.name}"
        names = [placed.name for placed in self.network.placed if f"{placed.name}.W" in self.network.layout.slices]
        views = self.network.layout.views(self.grad)
        wrong = [name for name in reversed(names) if not bool(np.isfinite(views[f"{name}.W"]).all())]
        return f"the gradient of layer {wrong[0]}" if wrong else f"the loss at the output of layer {names[-1]}"
