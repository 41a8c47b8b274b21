"""Precision: of the samples taken for a class, the share that are of it; averaged over the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.confusion import Average, average_scores, counts_of
from bpcli.engine.registry import metrics


@metrics.register("precision", "precision_score", elsewhere="ppv precision_macro")
@dataclass(frozen=True, kw_only=True)
class Precision:
    """tp / (tp + fp) of each class, 0 / 0 counting as 0, averaged as `confusion.average_scores` says.

    The same as scikit-learn's precision_score with that average and zero_division=0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    average: Average = "macro"

    def value(self, target: Array, prediction: Array) -> float:
        return average_scores(counts_of(target, prediction), self.average).precision
