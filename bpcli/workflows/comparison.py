"""What summary.json says of a finished run beside its scores: how sure they are, and what they compare with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bpcli.build.model import Model
from bpcli.build.session import Session
from bpcli.data.types import Part
from bpcli.engine.arrays import Array
from bpcli.engine.measure.bootstrap import Interval, intervals
from bpcli.engine.metrics.classification import CalibrationError
from bpcli.engine.protocols import Metric
from bpcli.engine.training.state import TrainState
from bpcli.workflows.baselines import Baselines, evaluation_streams
from bpcli.workflows.thresholds import best_on, threshold_of

HELD_OUT = ("val", "test")  # an interval on the training split would say nothing of other samples

OnOutput = Callable[[str, Part, Array], None]


class Comparison:
    """What is computed from the outputs of the last and the best weights while they are evaluated split by split."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.intervals: dict[str, dict[str, list[float]]] = {}
        self.calibration: dict[str, float] = {}
        self.thresholds: dict[str, Any] = {}

    def at_last(self, state: TrainState) -> OnOutput:
        """The function to call with each split and its outputs, for the last weights."""
        return lambda name, part, output: self._threshold("last", state, name, part, output)

    def at_best(self, state: TrainState) -> OnOutput:
        """The same for the best weights."""

        def on_output(name: str, part: Part, output: Array) -> None:
            self._threshold("best", state, name, part, output)
            if self.model.gives_probabilities and self.model.preparation.task == "classification":
                self.calibration[name] = CalibrationError().value(*self.model.metric_arguments(part, output))
            if name in HELD_OUT:
                found = intervals_on(self.model, part, output, self.model.metrics)
                self.intervals[name] = {key: list(ends) for key, ends in found.items()}

        return on_output

    def _threshold(self, weights: str, state: TrainState, name: str, part: Part, output: Array) -> None:
        if name == "val" and (found := threshold_of(self.model, part, output, best_on(self.model, part, output))):
            self.thresholds[weights] = {"epoch": state.epoch, "iterations": state.step, **found.to_plain()}

    def values(self, session: Session) -> dict[str, Any]:
        """What summary.json holds of it; fits the baselines."""
        parts = session.datasets.parts
        baselines = Baselines.fitted(self.model, parts["train"])
        scores: dict[str, dict[str, Any]] = {}
        for name, part in parts.items():
            for baseline, values in baselines.scores(self.model, part, self.model.metrics).items():
                scores.setdefault(baseline, {})[name] = values
        return {
            "intervals": self.intervals,
            "calibration_error": self.calibration,
            "threshold": self.thresholds,
            "baselines": {**scores, **baselines.to_plain()},
        }


def intervals_on(model: Model, part: Part, output: Array, metrics: Mapping[str, Metric]) -> dict[str, Interval]:
    """The 95 % interval of each of the metrics, for the network's outputs on this split."""
    target, prediction = model.metric_arguments(part, output)
    rng = evaluation_streams(model.config.seed)["bootstrap"]
    return intervals(metrics, target, prediction, rng, per_sample=len(target) // len(part))


def stored_threshold(summary: Mapping[str, Any], iterations: object) -> float | None:
    """The best threshold that a summary has for the weights after so many iterations."""
    kept = summary.get("threshold")
    for found in kept.values() if isinstance(kept, dict) else ():
        if isinstance(found, dict) and found.get("iterations") == iterations:
            best = found.get("best_on_val")
            return best if isinstance(best, float) else None
    return None
