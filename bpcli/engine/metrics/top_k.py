"""The share of samples whose class is among the k most probable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.fields import AtLeast, check_fields
from bpcli.engine.registry import metrics


@metrics.register("top_k", "top_k_accuracy", elsewhere="top_5 top_5_accuracy top_k_categorical_accuracy")
@dataclass(frozen=True, kw_only=True)
class TopK:
    """Share of samples, 0..1, whose class is among the k most probable; 1 where there are no more than k classes.

    Of equal probabilities the first come first, so that k = 1 is accuracy (scikit-learn takes the last).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    k: Annotated[int, AtLeast(1)] = 5

    def __post_init__(self) -> None:
        check_fields(self)

    def value(self, target: Array, prediction: Array) -> float:
        own = prediction[np.arange(len(target)), target, np.newaxis]
        earlier = np.arange(prediction.shape[1]) < target[:, np.newaxis]
        before = np.where(earlier, ~(prediction < own), ~(prediction <= own))  # a NaN is no hit
        return float((before.sum(axis=1) < self.k).mean())
