"""Training measured from outside: by its reports, and with a stopwatch on each part of its step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.protocols import AnyOptimizer, Loss, Schedule
from bpcli.engine.team import Team
from bpcli.engine.training.gradient import BatchGradient
from bpcli.engine.training.options import Batches, TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.step import BatchStep, FullBatchStep
from bpcli.engine.training.trainer import Report, train

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(eq=False)
class Stopwatch:
    """The seconds of each call of a function. Several threads may make such calls at the same time."""

    laps: list[float] = field(default_factory=list)

    def around(self, function: Callable[P, R]) -> Callable[P, R]:
        """The same function, timed."""
        note = self.laps.append

        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            start = perf_counter()
            result = function(*args, **kwargs)
            note(perf_counter() - start)
            return result

        return timed

    def take(self) -> tuple[float, int]:
        """(seconds, calls) since the last `take`."""
        taken = sum(self.laps), len(self.laps)
        self.laps.clear()
        return taken


def attach(owner: object, method: str) -> Stopwatch:
    """Attaches a stopwatch to a method of this object only; its class and other objects do not change."""
    watch = Stopwatch()
    vars(owner)[method] = watch.around(getattr(owner, method))
    return watch


class WatchCost(NamedTuple):
    """The overhead of a stopwatch, in seconds per call. seen: the part that its own laps include. whole: all of it."""

    seen: float
    whole: float


def watch_cost(*, calls: int = 500, rounds: int = 20) -> WatchCost:
    """Measures the overhead on a layer that does nothing, with and without a stopwatch; the quickest of the rounds."""
    bare, watched = _Idle(), _Idle()
    watch = attach(watched, "forward")
    bare_seconds = min(_seconds_of_calls(bare, calls) for _ in range(rounds)) / calls
    watched_seconds = lap = float("inf")
    for _ in range(rounds):
        watched_seconds = min(watched_seconds, _seconds_of_calls(watched, calls) / calls)
        lap = min(lap, watch.take()[0] / calls)
    return WatchCost(max(lap - bare_seconds, 0.0), max(watched_seconds - bare_seconds, 0.0))


class _Idle:
    def forward(self, x: object, training: bool) -> object:
        return x


def _seconds_of_calls(layer: _Idle, calls: int) -> float:
    start = perf_counter()
    for _ in range(calls):
        layer.forward(None, True)
    return perf_counter() - start


SIZE = 384  # large enough for full speed, a millisecond's work
PRODUCTS = 3
FLOP = 2.0 * SIZE**3


class ProductSpeed:
    """The best speed measured so far, in FLOP/s, of products of two square matrices on each of `threads` threads.

    A multiply-add counts as two. The matrix library itself should be limited to one thread, as in training.
    """

    def __init__(self, dtype: np.dtype[Any], threads: int) -> None:
        rng = np.random.default_rng(0)
        self.factors = [rng.random((2, SIZE, SIZE)).astype(dtype) for _ in range(threads)]
        self.products = [np.empty((SIZE, SIZE), dtype) for _ in range(threads)]
        self.one_thread = self.all_threads = 0.0

    def sample(self, team: Team) -> None:
        """Measures once more: products on this thread, then products on all of the team's threads together."""
        for _ in range(PRODUCTS):
            start = perf_counter()
            self._multiply(0, 1)
            self.one_thread = max(self.one_thread, FLOP / (perf_counter() - start))
        self.all_threads = max(self.all_threads, self.one_thread)
        if team.size > 1:
            start = perf_counter()
            team.run([partial(self._multiply, k, PRODUCTS) for k in range(len(self.factors))])
            work = len(self.factors) * PRODUCTS * FLOP
            self.all_threads = max(self.all_threads, work / (perf_counter() - start))

    def _multiply(self, k: int, products: int) -> None:
        for _ in range(products):
            np.dot(self.factors[k][0], self.factors[k][1], out=self.products[k])


WINDOW_SECONDS = 0.002  # short, so that other programs disturb only some windows
FEWEST_EPOCHS = 100
OTHER_PARTS = 6  # entries before the layers in the list of `StepWatches.take`


@dataclass(frozen=True, eq=False)
class Training:
    """The arguments of `train`, and a new state for each run."""

    network: Network
    loss: Loss
    optimizer: AnyOptimizer
    samples: Samples
    start: Callable[[], TrainState]
    options: TrainOptions
    schedule: Schedule | None = None

    @property
    def batches(self) -> Batches:
        """The batches of an epoch."""
        return self.options.batches(len(self.samples))

    @property
    def unhurried(self) -> TrainOptions:
        """The options with the last epoch as the only reason to stop, and with enough epochs to measure."""
        epochs = max(self.options.epochs, FEWEST_EPOCHS)
        return dataclasses.replace(self.options, epochs=epochs, goal=None, early_stopping=None, max_seconds=None)


class Window(NamedTuple):
    """Some iterations: their number, their wall-clock seconds, and the stopwatches' times; see `StepWatches.take`."""

    steps: int
    seconds: float
    taken: Array


class _Mark(NamedTuple):
    """A moment between two iterations: their number so far, the end of a window, the start of the next, all laps."""

    step: int
    end: float
    begin: float
    taken: Array


