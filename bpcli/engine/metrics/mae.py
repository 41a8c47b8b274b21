"""Mean over samples and outputs of |a - y|, in the data's units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics


@metrics.register("mae", "mean_absolute_error", elsewhere="l1 neg_mean_absolute_error")
@dataclass(frozen=True, kw_only=True)
class MeanAbsoluteError:
    """Mean over samples and outputs of |a - y|, in the data's units."""

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.mean(np.abs(prediction - target)))
