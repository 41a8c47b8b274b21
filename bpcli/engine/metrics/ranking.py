"""Scores of the samples of a class compared with those of all others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bpcli.engine.arrays import Array


def one_against_rest(target: Array, prediction: Array) -> Iterator[tuple[Array, Array]]:
    """Yields for each class (whether each sample is of the class (N,), its score for the class (N,)).

    For two classes only class 1, since class 0 gives the same result.
    """
    classes = prediction.shape[1]
    for k in range(1 if classes == 2 else 0, classes):
        yield target == k, prediction[:, k]


def roc_area(belongs: Array, score: Array) -> float:
    """The share of pairs in which the sample of the class scores higher; ties count half. Arguments are (N,)."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    twice_rank = 2 * np.cumsum(counts) - counts + 1  # equal scores share the mean of their ranks, from 1
    n = int(belongs.sum())
    twice_wins = int(twice_rank[place[belongs]].sum()) - n * (n + 1)
    return twice_wins / (2 * n * (len(belongs) - n))


def precision_recall_area(belongs: Array, score: Array) -> float:
    """sum over the thresholds of (R_n - R_n-1) P_n, with precision P and recall R; equal scores are one threshold."""
    _, place, counts = np.unique(-score, return_inverse=True, return_counts=True)
    hits = np.bincount(place, weights=belongs)
    precision = np.cumsum(hits) / np.cumsum(counts)
    return float(hits @ precision / hits.sum())


def roc_areas(ours: Array, others: Array) -> Array:
    """`roc_area` (B,) from how many samples of the class (B, G) and others (B, G) there are at each score, ascending.

    NaN where there are none of the class, or no others.
    """
    below = np.cumsum(others, axis=1) - others
    wins = (ours * (below + 0.5 * others)).sum(axis=1)
    return _quotient(wins, ours.sum(axis=1) * others.sum(axis=1))


def precision_recall_areas(ours: Array, others: Array) -> Array:
    """`precision_recall_area` (B,) from the same; NaN where there are none of the class."""
    found = np.cumsum(ours[:, ::-1], axis=1)
    chosen = np.cumsum((ours + others)[:, ::-1], axis=1)
    precision = np.divide(found, chosen, out=np.zeros_like(found), where=chosen > 0)
    return _quotient((ours[:, ::-1] * precision).sum(axis=1), ours.sum(axis=1))


def _quotient(above: Array, below: Array) -> Array:
    """above / below (B,), NaN where below is 0."""
    quotient: Array = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return quotient