class TimedRun:
    """Training by `train` itself, without validation or a goal; optionally with stopwatches on its step.

    It is timed at each report and whenever `train` calls `should_stop`.

    Args:
        cost: the cost of a stopwatch; None trains without stopwatches.
    """

    def __init__(self, training: Training, cost: WatchCost | None = None) -> None:
        self.training, self.cost, self.state = training, cost, training.start()
        self.watches: StepWatches | None = None
        self.taken = np.zeros(0 if cost is None else OTHER_PARTS + 2 * len(training.network.placed))
        self.report: Report | None = None
        self.ended = False
        made = perf_counter()
        self.made = _Mark(0, made, made, self.taken)
        self.marks: list[_Mark] = []  # now and then
        self.reports = train(
            training.network,
            training.loss,
            training.optimizer,
            training.samples,
            self.state,
            training.unhurried,
            schedule=training.schedule,
            should_stop=self._look,
            on_step=self._attach,
        )

    def advance(self, seconds: float, to_step: int = 0) -> list[Window]:
        """Trains for about that many seconds and at least up to that iteration. Returns windows.

        The first iteration of a run, which allocates the buffers, is left out.
        """
        start = perf_counter()
        self.marks = [] if self.report is None else [self._mark(start)]
        for report in self.reports:
            self.report, self.ended = report, report.stop is not None
            if self.ended or (perf_counter() - start >= seconds and self.state.step >= to_step):
                break
        end = self._mark(perf_counter())
        begin = self.marks[0] if self.marks else self.made
        if begin.step == end.step:  # a run of a single iteration: it counts, including its allocations
            begin = self.made
        several = end.end - begin.begin > 10 * WINDOW_SECONDS
        marks = [begin, *(self.marks[1:-1] if several else []), end]
        return [Window(b.step - a.step, b.end - a.begin, b.taken - a.taken) for a, b in pairwise(marks)]

    def _attach(self, step: BatchStep | FullBatchStep) -> None:
        if self.cost is not None:
            self.watches = StepWatches(step, self.training.options.threads, self.cost)

    def _look(self) -> bool:
        now, last = perf_counter(), self.marks[-1] if self.marks else None
        # called within a long iteration, too
        if self.state.step and (last is None or (last.step < self.state.step and now - last.begin >= WINDOW_SECONDS)):
            self.marks.append(self._mark(now))
        return False

    def _mark(self, now: float) -> _Mark:
        if self.watches is None:
            return _Mark(self.state.step, now, now, self.taken)
        self.taken = self.taken + self.watches.take()
        return _Mark(self.state.step, now, perf_counter(), self.taken)


class StepWatches:
    """The stopwatches on every part of a step."""

    def __init__(self, step: BatchStep | FullBatchStep, threads: int, cost: WatchCost) -> None:
        self.cost = cost
        self.gradients = [_GradientWatches(gradient, threads) for gradient in step.gradients.values()]
        self.update, self.evaluations, self.normal_equations = attach(step.update, "apply"), Stopwatch(), Stopwatch()
        if step.problem is not None:
            self.evaluations = attach(step.problem, "value_and_grad")
            self.normal_equations = attach(step.problem, "normal_equations")

    def take(self) -> Array:
        """Since the last `take`: the number of gradient evaluations, then the seconds spent on each of the following.

        These are: the stopwatches themselves, data, loss, update or the full-batch method's own work, normal equations,
        each layer forward, each layer backward.
        """
        cost = self.cost
        evaluations, spent, data, loss, *layers = np.sum([each.take(cost) for each in self.gradients], axis=0)
        watches = [watch.take() for watch in (self.update, self.evaluations, self.normal_equations)]
        update, evaluating, normal_equations = (time - laps * cost.seen for time, laps in watches)
        spent += sum(laps for _, laps in watches) * cost.whole
        own = update - evaluating - normal_equations
        return np.array([evaluations, spent, data, loss, own, normal_equations, *layers])


class _GradientWatches:
    """The stopwatches on every part of the gradient of a batch."""

    def __init__(self, gradient: BatchGradient, threads: int) -> None:
        shards, layers = gradient.shards, gradient.layers
        # With shards in parallel, this fraction of their added times passes on the clock.
        self.passing = -(-len(shards) // min(threads, len(shards))) / len(shards)
        self.parts: list[list[Stopwatch]] = [
            [attach(shard, "fetch") for shard in shards],
            [attach(shard.objective, "value_and_delta") for shard in shards],
            *([attach(layer, "forward") for layer in same] for same in layers),
            *([attach(layer, "backward") for layer in same] for same in layers),
        ]

    def take(self, cost: WatchCost) -> Array:
        """Since the last `take`: calls, cost of the stopwatches, data, loss, layers forward, layers backward."""
        taken = [[watch.take() for watch in part] for part in self.parts]
        seconds = [sum(time - laps * cost.seen for time, laps in part) for part in taken]
        spent = sum(laps for part in taken for _, laps in part) * cost.whole
        _, calls = taken[1][0]
        return np.array([calls, *(self.passing * time for time in (spent, *seconds))])
