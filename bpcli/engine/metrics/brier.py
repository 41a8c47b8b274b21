"""Mean squared distance of the probabilities from the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics


@metrics.register("brier", "brier_score", "brier_score_loss")
@dataclass(frozen=True, kw_only=True)
class Brier:
    """Mean over samples of sum_k (p_k - y_k)^2, y_k being 1 for the right class and else 0; half of it for two classes.

    With two classes that is (p - y)^2 of class 1 (Brier, 1950, has the full sum for any number of classes).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        classes = prediction.shape[1]
        distance = ((prediction - np.eye(classes)[target]) ** 2).sum(axis=1)
        return float(distance.mean()) * (0.5 if classes == 2 else 1.0)
