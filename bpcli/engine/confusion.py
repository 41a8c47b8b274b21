"""Counts of true class against predicted class, and what is read off them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array


def confusion_matrix(target: Array, predicted: Array, classes: int) -> Array:
    """(K, K) counts: row the true class, column the predicted one. target, predicted: class indices (N,)."""
    counts = np.bincount(target.astype(np.int64) * classes + predicted.astype(np.int64), minlength=classes * classes)
    return counts.reshape(classes, classes)


@dataclass(frozen=True)
class ClassScores:
    """For each class (K,): precision, recall, F1 = 2pr / (p + r), support. A ratio 0 / 0 counts as 0."""

    precision: Array
    recall: Array
    f1: Array
    support: Array


def class_scores(confusion: Array) -> ClassScores:
    """Precision, recall and F1 of each class from the confusion matrix (K, K)."""
    hits = np.diag(confusion).astype(np.float64)
    predicted, support = confusion.sum(axis=0), confusion.sum(axis=1)
    return ClassScores(
        precision=_ratio(hits, predicted),
        recall=_ratio(hits, support),
        f1=_ratio(2 * hits, predicted + support),
        support=support,
    )


def _ratio(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
