"""Agreement beyond what chance would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.confusion import counts_of
from bpcli.engine.registry import metrics


@metrics.register("cohen_kappa", "kappa", "cohen_kappa_score", elsewhere="quadratic_weighted_kappa")
@dataclass(frozen=True, kw_only=True)
class CohenKappa:
    """(p_o - p_e) / (1 - p_e): p_o the accuracy, p_e what drawing by the two frequencies of the classes would give.

    Where truth and prediction are one and the same class throughout, chance explains it all, and it is 0
    (scikit-learn: NaN). Source: Cohen, 1960.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        counts = counts_of(target, prediction)
        n = len(target)
        observed, expected = n * int(counts.hits.sum()), int(counts.predicted @ counts.support)
        return (observed - expected) / (n * n - expected) if expected < n * n else 0.0
