"""Median over samples of |a - y|, in the data's units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics


@metrics.register("median_absolute_error", "medae")
@dataclass(frozen=True, kw_only=True)
class MedianAbsoluteError:
    """Median over samples of |a - y|, the mean over the outputs, in the data's units. Outliers do not move it."""

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.median(np.abs(prediction - target), axis=0).mean())
