"""Training: a generator that steps through batches and epochs, and yields a report at the end of each epoch.

It prints nothing and saves nothing: whoever takes the reports does, between two of them, when the state is at rest.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, NoReturn, TypeAlias

import numpy as np

from bpcli.engine.arrays import Array, quiet_context
from bpcli.engine.divergence import first_not_finite, not_finite_state
from bpcli.engine.evaluation import Evaluator
from bpcli.engine.full_batch import FullBatchUpdate, TrainingProblem, UnfinishedIterationError, objections
from bpcli.engine.gradient import BatchGradient, shards_for
from bpcli.engine.network import Network
from bpcli.engine.options import TrainOptions, iterations_per_epoch
from bpcli.engine.protocols import AnyOptimizer, FullBatchOptimizer, Loss, Schedule, WatchingSchedule
from bpcli.engine.registry import optimizers
from bpcli.engine.samples import EpochOrder, Samples
from bpcli.engine.state import TrainState
from bpcli.engine.team import Team, Tempo
from bpcli.engine.update import Update
from bpcli.errors import DivergenceError

StopReason: TypeAlias = Literal[
    "epochs", "goal", "early_stopping", "min_change", "no_descent", "max_seconds", "interrupted"
]

REPORT_SECONDS = 0.25  # within a long epoch, a report at least this often


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
    `should_stop` is asked after each iteration, and now and then within a long one of a full-batch method. Such an
    iteration is then taken back, as when max_seconds are over: going on does it anew.

    Raises:
        DivergenceError: a loss, gradient or weight is not finite.
        ValueError: the options do not fit the samples.
    """
    with Team(options.threads) as team:
        trainer = _Trainer(network, loss, optimizer, samples, state, options, schedule, validation, team, should_stop)
        yield from trainer.reports()


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
        team: Team,
        should_stop: Callable[[], bool],
    ) -> None:
        self.network, self.loss = network, loss
        self.samples, self.state, self.options, self.validation = samples, state, options, validation
        self.n = len(samples)
        self.batch_size = min(options.batch_size or self.n, self.n)
        self.iterations = iterations_per_epoch(self.n, self.batch_size, drop_last=options.drop_last)
        self.all_rows = slice(0, self.n)
        self.averages = loss.reduction == "mean"
        self.shuffles = options.shuffle and self.batch_size < self.n
        self.trained_samples = min(self.iterations * self.batch_size, self.n)
        self.seconds_before = state.seconds
        self.started = time.monotonic()

        theta = state.theta
        self.grad = np.empty_like(theta)
        self.watching = schedule if isinstance(schedule, WatchingSchedule) else None
        self.small_change = self.no_descent = False
        self.should_stop = should_stop
        self.look_at = 0.0  # when a full-batch iteration under way is next asked whether to go on
        self.given_up: StopReason | None = None  # why it is not

        self.team, self.tempo = team, Tempo(team) if team.size > 1 else None
        self.update: Update | FullBatchUpdate
        self.take_step: Callable[[slice | Array, int], float]
        if isinstance(optimizer, FullBatchOptimizer):
            self._check_full_batch(optimizer, schedule)
            point = np.empty_like(theta)
            gradient = self._batch_gradient(self.n, dataclasses.replace(state, theta=point))
            problem = TrainingProblem(network, loss, samples, gradient, point, optimizer.weight_decay)
            problem.give_up = self._gives_up
            self.update, self.gradients = FullBatchUpdate(optimizer, problem, state), {self.n: gradient}
            self.take_step = self._full_batch_step
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
                team=self.team,
            )
            if state.position:  # an epoch that only has to be closed is reported with its last iteration's rate
                self.update.learning_rate = self.update.rate_at(state, state.step - 1)
            self.gradients = {n: self._batch_gradient(n, state) for n in self._batch_sizes()}
            self.take_step = self._gradient_step
        measures = options.min_change is not None or isinstance(self.update, FullBatchUpdate)
        self.before = np.empty_like(theta) if measures else theta[:0]
        self.step = self._measured_step if measures else self.take_step
        self.evaluator = None
        if validation is not None:
            self.evaluator = Evaluator(network, loss, theta, validation.samples, stats=state.stats, team=self.team)
        self.monitor, self.sign = self._monitor()

    def _batch_sizes(self) -> set[int]:
        left_over = self.trained_samples % self.batch_size
        return {self.batch_size, left_over} - {0}

    def _batch_gradient(self, n: int, state: TrainState) -> BatchGradient:
        shards = min(n, self.options.shards or shards_for(self.network, n))
        return BatchGradient(self.network, self.loss, state, self.grad, n=n, shards=shards, team=self.team)

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

    def reports(self) -> Iterator[Report]:
        """Epoch after epoch, until there is a reason to stop."""
        state = self.state
        self._check_state()
        if state.epoch >= self.options.epochs:
            yield self._report(complete=True, train_loss=math.nan, stop="epochs")
            return
        quietly = quiet_context().run  # what is not finite is found after each step, and its layer named
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
        """Trains on to the end of the epoch (None), or until a report is due or a reason to stop comes up."""
        state = self.state
        begun = time.monotonic()
        due = begun + REPORT_SECONDS
        tempo = self.tempo
        if tempo is not None:
            tempo.begin(begun)
        while state.position < self.iterations:
            rows, n = self._rows(order)
            try:
                state.loss_sum += self.step(rows, n) * (n if self.averages else 1)
            except UnfinishedIterationError:
                return self.given_up
            state.position += 1
            now = time.monotonic()
            if tempo is not None:
                tempo.step(now)
            if reason := self._reason_to_stop(now):
                return reason
            if self.small_change:
                return None
            if now >= due and state.position < self.iterations:
                return "report"
        return None

    def _reason_to_stop(self, now: float) -> StopReason | None:
        """What ends training now, wherever in an epoch it is; None if nothing does."""
        if self.should_stop():
            return "interrupted"
        limit = self.options.max_seconds
        if limit is not None and self.seconds_before + now - self.started >= limit:
            return "max_seconds"
        return None

    def _gives_up(self) -> bool:
        """Whether a full-batch iteration that goes on for long ends here, unfinished, and then why."""
        now = time.monotonic()
        if now < self.look_at:
            return False
        self.look_at = now + REPORT_SECONDS
        self.given_up = self._reason_to_stop(now)
        return self.given_up is not None

    def _rows(self, order: EpochOrder | None) -> tuple[slice | Array, int]:
        """Which samples make up the next batch, and how many they are."""
        if order is None and self.batch_size == self.n:
            return self.all_rows, self.n
        low = self.state.position * self.batch_size
        high = min(low + self.batch_size, self.n)
        return slice(low, high) if order is None else order[low:high], high - low

    def _order(self) -> EpochOrder | None:
        """The epoch's order of samples, in the middle of an epoch drawn once more; None for their own order."""
        if not self.shuffles:
            return None
        state = self.state
        if state.position and state.shuffle_before is not None:
            state.shuffle.bit_generator.state = state.shuffle_before
        state.shuffle_before = state.shuffle.bit_generator.state
        return self.samples.order(state.shuffle)

    def _gradient_step(self, rows: slice | Array, n: int) -> float:
        """One iteration: loss and gradient of a batch, then the update. Returns the batch's loss."""
        update = self.update
        assert isinstance(update, Update)
        value = self.gradients[n](self.samples, rows)
        if not (math.isfinite(value) and update(self.state, self.grad)):
            self._diverged(n, value)
        return value

    def _full_batch_step(self, rows: slice | Array, n: int) -> float:
        """One iteration of a full-batch optimizer. Returns the loss before it."""
        assert isinstance(self.update, FullBatchUpdate)
        self.look_at = time.monotonic() + REPORT_SECONDS
        value = self.update()
        if not math.isfinite(value):
            self._diverged(n, value)
        return value

    def _measured_step(self, rows: slice | Array, n: int) -> float:
        """A step, and how far it moved the parameters: min_change and no_descent go by that."""
        theta, before = self.state.theta, self.before
        np.copyto(before, theta)
        value = self.take_step(rows, n)
        np.subtract(theta, before, out=before)
        change = float(np.abs(before, out=before).max())
        self.small_change = change < (self.options.min_change or 0.0)
        self.no_descent = change == 0.0 and isinstance(self.update, FullBatchUpdate)
        return value

    def _mean_loss(self) -> float:
        """The mean loss over the samples seen so far in this epoch (their sum for the reduction sum); NaN for none."""
        seen = min(self.state.position * self.batch_size, self.n)
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
        elif options.early_stopping and state.epoch - state.stall_epoch >= options.early_stopping.patience:
            stop = "early_stopping"
        elif state.epoch >= options.epochs:
            stop = "epochs"
        return self._report(complete=True, train_loss=train_loss, val_loss=val_loss, metrics=metrics, stop=stop)

    def _monitored(self, train_loss: float, val_loss: float | None, metrics: Mapping[str, float]) -> float:
        if self.monitor == "train_loss":
            return train_loss
        if self.monitor == "val_loss":
            assert val_loss is not None  # it is only monitored where there is a validation split
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

    def _check_state(self) -> None:
        """Sees to it that what a report is given on, and a checkpoint may be made of, is finite."""
        if what := not_finite_state(self.network, self.state):
            self._raise_divergence(self.state.epoch + bool(self.state.position), self.state.step, what)

    def _check_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            self._raise_divergence(self.state.epoch + 1, self.state.step, f"{what} is not finite")

    def _diverged(self, n: int, loss: float) -> NoReturn:
        iteration, what = first_not_finite(self.network, self.state, self.gradients[n], loss=loss)
        self._raise_divergence(self.state.epoch + 1, iteration, what)

    def _raise_divergence(self, epoch: int, iteration: int, what: str) -> NoReturn:
        self.state.seconds = self.seconds_before + time.monotonic() - self.started
        if not iteration:
            advice = "smaller first values (init, weights, biases), or dtype: float64"
        elif isinstance(self.update, FullBatchUpdate):
            advice = "data.scale: standard"
        else:
            advice = (
                f"a lower optimizer.learning_rate (it was {self.update.learning_rate:g}), "
                "training.clip_norm: 1.0, data.scale: standard, or training.on_divergence: halve_rate"
            )
        where = f"in epoch {epoch}, iteration {iteration}" if iteration else "before the first iteration"
        raise DivergenceError(f"training diverged {where}: {what}", advice)
