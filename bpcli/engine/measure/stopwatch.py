"""Stopwatches, attached to parts of the engine from outside, and the speed of this machine's matrix products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from bpcli.engine.team import Team

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
