"""Accuracy in which each class counts alike, however rare it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.confusion import class_scores, counts_of
from bpcli.engine.registry import metrics


@metrics.register("balanced_accuracy", "balanced_accuracy_score", elsewhere="bacc uar")
@dataclass(frozen=True, kw_only=True)
class BalancedAccuracy:
    """Mean of recall, 0..1, over the classes that have samples.

    Macro recall differs where a class is predicted of which there is no sample: there it counts as 0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        scores = class_scores(counts_of(target, prediction))
        return float(scores.recall[scores.support > 0].mean())
