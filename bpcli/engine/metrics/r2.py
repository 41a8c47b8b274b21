"""R^2 = 1 - sum (a - y)^2 / sum (y - mean y)^2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.explained import explained_share
from bpcli.engine.registry import metrics


@metrics.register("r2", "r2_score", elsewhere="coefficient_of_determination r_squared")
@dataclass(frozen=True, kw_only=True)
class R2:
    """Coefficient of determination, 1 - sum (a - y)^2 / sum (y - mean y)^2, the mean over the outputs.

    1 is perfect, 0 as good as always saying the mean. An output that never varies
    counts as 1 if it is met exactly, else 0.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        return explained_share(((prediction - target) ** 2).sum(axis=0), target)
