"""How fast this machine multiplies matrices, for comparison with a network's arithmetic."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from bpcli.engine.team import Team

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
