"""A training run seen from outside: as it is, by `train`, and step by step with a stopwatch on each part of a step."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.full_batch import FullBatchUpdate, TrainingProblem
from bpcli.engine.gradient import BatchGradient, shards_for
from bpcli.engine.network import Network
from bpcli.engine.options import TrainOptions, iterations_per_epoch
from bpcli.engine.protocols import AnyOptimizer, FullBatchOptimizer, Loss, Optimizer, Schedule
from bpcli.engine.samples import Samples
from bpcli.engine.state import TrainState
from bpcli.engine.stopwatch import Stopwatch, WatchCost, put_on
from bpcli.engine.team import Team
from bpcli.engine.trainer import Report, train
from bpcli.engine.update import Update

WINDOW_SECONDS = 0.002  # short, so that other programs leave some windows alone
FEWEST_EPOCHS = 100


@dataclass(frozen=True, eq=False)
class Training:
    """What `train` is given, with a new state as often as asked for, and what follows from its sizes."""

    network: Network
    loss: Loss
    optimizer: AnyOptimizer
    samples: Samples
    start: Callable[[], TrainState]
    options: TrainOptions
    schedule: Schedule | None = None

    @property
    def batch_size(self) -> int:
        """Samples in a whole batch."""
        return min(self.options.batch_size or len(self.samples), len(self.samples))

    @property
    def iterations(self) -> int:
        """Iterations in an epoch."""
        return iterations_per_epoch(len(self.samples), self.batch_size, drop_last=self.options.drop_last)

    @property
    def unhurried(self) -> TrainOptions:
        """The options without a reason to stop but the last epoch, and with epochs enough to measure something."""
        epochs = max(self.options.epochs, FEWEST_EPOCHS)
        return dataclasses.replace(self.options, epochs=epochs, goal=None, early_stopping=None, max_seconds=None)

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """The first sample of each batch of an epoch, and the one after its last."""
        n, size = len(self.samples), self.batch_size
        return [(k * size, min((k + 1) * size, n)) for k in range(self.iterations)]

    def shards(self, n: int) -> int:
        """Parts that a batch of n samples is split into."""
        return min(n, self.options.shards or shards_for(self.network, n))


class PlainRun:
    """Training as it is: `train` itself, without stopwatches, validation, or a goal to stop at.

    It is timed by its reports and by a look at the clock when it asks whether to stop.
    """

    def __init__(self, training: Training) -> None:
        self.state = training.start()
        self.report: Report | None = None
        self.ended = False
        self.made = perf_counter()
        self.marks: list[tuple[int, float]] = []  # iteration and time, now and then
        self.reports = train(
            training.network,
            training.loss,
            training.optimizer,
            training.samples,
            self.state,
            training.unhurried,
            schedule=training.schedule,
            should_stop=self._mark,
        )

    def _mark(self) -> bool:
        now = perf_counter()
        step, last = self.marks[-1] if self.marks else (0, -math.inf)
        if step < self.state.step and now - last >= WINDOW_SECONDS:  # a long iteration is asked within, too
            self.marks.append((self.state.step, now))
        return False

    def advance(self, seconds: float) -> list[tuple[int, float]]:
        """Trains on for about that long: (iterations, the seconds they took), in windows where that was long.

        The first iteration of a run, which makes the buffers, is left out.
        """
        start = perf_counter()
        self.marks = [] if self.report is None else [(self.state.step, start)]
        for report in self.reports:
            self.report, self.ended = report, report.stop is not None
            if self.ended or perf_counter() - start >= seconds:
                break
        end = (self.state.step, perf_counter())
        begin = self.marks[0] if self.marks else (0, self.made)
        if begin[0] == end[0]:  # a run of a single iteration: then it counts, with all that was made for it
            return [(end[0], end[1] - self.made)]
        several = end[1] - begin[1] > 10 * WINDOW_SECONDS
        marks = [begin, *(self.marks[1:-1] if several else []), end]
        return [(after - before, late - early) for (before, early), (after, late) in pairwise(marks)]


class WatchedGradient:
    """A BatchGradient with a stopwatch on every part of it."""

    def __init__(self, gradient: BatchGradient, samples: Samples, threads: int) -> None:
        self.gradient, self.grad = gradient, gradient.grad
        self.samples, self.calls = copy.copy(samples), 0
        shards = gradient.shards
        # With shards worked on side by side, this much of their added times passes on the clock.
        self.passing = -(-len(shards) // min(threads, len(shards))) / len(shards)
        layers = range(len(shards[0].stack.layers))
        self.parts: list[list[Stopwatch]] = [
            [put_on(self.samples, "fetch"), put_on(self.samples, "fetch_scale")],
            [put_on(shard.objective, "value_and_delta") for shard in shards],
            *([put_on(shard.stack.layers[k], "forward") for shard in shards] for k in layers),
            *([put_on(shard.stack.layers[k], "backward") for shard in shards] for k in layers),
        ]

    def __call__(self, samples: Samples, rows: slice | Array) -> float:
        """As the gradient itself; the samples go through this object's own copy of `samples`."""
        self.calls += 1
        return self.gradient(self.samples, rows)

    def take(self, cost: WatchCost) -> Array:
        """Since last asked: calls, what the stopwatches cost, data, loss, each layer forward, each layer backward."""
        taken = [[watch.take() for watch in part] for part in self.parts]
        seconds = [sum(time - laps * cost.seen for time, laps in part) for part in taken]
        spent = sum(laps for part in taken for _, laps in part) * cost.whole
        calls, self.calls = self.calls, 0
        return np.array([calls, *(self.passing * time for time in (spent, *seconds))])


