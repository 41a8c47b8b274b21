"""F1, the harmonic mean of precision and recall, averaged over the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.confusion import Average, average_scores, counts_of
from bpcli.engine.registry import metrics


@metrics.register("f1", "f1_score", elsewhere="f1_macro f_measure f_score macro_f1")
@dataclass(frozen=True, kw_only=True)
class F1:
    """2pr / (p + r) of each class, 0 / 0 counting as 0, averaged as `confusion.average_scores` says.

    The same as scikit-learn's f1_score with that average and zero_division=0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    average: Average = "macro"

    def value(self, target: Array, prediction: Array) -> float:
        return average_scores(counts_of(target, prediction), self.average).f1
