"""The share of samples whose most probable class is the right one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics


@metrics.register(
    "accuracy", "acc", "accuracy_score", elsewhere="binary_accuracy categorical_accuracy sparse_categorical_accuracy"
)
@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Share of samples, 0..1, whose most probable class is the right one (the first of equals)."""

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        return float((prediction.argmax(axis=1) == target).mean())
