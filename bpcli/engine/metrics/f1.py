"""F1 averaged over the classes, each counting alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bpcli.engine.arrays import Array
from bpcli.engine.confusion import class_scores, confusion_matrix
from bpcli.engine.registry import metrics


@metrics.register("f1")
@dataclass(frozen=True, kw_only=True)
class F1:
    """Macro F1: the mean over the classes that occur, in truth or prediction, of 2pr / (p + r)."""

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        confusion = confusion_matrix(target, prediction.argmax(axis=1), prediction.shape[1])
        occurs = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
        return float(class_scores(confusion).f1[occurs].mean())
