"""Matthews correlation coefficient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.confusion import counts_of
from bpcli.engine.registry import metrics


@metrics.register("mcc", "matthews_corrcoef", elsewhere="matthews matthews_correlation_coefficient phi")
@dataclass(frozen=True, kw_only=True)
class Mcc:
    """Correlation, -1..1, of true and predicted class; 0 where one of the two never varies.

    For two classes (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn)); for several Gorodkin's R_K (2004).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        counts = counts_of(target, prediction)
        n, truth, predicted = len(target), counts.support, counts.predicted
        together = n * int(counts.hits.sum()) - int(truth @ predicted)
        varies = (n * n - int(truth @ truth)) * (n * n - int(predicted @ predicted))
        return together / math.sqrt(varies) if varies else 0.0
