"""Root of the mean over samples and outputs of (a - y)^2, in the data's units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics


@metrics.register("rmse")
@dataclass(frozen=True, kw_only=True)
class RootMeanSquaredError:
    """Root of the mean over samples and outputs of (a - y)^2, in the data's units."""

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.sqrt(np.mean((prediction - target) ** 2)))
