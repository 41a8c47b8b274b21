"""The area under the steps of the precision-recall curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.ranking import one_against_rest
from bpcli.engine.registry import metrics


@metrics.register("average_precision", "average_precision_score", elsewhere="ap auprc pr_auc")
@dataclass(frozen=True, kw_only=True)
class AveragePrecision:
    """sum over the thresholds of (R_n - R_n-1) P_n, with precision P and recall R, and no interpolation in between.

    Of two classes that of class 1, 0 if there is no sample of it; of several the mean over the classes that occur, each
    against the rest. Equal scores are one threshold. As scikit-learn's average_precision_score.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        pairs = one_against_rest(target, prediction)
        areas = [_area(belongs, score) for belongs, score in pairs if belongs.any()]
        return float(np.mean(areas)) if areas else 0.0


def _area(belongs: Array, score: Array) -> float:
    _, place, counts = np.unique(-score, return_inverse=True, return_counts=True)
    hits = np.bincount(place, weights=belongs)
    precision = np.cumsum(hits) / np.cumsum(counts)
    return float(hits @ precision / hits.sum())
