"""Root of the mean over samples of (a - y)^2, in the data's units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics


@metrics.register("rmse", "root_mean_squared_error", elsewhere="root_mean_square_error")
@dataclass(frozen=True, kw_only=True)
class RootMeanSquaredError:
    """Root of the mean over samples of (a - y)^2, the mean over the outputs, in the data's units.

    With several outputs it is the mean of their roots, as in scikit-learn, not the root of `mse`.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.sqrt(((prediction - target) ** 2).mean(axis=0)).mean())
