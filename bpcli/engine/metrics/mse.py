"""Mean over samples and outputs of (a - y)^2, in the data's units squared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics


@metrics.register("mse", "mean_squared_error", elsewhere="l2 neg_mean_squared_error")
@dataclass(frozen=True, kw_only=True)
class MeanSquaredError:
    """Mean over samples and outputs of (a - y)^2, in the data's units squared."""

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.mean((prediction - target) ** 2))