class WatchedRun:
    """Training step by step on the very parts that `train` works with, each under a stopwatch.

    The first step makes the buffers.
    """

    def __init__(self, training: Training, team: Team) -> None:
        self.training, self.team, self.state = training, team, training.start()
        self.grad = np.empty_like(self.state.theta)
        self.update, self.evaluations, self.normal_equations = Stopwatch(), Stopwatch(), Stopwatch()
        self.gradients: dict[int, WatchedGradient] = {}
        optimizer = training.optimizer
        if isinstance(optimizer, FullBatchOptimizer):
            self.iterations = self._full_batch(optimizer)
        else:
            self.iterations = self._by_batches(optimizer)

    def steps(self, count: int) -> float:
        """Does that many steps; the seconds they took."""
        start = perf_counter()
        with np.errstate(all="ignore"):  # what is not finite is found by `train`
            for _ in range(count):
                next(self.iterations)
        return perf_counter() - start

    def take(self, cost: WatchCost) -> Array:
        """Since last asked: evaluations of the gradient, and the seconds that went to the rest of this list.

        The stopwatches themselves, data, loss, update or the full-batch method's own work, normal equations, each
        layer forward, each layer backward.
        """
        taken = [gradient.take(cost) for gradient in self.gradients.values()]
        evaluations, spent, data, loss, *layers = np.sum(taken, axis=0)
        watches = [watch.take() for watch in (self.update, self.evaluations, self.normal_equations)]
        update, evaluating, normal_equations = (time - laps * cost.seen for time, laps in watches)
        spent += sum(laps for _, laps in watches) * cost.whole
        own = update - evaluating - normal_equations
        return np.array([evaluations, spent, data, loss, own, normal_equations, *layers])

    def _gradient(self, n: int, state: TrainState) -> WatchedGradient:
        training = self.training
        shards = training.shards(n)
        gradient = BatchGradient(training.network, training.loss, state, self.grad, n=n, shards=shards, team=self.team)
        return WatchedGradient(gradient, training.samples, training.options.threads)

    def _by_batches(self, optimizer: Optimizer) -> Iterator[None]:
        training, state, options = self.training, self.state, self.training.unhurried
        n, bounds = len(training.samples), training.bounds
        self.gradients = {size: self._gradient(size, state) for size in {high - low for low, high in bounds}}
        update = self.update.around(
            Update(
                training.network,
                optimizer,
                state.theta,
                iterations_per_epoch=training.iterations,
                epochs=options.epochs,
                schedule=training.schedule,
                clip_norm=options.clip_norm,
                clip_value=options.clip_value,
                team=self.team,
            )
        )
        shuffles = options.shuffle and training.batch_size < n
        places = [(high - low, slice(low, high)) for low, high in bounds]  # a full batch is the same object each time
        while True:
            order = training.samples.order(state.shuffle) if shuffles else None
            for size, place in places:
                self.gradients[size](training.samples, place if order is None else order[place])
                update(state, self.grad)
                yield
            state.epoch += 1

    def _full_batch(self, optimizer: FullBatchOptimizer) -> Iterator[None]:
        training, state = self.training, self.state
        n, point = len(training.samples), np.empty_like(state.theta)
        gradient = self._gradient(n, dataclasses.replace(state, theta=point))
        self.gradients = {n: gradient}
        problem = TrainingProblem(
            training.network,
            training.loss,
            training.samples,
            gradient,  # type: ignore[arg-type]  # called as a BatchGradient is
            point,
            optimizer.weight_decay,
        )
        self.evaluations = put_on(problem, "value_and_grad")
        self.normal_equations = put_on(problem, "normal_equations")
        update = self.update.around(FullBatchUpdate(optimizer, problem, state))
        while True:
            update()
            state.epoch += 1
            yield
