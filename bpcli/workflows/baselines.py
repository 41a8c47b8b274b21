"""What a run's scores are compared with: fitted at the end of training, kept in summary.json, shown by eval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpcli.build.model import Model
from bpcli.data.types import Part
from bpcli.engine.arrays import Array
from bpcli.engine.measure.baselines import (
    Kind,
    LinearModel,
    NoLinearModelError,
    constant_outputs,
    fit_linear,
    rows_fitted,
)
from bpcli.engine.protocols import Metric
from bpcli.engine.training.state import random_streams


@dataclass(frozen=True, eq=False)
class Baselines:
    """Two simple models of the training split.

    constant: its outputs for every sample. note: what to know of the linear one, or why there is none; may be empty.
    """

    constant: Array
    linear: LinearModel | None
    note: str = ""

    @classmethod
    def fitted(cls, model: Model, part: Part) -> Baselines:
        """Those of the training split; the linear one is left out where it would cost too much."""
        kind, classes = _kind(model), len(model.preparation.classes or ())
        constant = constant_outputs(part.y, kind, classes)
        if not isinstance(part.x, np.ndarray):
            return cls(constant, None, "no linear model: the inputs stay in their file")
        try:
            rng = evaluation_streams(model.config.seed)["baseline"]
            linear = fit_linear(model.samples(part), kind, classes, model.network.in_shape, rng)
        except NoLinearModelError as error:
            return cls(constant, None, f"no linear model: {error}")
        except MemoryError:
            return cls(constant, None, "no linear model: not enough memory")
        n = rows_fitted(len(part), model.network.in_shape)
        return cls(constant, linear, f"fitted to {n:,} of {len(part):,} samples" if n < len(part) else "")

    def scores(self, model: Model, part: Part, metrics: Mapping[str, Metric]) -> dict[str, dict[str, float]]:
        """The metrics of each baseline on a split, by the baseline's name; none where memory does not suffice."""
        scores = {}
        try:
            for name, output in self._outputs(model, part):
                with np.errstate(all="ignore"):  # what overflows is inf or nan
                    arguments = model.metric_arguments(part, output)
                    scores[name] = {key: metric.value(*arguments) for key, metric in metrics.items()}
        except MemoryError:
            return {}
        return scores

    def _outputs(self, model: Model, part: Part) -> Iterator[tuple[str, Array]]:
        yield constant_name(model), np.broadcast_to(self.constant, (len(part), len(self.constant)))
        if self.linear is not None:
            yield "linear", self.linear.outputs(model.inputs(part.x), model.network.in_shape)

    def to_plain(self) -> dict[str, Any]:
        """What summary.json keeps of the models; a matrix has a line of text for each row."""
        linear = self.linear and {"W": [_as_text(row) for row in self.linear.W], "b": _as_text(self.linear.b)}
        return {"constant": self.constant.tolist(), "linear_model": linear, "note": self.note}

    @classmethod
    def from_plain(cls, values: Any, model: Model) -> Baselines | None:
        """The models again; None if that is not what was kept for this network's data."""
        try:
            constant, linear = np.array(values["constant"], np.float64), values["linear_model"]
            fitted = None
            if linear is not None:
                W, b = np.array([_numbers(row) for row in linear["W"]]), _numbers(linear["b"])
                fitted = LinearModel(_kind(model), W, b)
            read = cls(constant, fitted, str(values["note"]))
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            return None
        return read if read._fits(model) else None

    def _fits(self, model: Model) -> bool:
        width = len(model.preparation.classes or ()) or model.preparation.target_width
        if self.constant.shape != (width,) or not np.isfinite(self.constant).all():
            return False
        if self.linear is None:
            return True
        outputs = 1 if model.preparation.classes and width == 2 else width
        shapes = (outputs, int(np.prod(model.network.in_shape))), (outputs,)
        finite = np.isfinite(self.linear.W).all() and np.isfinite(self.linear.b).all()
        return bool(finite) and (self.linear.W.shape, self.linear.b.shape) == shapes


def constant_name(model: Model) -> str:
    """What the model that says the same of every sample is called."""
    return "majority" if model.preparation.task == "classification" else "mean"


def evaluation_streams(seed: int) -> dict[str, np.random.Generator]:
    """A generator for each thing that evaluation draws, from its beginning."""
    names = ("bootstrap", "baseline", "importance")
    return dict(zip(names, random_streams(seed)["evaluation"].spawn(len(names)), strict=True))


def _kind(model: Model) -> Kind:
    if model.preparation.classes is not None:
        return "classes"
    return "yes_or_no" if model.preparation.several_yes_or_no else "numbers"


def _as_text(numbers: Array) -> str:
    return " ".join(map(repr, numbers.tolist()))


def _numbers(text: str) -> Array:
    return np.array([float(number) for number in text.split()])
