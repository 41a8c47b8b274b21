"""Bootstrap confidence intervals of metrics: how far they would move if other samples had been drawn.

Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13: the percentile interval. A resample has as many
samples as there are, drawn with replacement; the interval goes from the 2.5th to the 97.5th percentile of the metric's
values on many resamples. It says what the choice of samples leaves open, not what another training would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.protocols import Metric, Resampled

Interval: TypeAlias = tuple[float, float]

RESAMPLES = 1000
FEWEST_RESAMPLES = 100
FEWEST_SAMPLES = 10  # with fewer there is no interval
MOST_NUMBERS = 50_000_000  # of the predictions in all resamples, unless that takes fewer than FEWEST_RESAMPLES
LEVEL = 0.95
CHUNK_NUMBERS = 1 << 18  # counts of samples or of classes held at once: 2 MB


def intervals(
    metrics: Mapping[str, Metric], target: Array, prediction: Array, rng: np.random.Generator, *, per_sample: int = 1
) -> dict[str, Interval]:
    """The 95 % interval of each metric; all metrics see the same resamples.

    Left out is a metric without an interval: one that is not finite on a resample, or the same on all of them, as where
    every prediction is right; and all of them where there are fewer than FEWEST_SAMPLES samples.

    Args:
        target, prediction: as the metrics take them.
        per_sample: how many consecutive rows of these are one sample and drawn together.
    """
    n = len(target) // per_sample
    if n < FEWEST_SAMPLES:
        return {}
    with np.errstate(all="ignore"):
        bound = {name: _resample(metric, target, prediction) for name, metric in metrics.items()}
        functions = {name: function for name, function in bound.items() if function is not None}
        values: dict[str, list[Array]] = {name: [] for name in functions}
        for counts in _drawn(n, resamples(prediction), max(1, CHUNK_NUMBERS // max(n, prediction.shape[1])), rng):
            rows = counts if per_sample == 1 else np.repeat(counts, per_sample, axis=1)
            for name, function in functions.items():
                values[name].append(function(rows))
        every = {name: np.concatenate(parts) for name, parts in values.items()}
    return {name: _interval(each) for name, each in every.items() if _says_something(each)}


def resamples(prediction: Array) -> int:
    """How many resamples are drawn: 1,000; fewer, but at least 100, for predictions of more than 50,000 numbers."""
    return max(FEWEST_RESAMPLES, min(RESAMPLES, MOST_NUMBERS // prediction.size))


def _drawn(n: int, resamples: int, size: int, rng: np.random.Generator) -> Iterator[Array]:
    """How often each of n samples was drawn, for all resamples in chunks (size, n); the last may be shorter."""
    for low in range(0, resamples, size):
        draws = (rng.integers(n, size=n) for _ in range(min(size, resamples - low)))
        yield np.stack([np.bincount(rows, minlength=n) for rows in draws]).astype(np.float64)


def _resample(metric: Metric, target: Array, prediction: Array) -> Callable[[Array], Array] | None:
    if isinstance(metric, Resampled):
        return metric.resampled(target, prediction)

    def values(counts: Array) -> Array:
        drawn = (np.repeat(np.arange(len(target)), times.astype(np.int64)) for times in counts)
        return np.array([metric.value(target[rows], prediction[rows]) for rows in drawn])

    return values


def _says_something(values: Array) -> bool:
    return bool(np.isfinite(values).all() and np.ptp(values) > 0)


def _interval(values: Array) -> Interval:
    low, high = np.percentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)
