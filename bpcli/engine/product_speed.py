"""How fast this machine multiplies matrices: what the arithmetic of a network can be compared with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import numpy as np

SIZE = 512


class ProductSpeed:
    """The best speed seen so far of the product of two square matrices on each of `threads` threads, in FLOP/s.

    A multiply-add counts as two. The matrix library itself should be held to one thread, as it is in training.
    """

    def __init__(self, dtype: np.dtype[Any], threads: int) -> None:
        rng = np.random.default_rng(0)
        self.factors = [rng.random((2, SIZE, SIZE)).astype(dtype) for _ in range(threads)]
        self.products = [np.empty((SIZE, SIZE), dtype) for _ in range(threads)]
        self.one_thread = self.all_threads = 0.0

    def sample(self, pool: ThreadPoolExecutor | None) -> None:
        """Measures once more: a product on this thread, then one on this and on each of the pool's."""
        work = 2.0 * SIZE**3
        start = perf_counter()
        self._multiply(0)
        self.one_thread = max(self.one_thread, work / (perf_counter() - start))
        self.all_threads = max(self.all_threads, self.one_thread)
        if pool is not None:
            start = perf_counter()
            others = [pool.submit(self._multiply, k) for k in range(1, len(self.factors))]
            self._multiply(0)
            for other in others:
                other.result()
            self.all_threads = max(self.all_threads, len(self.factors) * work / (perf_counter() - start))

    def _multiply(self, k: int) -> None:
        np.dot(self.factors[k][0], self.factors[k][1], out=self.products[k])
