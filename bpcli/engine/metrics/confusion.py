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

    The diagonal and the row and column sums of the confusion matrix: 3 K numbers instead of K^2. For B resamples they
    are (B, K), and what is computed from them is (B,) instead of one number.
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

    @classmethod
    def of_resamples(cls, target: Array, predicted: Array, classes: int, counts: Array) -> ClassCounts:
        """The same for B resamples. counts: (B, N), how often each sample was drawn."""
        first = classes * np.arange(len(counts))[:, np.newaxis]  # the first of each resample's K cells
        hit = target == predicted
        support, guessed, hits = (
            np.bincount((first + indices).ravel(), times.ravel(), minlength=len(counts) * classes)
            .reshape(len(counts), classes)
            .astype(np.int64)
            for indices, times in ((target, counts), (predicted, counts), (target[hit], counts[:, hit]))
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
    return AverageScores(*(float(averaged(counts, score, average)) for score in ("precision", "recall", "f1")))


def averaged(counts: ClassCounts, score: str, average: Average) -> Array:
    """One of the scores, averaged as in `average_scores`: an array of shape (), or (B,) for B resamples.

    Raises:
        ValueError: average is not one of the three.
    """
    if average == "micro":
        return np.asarray(counts.hits.sum(axis=-1) / counts.support.sum(axis=-1))
    if average == "macro":
        weights = (counts.predicted + counts.support) > 0
    elif average == "weighted":
        weights = counts.support
    else:
        raise ValueError(f"average: expected macro, micro or weighted, got {average!r}")
    return np.asarray(np.average(getattr(class_scores(counts), score), axis=-1, weights=weights))


def _ratio(above: Array, below: Array) -> Array:
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)
