"""Mean over samples and outputs of |a - y| / |y|, a fraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics


@metrics.register("mape", "mean_absolute_percentage_error")
@dataclass(frozen=True, kw_only=True)
class MeanAbsolutePercentageError:
    """Mean over samples and outputs of |a - y| / |y|: in spite of its name a fraction, 0.1 for 10 %.

    |y| counts as at least 2.2e-16, float64's eps, so a target of 0 gives a huge number: no metric for such data.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        size = np.maximum(np.abs(target), np.finfo(np.float64).eps)
        return float((np.abs(prediction - target) / size).mean())
