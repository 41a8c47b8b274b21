"""How fast this machine multiplies matrices: what the arithmetic of a network can be compared with."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

import numpy as np

SIZE = 384  # large enough for full speed, a millisecond's work
PRODUCTS = 3
FLOP = 2.0 * SIZE**3


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
        """Measures once more: products on this thread one by one, then some on this and on each of the pool's."""
        for _ in range(PRODUCTS):
            start = perf_counter()
            self._multiply(0, 1)
            self.one_thread = max(self.one_thread, FLOP / (perf_counter() - start))
        self.all_threads = max(self.all_threads, self.one_thread)
        if pool is not None:
            start = perf_counter()
            others = [pool.submit(self._multiply, k, PRODUCTS) for k in range(1, len(self.factors))]
            self._multiply(0, PRODUCTS)
            for other in others:
                other.result()
            work = len(self.factors) * PRODUCTS * FLOP
            self.all_threads = max(self.all_threads, work / (perf_counter() - start))

    def _multiply(self, k: int, products: int) -> None:
        for _ in range(products):
            np.dot(self.factors[k][0], self.factors[k][1], out=self.products[k])
