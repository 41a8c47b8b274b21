"""Threads that share the work of a step.

NumPy releases the GIL in matrix products and long loops, so two threads can run in parallel. Their tasks take 100 us or
less, for which a queue and futures, as in concurrent.futures, cost more than they gain. Here a thread waits on one lock
for its work, and the caller waits on another for the result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from bpcli.engine.arrays import Array

Task: TypeAlias = Callable[[], Any]
Dot: TypeAlias = Callable[[Array, Array, Array], Array]

WORTH_TWO_THREADS = 4_000_000  # multiply-adds: about 100 us, while waking a thread takes 15 us


class Team:
    """The caller's thread and at most `threads - 1` helpers. NumPy's warnings are off in the helpers.

    is_helped: whether the helpers take part. Results are the same either way, since the tasks and their order are.
    """

    def __init__(self, threads: int) -> None:
        self.helpers: list[_Helper] = []
        with suppress(RuntimeError):  # the system cannot start more threads: those that exist do all the work
            for _ in range(threads - 1):
                self.helpers.append(_Helper())
        self.is_helped = True

    @property
    def size(self) -> int:
        """How many threads there are, the caller's included."""
        return 1 + len(self.helpers)

    def run(self, tasks: Sequence[Task]) -> list[Any]:
        """Runs all tasks, the first in the caller's thread, and returns their results in the order of the tasks.

        Raises a task's exception once all threads have finished.
        """
        if not self.is_helped:
            return [task() for task in tasks]
        shares = [tasks[k :: self.size] for k in range(min(self.size, len(tasks)))]
        busy = self.helpers[: len(shares) - 1]
        for helper, share in zip(busy, shares[1:], strict=True):
            helper.start(share)
        try:
            own = [task() for task in shares[0]]
        finally:
            others = [helper.finish() for helper in busy]
        results: list[Any] = [None] * len(tasks)
        for k, outcome in enumerate((own, *others)):
            if isinstance(outcome, BaseException):
                raise outcome
            results[k :: self.size] = outcome
        return results

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *exception: object) -> None:
        """Ends the helpers."""
        for helper in self.helpers:
            helper.start(None)
            helper.thread.join()


ALONE = Team(1)


class ThreadTuner:
    """Measures whether a team is faster with its helpers, and switches them off if it is not.

    Other programs on the machine can make a thread wait many times as long as its work takes. So now and then some
    steps are timed with the helpers and some without, and training uses the faster way for a while.
    """

    TRIAL = 0.02, 4  # at least this many seconds and steps
    SETTLED = 1.0, 60

    def __init__(self, team: Team) -> None:
        self.team = team
        self.paces: dict[bool, float] = {}  # seconds per step, with and without the helpers
        self.is_settled = False
        self.last = self.seconds = 0.0
        self.steps = 0

    def begin(self, now: float) -> None:
        """Starts timing, or restarts it after other work."""
        self.last = now

    def step(self, now: float) -> None:
        """A step has ended."""
        self.seconds += now - self.last
        self.last = now
        self.steps += 1
        seconds, steps = self.SETTLED if self.is_settled else self.TRIAL
        if self.seconds < seconds or self.steps < steps:
            return
        if self.is_settled:
            self.is_settled, self.paces = False, {}
        else:
            self.paces[self.team.is_helped] = self.seconds / self.steps
            self.is_settled = len(self.paces) == 2
            self.team.is_helped = self.paces[True] <= self.paces[False] if self.is_settled else not self.team.is_helped
        self.seconds, self.steps = 0.0, 0


class _Helper:
    """A thread that runs one share of tasks at a time. A daemon, so that it does not delay an exit."""

    def __init__(self) -> None:
        self.begin, self.end = threading.Lock(), threading.Lock()
        self.begin.acquire()
        self.end.acquire()
        self.share: Sequence[Task] | None = None
        self.outcome: list[Any] | BaseException = []
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def start(self, share: Sequence[Task] | None) -> None:
        """Starts the thread on a share; None ends the thread."""
        self.share = share
        self.begin.release()

    def finish(self) -> list[Any] | BaseException:
        """Waits for the results, or for the exception that a task raised."""
        self.end.acquire()
        return self.outcome

    def _work(self) -> None:
        np.seterr(all="ignore")
        while True:
            self.begin.acquire()
            if self.share is None:
                return
            try:
                self.outcome = [task() for task in self.share]
            except BaseException as error:
                self.outcome = error
            self.end.release()


class Products:
    """How matrix products are computed: a large one in two halves, which two threads may work on side by side.

    Whether a product is cut follows from its shape alone, never from the number of threads, and each half is computed
    by one thread, so the result is the same to the last bit.
    """

    def __init__(self, team: Team = ALONE) -> None:
        self.team = team

    def dot_for(self, work: int) -> Dot:
        """dot(a (N, K), b (K, M), out (N, M)) for products of that many multiply-adds, N K M."""
        return np.ndarray.dot if work < WORTH_TWO_THREADS else self._dot_by_halves  # np.dot adds overhead

    def _dot_by_halves(self, a: Array, b: Array, out: Array) -> Array:
        half = len(a) // 2  # matmul accepts half of a transposed array, of which dot makes a copy
        self.team.run([partial(np.matmul, a[rows], b, out[rows]) for rows in (slice(half), slice(half, None))])
        return out
