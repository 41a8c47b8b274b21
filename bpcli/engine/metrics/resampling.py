"""Values of a metric on resamples: the samples drawn again with replacement, some several times and some not at all.

A resample is a row of counts: how often each sample was drawn. Most metrics need only a few sums over the samples, so
that many resamples cost one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.metrics.confusion import ClassCounts
from bpcli.engine.metrics.ranking import one_against_rest

# The metric's values (B,) on B resamples, from their counts (B, N): whole numbers in float64, each row with the sum N.
Resample: TypeAlias = Callable[[Array], Array]


def from_means(values: Array, finish: Callable[[Array], Array]) -> Resample:
    """The resamples of a metric that is a function of means over the samples.

    values: (N, S). finish: from the means (B, S) on B resamples to the metric's values (B,).
    """
    columns = values.astype(np.float64, copy=False).reshape(len(values), -1)
    return lambda counts: finish(counts @ columns / len(columns))


def from_mean(values: Array) -> Resample:
    """The resamples of the mean of `values` (N,)."""
    return from_means(values, lambda means: means[:, 0])


def from_counts(target: Array, prediction: Array, score: Callable[[ClassCounts], Array]) -> Resample:
    """The resamples of a score of the true and the predicted classes. target: (N,); prediction: (N, K).

    score: from the counts of B resamples to the metric's values (B,).
    """
    predicted, classes = prediction.argmax(axis=1), prediction.shape[1]
    return lambda counts: score(ClassCounts.of_resamples(target, predicted, classes, counts))


def from_ranks(target: Array, prediction: Array, area: Callable[[Array, Array], Array], alone: float) -> Resample:
    """The resamples of the mean, over the classes that occur, of an area under a curve; see `one_against_rest`.

    area: from how often samples of the class (B, G) and all others (B, G) were drawn at each of G scores, the lowest
    first, to the areas (B,), NaN where the class has none. alone: the value where that is so for every class.
    """
    curves = [_by_score(belongs, score) for belongs, score in one_against_rest(target, prediction)]

    def values(counts: Array) -> Array:
        total, occurring = np.zeros(len(counts)), np.zeros(len(counts))
        for order, starts, belongs in curves:
            drawn = np.take(counts, order, axis=1)
            ours = drawn * belongs
            if len(starts) < len(order):  # equal scores
                ours, drawn = (np.add.reduceat(times, starts, axis=1) for times in (ours, drawn))
            areas = area(ours, drawn - ours)
            known = ~np.isnan(areas)
            total[known] += areas[known]
            occurring += known
        means: Array = np.divide(total, occurring, out=np.full(len(counts), alone), where=occurring > 0)
        return means

    return values


def _by_score(belongs: Array, score: Array) -> tuple[Array, Array, Array]:
    """(the order by score (N,), where in it each distinct score starts (G,), `belongs` in that order (N,))."""
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
    return order, starts, belongs[order]
