"""The share of the targets' variation that predictions explain."""

from __future__ import annotations

import numpy as np

from bpcli.engine.arrays import Array


def explained_share(unexplained: Array, target: Array) -> float:
    """1 - unexplained / sum (y - mean y)^2, the mean over the outputs. unexplained: (M,); target: (N, M).

    An output that never varies counts as 1 if nothing is unexplained, else 0.
    """
    total = squares_about_mean(target)
    ratio = np.divide(unexplained, total, out=(unexplained != 0).astype(np.float64), where=total > 0)
    return float((1.0 - ratio).mean())


def squares_about_mean(values: Array) -> Array:
    """sum over samples of (v - mean v)^2, for each column (N, M) -> (M,); exactly 0 for one that never varies."""
    squares: Array = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    return np.where(np.ptp(values, axis=0) > 0, squares, 0.0)  # the mean of equal numbers is not always that number
