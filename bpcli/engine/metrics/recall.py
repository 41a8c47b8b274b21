"""Recall: of a class's samples, the share that are found; averaged over the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.confusion import Average, average_scores, counts_of
from bpcli.engine.registry import metrics


@metrics.register("recall", "recall_score", elsewhere="recall_macro sensitivity tpr")
@dataclass(frozen=True, kw_only=True)
class Recall:
    """tp / (tp + fn) of each class, 0 / 0 counting as 0, averaged as `confusion.average_scores` says.

    The same as scikit-learn's recall_score with that average and zero_division=0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    average: Average = "macro"

    def value(self, target: Array, prediction: Array) -> float:
        return average_scores(counts_of(target, prediction), self.average).recall
