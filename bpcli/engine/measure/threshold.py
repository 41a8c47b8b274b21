"""Where to draw the line between two classes."""

from __future__ import annotations

import numpy as np

from bpcli.engine.arrays import Array


def best_threshold(target: Array, score: Array, used: float) -> float | None:
    """The threshold t with the highest balanced accuracy if class 1 is score > t; None where a class has no sample.

    Candidates lie half-way between neighbouring scores (N,), and `used` is one too. Of equally good ones it is the one
    nearest to `used`. Balanced accuracy, the mean of both classes' recall, does not depend on how frequent the classes
    are, nor on which of them is called 1; its maximum is Youden's J (1950), which is 2 x balanced accuracy - 1.
    """
    ones = int((target == 1).sum())
    zeros = len(target) - ones
    if not ones or not zeros or not np.isfinite(score).all():
        return None
    order = np.argsort(score, kind="stable")
    ranked, is_one = score[order], target[order] == 1
    last = np.flatnonzero(np.append(ranked[1:] > ranked[:-1], True))[:-1]  # of each run of equal scores but the highest
    low, high = ranked[last], ranked[last + 1]
    middle = low + (high - low) / 2
    candidates = np.append(np.where(middle < high, middle, low), used)  # neighbouring floats have no middle
    below = np.append(last + 1, np.searchsorted(ranked, used, side="right"))  # how many samples are class 0
    ones_below = np.append(0, np.cumsum(is_one))[below]
    # twice the balanced accuracy, times ones and zeros: whole numbers, so that equal ones are equal
    gain = (ones - ones_below) * zeros + (below - ones_below) * ones
    best = candidates[gain == gain.max()]
    return float(best[np.abs(best - used).argmin()])
