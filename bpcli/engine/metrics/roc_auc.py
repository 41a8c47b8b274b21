"""The area under the ROC curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.ranking import one_against_rest
from bpcli.engine.registry import metrics


@metrics.register("roc_auc", "auc", "roc_auc_score", elsewhere="auroc roc roc_auc_ovr")
@dataclass(frozen=True, kw_only=True)
class RocAuc:
    """Area under the ROC curve: how often a sample of the class scores higher than one that is not, ties counting half.

    Of two classes that of class 1; of several the mean over the classes that occur, each against the rest (one-vs-rest,
    macro). Where all samples are of one class there is nothing to compare, and it is 0.5, as for guessing
    (scikit-learn: NaN). Exact: sums of ranks are whole numbers (Mann and Whitney, 1947).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        pairs = one_against_rest(target, prediction)
        areas = [_area(belongs, score) for belongs, score in pairs if belongs.any() and not belongs.all()]
        return float(np.mean(areas)) if areas else 0.5


def _area(belongs: Array, score: Array) -> float:
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    twice_rank = 2 * np.cumsum(counts) - counts + 1  # equal scores share the mean of their ranks, from 1
    n = int(belongs.sum())
    twice_wins = int(twice_rank[place[belongs]].sum()) - n * (n + 1)
    return twice_wins / (2 * n * (len(belongs) - n))
