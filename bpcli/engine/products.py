"""Matrix products: a large one is split into two halves, which two threads can compute in parallel.

Whether a product is split depends only on its shape, never on the number of threads, and each half is computed by one
thread, so the result is the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.team import ALONE, Team

Dot: TypeAlias = Callable[[Array, Array, Array], Array]

WORTH_TWO_THREADS = 4_000_000  # multiply-adds: about 100 us, while waking a thread takes 15 us


class Products:
    """Computes matrix products. team: its threads share the halves of large ones."""

    def __init__(self, team: Team = ALONE) -> None:
        self.team = team

    def dot_for(self, work: int) -> Dot:
        """dot(a (N, K), b (K, M), out (N, M)) for products of that many multiply-adds, N K M."""
        return np.ndarray.dot if work < WORTH_TWO_THREADS else self._dot_by_halves  # np.dot adds overhead

    def _dot_by_halves(self, a: Array, b: Array, out: Array) -> Array:
        half = len(a) // 2  # matmul accepts half of a transposed array, of which dot makes a copy
        self.team.run([partial(np.matmul, a[rows], b, out[rows]) for rows in (slice(half), slice(half, None))])
        return out
