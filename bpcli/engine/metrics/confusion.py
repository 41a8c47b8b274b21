"""Counts of true class against predicted class, and the scores computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bpcli.engine.arrays import Array

Average: TypeAlias = Literal["macro", "micro", "weighted"]


def confusion_matrix(target: Array, predicted: Array, classes: int) -> Array:
    """(K, K) counts: row the true class, column the predicted one. target, predicted: class indices (N,)."""
    counts = np.bincount(target.astype(np.int64) * classes + predicted.astype(np.int64), minlength=classes * classes)
    return counts.reshape(classes, classes)


@dataclass(frozen=True)
class ClassCounts:
    """For each class (K,), int64: its samples, its predictions, and its hits, which are both.

    The diagonal and the row and column sums of the confusion matrix: 3 K numbers instead of K^2.
    """

    support: Array
    predicted: Array
    hits: Array

    @classmethod
    def of(cls, target: Array, predicted: Array, classes: int) -> ClassCounts:
        """From class indices (N,): the true ones and the predicted ones."""
        target, predicted = target.astype(np.int64), predicted.astype(np.int64)
        support, guessed, hits = (
            np.bincount(indices, minlength=classes) for indices in (target, predicted, target[target == predicted])
        )
        return cls(support, guessed, hits)


def counts_of(target: Array, prediction: Array) -> ClassCounts:
    """The counts for the true classes (N,) and the most probable ones of (N, K), the first in a tie."""
    return ClassCounts.of(target, prediction.argmax(axis=1), prediction.shape[1])


@dataclass(frozen=True)
class ClassScores:
    """For each class (K,): precision, recall, F1 = 2pr / (p + r), support. A ratio 0 / 0 counts as 0."""

    precision: Array
    recall: Array
    f1: Array
    support: Array


def class_scores(counts: ClassCounts) -> ClassScores:
    """Precision, recall and F1 of each class."""
    hits = counts.hits.astype(np.float64)
    return ClassScores(
        precision=_ratio(hits, counts.predicted),
        recall=_ratio(hits, counts.support),
        f1=_ratio(2 * hits, counts.predicted + counts.support),
        support=counts.support,
    )


@dataclass(frozen=True)
class AverageScores:
    """Precision, recall and F1 averaged over the classes."""

    precision: float
    recall: float
    f1: float


def average_scores(counts: ClassCounts, average: Average) -> AverageScores:
    """The classes' scores as one number each, as scikit-learn averages them.

    macro: the mean over the classes that occur, in truth or prediction. weighted: the mean over all samples, each with
    the score of its class. micro: from the counts summed over the classes; as each sample has one class and one
    prediction, all three are then the accuracy.

    Raises:
        ValueError: average is not one of the three.
    """
    scores = class_scores(counts)
    if average == "micro":
        accuracy = float(counts.hits.sum() / counts.support.sum())
        return AverageScores(accuracy, accuracy, accuracy)
    if average == "macro":
        weights = (counts.predicted + counts.support) > 0
    elif average == "weighted":
        weights = scores.support
    else:
        raise ValueError(f"average: expected macro, micro or weighted, got {average!r}")
    means = (np.average(column, weights=weights) for column in (scores.precision, scores.recall, scores.f1))
    return AverageScores(*map(float, means))


def _ratio(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
