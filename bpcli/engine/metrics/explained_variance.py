"""1 - var(a - y) / var(y)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.explained import explained_share, squares_about_mean
from bpcli.engine.registry import metrics


@metrics.register("explained_variance", "explained_variance_score")
@dataclass(frozen=True, kw_only=True)
class ExplainedVariance:
    """1 - var(a - y) / var(y), the mean over the outputs: R^2 for predictions freed of their mean error.

    An output that never varies counts as 1 if its error never varies either, else 0.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        return explained_share(squares_about_mean(prediction - target), target)
