"""Which columns a trained network's score depends on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpcli.build.model import Model
from bpcli.data import encoding
from bpcli.data.preparation import Preparation
from bpcli.data.types import Part
from bpcli.engine.arrays import Array
from bpcli.engine.measure.importance import REPEATS, Importance, permutation_importance
from bpcli.engine.training.evaluation import predict
from bpcli.engine.training.samples import fetch_inputs
from bpcli.errors import UsageError
from bpcli.workflows.baselines import evaluation_streams

# of the inputs that are evaluated in all, all columns and repeats together; 100 rows at the least
MOST_NUMBERS = 1 << 26


@dataclass(frozen=True, eq=False)
class ImportanceResult:
    """By how much a metric gets worse when a column is permuted, by column, from `samples` samples of the split."""

    metric: str
    higher_is_better: bool
    samples: int
    repeats: int
    columns: Mapping[str, Importance]


def input_groups(preparation: Preparation) -> dict[str, tuple[int, ...]]:
    """The columns of the data, and which inputs of the network come from each.

    Raises:
        UsageError: the inputs are images, whose pixels have no meaning of their own.
    """
    if preparation.columns is not None:
        return {name: tuple(inputs) for name, inputs in encoding.input_groups(preparation.columns).items()}
    shape = preparation.in_shape
    if len(shape) != 1:
        sides = " x ".join(map(str, shape))
        raise UsageError(f"--importance: is for columns, and this network takes images ({sides})")
    names = preparation.feature_names or tuple(f"x{column + 1}" for column in range(shape[0]))
    return {name: (column,) for column, name in enumerate(names)}


def importance_on(model: Model, part: Part, theta: Array, stats: Array) -> ImportanceResult:
    """The importance of each column for the first metric of the config; of large splits, on some of the samples.

    Raises:
        UsageError: the inputs are images.
    """
    groups = input_groups(model.preparation)
    rng = evaluation_streams(model.config.seed)["importance"]
    name, metric = next(iter(model.metrics.items()))
    part = _some_of(part, len(groups), theta.dtype, rng)

    def measure(x: Array) -> float:
        output = predict(model.network, theta, x.reshape(len(x), *model.network.in_shape), stats=stats)
        return metric.value(*model.metric_arguments(part, output))

    assert isinstance(part.x, np.ndarray)
    with np.errstate(all="ignore"):
        columns = permutation_importance(
            part.x, groups, measure, rng, higher_is_better=metric.higher_is_better, repeats=REPEATS
        )
    return ImportanceResult(name, metric.higher_is_better, len(part), REPEATS, columns)


def _some_of(part: Part, groups: int, dtype: np.dtype[Any], rng: np.random.Generator) -> Part:
    """A copy of the part in memory, of as many samples as can be evaluated that often."""
    size, width = len(part), math.prod(part.x.shape[1:])
    most = max(100, MOST_NUMBERS // (width * groups * REPEATS))
    rows = np.arange(size) if size <= most else np.sort(rng.choice(size, most, replace=False))
    x = np.empty((len(rows), width), dtype)
    fetch_inputs(part.x.reshape(size, width), rows, x)
    return Part(
        x,
        part.y[rows],
        None if part.raw_targets is None else part.raw_targets[rows],
        None if part.weights is None else part.weights[rows],
    )
