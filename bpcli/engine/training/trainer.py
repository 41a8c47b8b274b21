"""Training: a generator that runs over batches and epochs and yields a report at the end of each epoch.

It prints nothing and saves nothing: the caller does so between two reports, while the state does not change.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, NoReturn, TypeAlias

import numpy as np

from bpcli.engine.arrays import Array, quiet_context
from bpcli.engine.network import Network
from bpcli.engine.protocols import AnyOptimizer, Loss, Schedule, WatchingSchedule
from bpcli.engine.team import Team, ThreadTuner
from bpcli.engine.training.divergence import NotFiniteError, not_finite_state
from bpcli.engine.training.evaluation import Evaluator
from bpcli.engine.training.full_batch import UnfinishedIterationError
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import EpochOrder, Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.step import BatchStep, FullBatchStep, Step, make_step
from bpcli.errors import DivergenceError

StopReason: TypeAlias = Literal[
    "epochs", "goal", "early_stopping", "min_change", "no_descent", "max_seconds", "interrupted"
]

REPORT_SECONDS = 0.25  # a long epoch yields a report at least this often


@dataclass(frozen=True)
class Validation:
    """A split that is evaluated after each epoch, and figures computed from the outputs (N, M), by name."""

    samples: Samples
    metrics: Mapping[str, Callable[[Array], float]] = field(default_factory=dict)
    higher_is_better: frozenset[str] = frozenset()


class Report(NamedTuple):
    """The progress of training. `epoch` counts whole epochs; within one, `complete` is False and val_loss is None.

    epochs: how many are to be trained in all. train_loss: the mean over the epoch's batches, each before its update,
    weighted by samples (their sum for the reduction sum). learning_rate: of the last iteration.
    """

    epoch: int
    epochs: int
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
    on_step: Callable[[BatchStep | FullBatchStep], None] = lambda step: None,
) -> Iterator[Report]:
    """Trains until a reason to stop, changing `state` in place.

    Yields a report after each epoch, and now and then within a long one. The last report has `stop` set. `should_stop`
    is called after each iteration, and now and then within a long iteration of a full-batch method. If that one has to
    stop, there or when max_seconds have passed, it is undone, and a resume repeats it. `on_step` is called once with
    the step object before the first iteration.

    Raises:
        DivergenceError: a loss, gradient or weight is not finite.
        ValueError: the options do not fit the samples.
    """
    with Team(options.threads) as team:
        step = make_step(network, loss, optimizer, samples, state, options, schedule=schedule, team=team)
        on_step(step)
        trainer = _Trainer(step, network, loss, samples, state, options, schedule, validation, team, should_stop)
        yield from trainer.reports()


class _Trainer:
    """The training loop of one run."""

    def __init__(
        self,
        step: Step,
        network: Network,
        loss: Loss,
        samples: Samples,
        state: TrainState,
        options: TrainOptions,
        schedule: Schedule | None,
        validation: Validation | None,
        team: Team,
        should_stop: Callable[[], bool],
    ) -> None:
        self.network, self.samples, self.state = network, samples, state
        self.options, self.validation = options, validation
        self.batches = options.batches(len(samples))
        self.all_rows = slice(0, len(samples))
        self.averages = loss.reduction == "mean"
        self.shuffles = options.shuffle and self.batches.size < len(samples)
        self.seconds_before = state.seconds
        self.started = time.monotonic()
        self.watching = schedule if isinstance(schedule, WatchingSchedule) else None
        self.tuner = ThreadTuner(team) if team.size > 1 else None
        self.take_step = step
        measures = options.min_change is not None or step.ends_at_rest
        self.before = np.empty_like(state.theta) if measures else state.theta[:0]
        self.step = self._measured_step if measures else step
        self.small_change = self.no_descent = False
        self.should_stop = should_stop
        self.look_at = 0.0  # when a long step next checks whether to continue
        self.given_up: StopReason | None = None  # why a long step was abandoned
        step.heed(self._gives_up)
        self.evaluator = None
        if validation is not None:
            self.evaluator = Evaluator(network, loss, state.theta, validation.samples, stats=state.stats, team=team)
        self.monitor, self.sign = self._monitor()

    def _monitor(self) -> tuple[str, float]:
        """What decides the best epoch, and the sign that makes smaller better."""
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

    def reports(self) -> Iterator[Report]:
        """Runs epochs until there is a reason to stop."""
        state = self.state
        self._check_state()
        if state.epoch >= self.options.epochs:
            yield self._report(complete=True, train_loss=math.nan, stop="epochs")
            return
        quietly = quiet_context().run  # each step checks for values that are not finite and names their layer
        while True:
            order = self._order()
            self.small_change = self.no_descent = False
            while (pause := quietly(self._iterate, order)) is not None:
                self._check_state()
                stop = None if pause == "report" else pause
                yield self._report(complete=False, train_loss=self._mean_loss(), stop=stop)
                if stop:
                    return
            report = self._end_of_epoch()
            yield report
            if report.stop:
                return

    def _iterate(self, order: EpochOrder | None) -> StopReason | Literal["report"] | None:
        """Trains to the end of the epoch (None), or until a report is due or there is a reason to stop."""
        state, count = self.state, self.batches.count
        begun = time.monotonic()
        due = begun + REPORT_SECONDS
        tuner = self.tuner
        if tuner is not None:
            tuner.begin(begun)
        step, averages, reason_to_stop = self.step, self.averages, self._reason_to_stop
        while state.position < count:
            rows, n = self._rows(order)
            try:
                state.loss_sum += step(rows, n) * (n if averages else 1)
            except UnfinishedIterationError:
                return self.given_up
            except NotFiniteError as error:
                self._raise_divergence(state.epoch + 1, error.iteration, error.what)
            state.position += 1
            now = time.monotonic()
            if tuner is not None:
                tuner.step(now)
            if reason := reason_to_stop(now):
                return reason
            if self.small_change:
                return None
            if now >= due and state.position < count:
                return "report"
        return None

    def _reason_to_stop(self, now: float) -> StopReason | None:
        """The reason to stop now, even within an epoch; None if there is none."""
        if self.should_stop():
            return "interrupted"
        limit = self.options.max_seconds
        if limit is not None and self.seconds_before + now - self.started >= limit:
            return "max_seconds"
        return None

    def _gives_up(self) -> bool:
        """Whether a long full-batch iteration must end now, unfinished; if so, keeps the reason."""
        now = time.monotonic()
        if now < self.look_at:
            return False
        self.look_at = now + REPORT_SECONDS
        self.given_up = self._reason_to_stop(now)
        return self.given_up is not None

    def _rows(self, order: EpochOrder | None) -> tuple[slice | Array, int]:
        """The rows of the next batch, and how many there are."""
        n, size = self.batches.n, self.batches.size
        if order is None and size == n:
            return self.all_rows, n
        low = self.state.position * size
        high = min(low + size, n)
        return slice(low, high) if order is None else order[low:high], high - low

    def _order(self) -> EpochOrder | None:
        """The epoch's order of samples, drawn again when resumed within an epoch; None for their own order."""
        if not self.shuffles:
            return None
        state = self.state
        if state.position and state.shuffle_before is not None:
            state.shuffle.bit_generator.state = state.shuffle_before
        state.shuffle_before = state.shuffle.bit_generator.state
        return self.samples.order(state.shuffle)

    def _measured_step(self, rows: slice | Array, n: int) -> float:
        """Takes a step and measures how far the parameters moved, for min_change and no_descent."""
        theta, before = self.state.theta, self.before
        self.look_at = time.monotonic() + REPORT_SECONDS
        np.copyto(before, theta)
        value = self.take_step(rows, n)
        np.subtract(theta, before, out=before)
        change = float(np.abs(before, out=before).max())
        self.small_change = change < (self.options.min_change or 0.0)
        self.no_descent = change == 0.0 and self.take_step.ends_at_rest
        return value

    def _mean_loss(self) -> float:
        """The mean loss over the samples seen so far in this epoch (their sum for the reduction sum); NaN for none."""
        seen = min(self.state.position * self.batches.size, self.batches.n)
        if seen == 0:
            return math.nan
        return self.state.loss_sum / seen if self.averages else self.state.loss_sum

    def _end_of_epoch(self) -> Report:
        state, options = self.state, self.options
        train_loss = self._mean_loss()
        self._check_state()
        self._check_finite("the training loss of the epoch", train_loss)
        val_loss, metrics = self._validate()
        value = self._monitored(train_loss, val_loss, metrics)
        self._check_finite(f"{self.monitor}, which is monitored,", value)
        state.epoch, state.position, state.loss_sum = state.epoch + 1, 0, 0.0
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
        elif self._is_stalled():
            stop = "early_stopping"
        elif state.epoch >= options.epochs:
            stop = "epochs"
        return self._report(complete=True, train_loss=train_loss, val_loss=val_loss, metrics=metrics, stop=stop)

    def _monitored(self, train_loss: float, val_loss: float | None, metrics: Mapping[str, float]) -> float:
        if self.monitor == "train_loss":
            return train_loss
        if self.monitor == "val_loss":
            assert val_loss is not None  # it is monitored only if there is a validation split
            return val_loss
        return metrics[self.monitor]

    def _validate(self) -> tuple[float | None, dict[str, float]]:
        if self.evaluator is None or self.validation is None:
            return None, {}
        evaluation = self.evaluator()
        self._check_finite("the validation loss of the epoch", evaluation.loss)
        return evaluation.loss, {name: f(evaluation.output) for name, f in self.validation.metrics.items()}

    def _keep_best(self, value: float) -> None:
        """Remembers the weights if the monitored value is the best so far."""
        state, sign, stopping = self.state, self.sign, self.options.early_stopping
        min_delta = stopping.min_delta if stopping else 0.0
        if state.stall_value is None or sign * value < sign * state.stall_value - min_delta:
            state.stall_value, state.stall_epoch = value, state.epoch
        if state.is_better(value, sign, or_equal=stopping is not None and stopping.ties == "last"):
            state.keep_as_best(value)

    def _is_stalled(self) -> bool:
        """Whether early stopping's patience is over."""
        stopping, since = self.options.early_stopping, self.state.epoch - self.state.stall_epoch
        return stopping is not None and stopping.patience is not None and since >= stopping.patience

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
            epochs=self.options.epochs,
            step=state.step,
            position=state.position,
            iterations=self.batches.count,
            complete=complete,
            train_loss=train_loss,
            val_loss=val_loss,
            metrics=metrics or {},
            learning_rate=self.take_step.learning_rate,
            seconds=state.seconds,
            stop=stop,
        )

    def _check_state(self) -> None:
        """Checks that the state is finite before it is reported and perhaps saved in a checkpoint."""
        if what := not_finite_state(self.network, self.state):
            self._raise_divergence(self.state.epoch + bool(self.state.position), self.state.step, what)

    def _check_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            self._raise_divergence(self.state.epoch + 1, self.state.step, f"{what} is not finite")

    def _raise_divergence(self, epoch: int, iteration: int, what: str) -> NoReturn:
        self.state.seconds = self.seconds_before + time.monotonic() - self.started
        where = f"in epoch {epoch}, iteration {iteration}" if iteration else "before the first iteration"
        advice = (
            self.take_step.advice if iteration else "smaller initial values (init, weights, biases), or dtype: float64"
        )
        raise DivergenceError(f"training diverged {where}: {what}", advice) from None
