"""The line between two classes: the one that was used, and the best one on the validation split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpcli.build.model import Model
from bpcli.data.types import Part
from bpcli.engine import registry
from bpcli.engine.arrays import Array
from bpcli.engine.measure.bootstrap import FEWEST_SAMPLES
from bpcli.engine.measure.threshold import best_threshold

BY = "balanced_accuracy"
SHOWN = ("accuracy", BY, "f1", "mcc")  # metrics that depend on where the line is, and not on which class is called 1


@dataclass(frozen=True, eq=False)
class Threshold:
    """Class 1 is an output above the threshold.

    used: the one that labels are made with; best: the one with the highest balanced accuracy on the validation split,
    None where there is none. at_used, at_best: metrics on the evaluated split.
    """

    class_name: str
    used: float
    best: float | None
    at_used: Mapping[str, float]
    at_best: Mapping[str, float] | None

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "class": self.class_name,
            "used": self.used,
            "best_on_val": self.best,
            "best_by": BY,
            "at_used": dict(self.at_used),
            "at_best": None if self.at_best is None else dict(self.at_best),
        }


def threshold_used(model: Model) -> float | None:
    """What an output, or the probability of class 1, is compared with; None unless there are two classes."""
    if model.preparation.classes is None or len(model.preparation.classes) != 2:
        return None
    if model.network.out_shape == (1,):
        return model.config.loss.boundary
    return 0.5 if model.gives_probabilities else None


def threshold_of(model: Model, part: Part, output: Array, best: float | None) -> Threshold | None:
    """What there is to say of the threshold on a split; None unless there are two classes."""
    used, classes = threshold_used(model), model.preparation.classes
    if used is None or classes is None:
        return None
    target, prediction = model.metric_arguments(part, output)
    moved = None if best is None else np.eye(2)[(prediction[:, 1] > best).astype(np.int64)]
    at_best = None if moved is None else _metrics(target, moved)
    return Threshold(classes[1], used, best, _metrics(target, prediction), at_best)


def best_on(model: Model, part: Part, output: Array) -> float | None:
    """The best threshold on this split; None for fewer than 10 samples, or without a sample of each class."""
    used = threshold_used(model)
    if used is None or len(part) < FEWEST_SAMPLES:
        return None
    target, prediction = model.metric_arguments(part, output)
    return best_threshold(target, prediction[:, 1], used)


def _metrics(target: Array, prediction: Array) -> dict[str, float]:
    return {name: registry.metrics.get(name)().value(target, prediction) for name in SHOWN}
