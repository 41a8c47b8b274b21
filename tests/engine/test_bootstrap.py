"""Confidence intervals: resampled values are those of the repeated rows, and the ends are scipy's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.make_evaluation_reference import data_of

from bpcli.engine import registry
from bpcli.engine.measure import bootstrap
from bpcli.engine.measure.bootstrap import intervals, resamples
from bpcli.engine.metrics.classification import Accuracy, CalibrationError, LogLoss
from bpcli.engine.metrics.regression import MeanSquaredError, RootMeanSquaredError
from bpcli.engine.protocols import Metric, Resampled

STORED = json.loads((Path(__file__).parents[1] / "reference" / "evaluation.json").read_text(encoding="utf-8"))
RESAMPLED = [name for name in registry.metrics.names() if isinstance(registry.metrics.get(name)(), Resampled)]
OPTIONS = [{"average": "micro"}, {"average": "weighted"}]


def seeded(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def data_for(metric: Metric, n: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions with ties; of classes, the last is rare, so that some resamples lack it."""
    rng = seeded(n)
    if metric.task == "regression":
        target = rng.integers(-3, 4, size=(n, width)).astype(float) + 100.0
        return target, target + rng.normal(size=(n, width))
    y = rng.integers(width - 1, size=n)
    y[0] = width - 1
    return y, rng.multinomial(8, np.ones(width) / width, size=n) / 8


@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("n", [1, 2, 25])
@pytest.mark.parametrize(
    ("name", "keys"),
    [(name, {}) for name in RESAMPLED] + [(name, keys) for name in ("f1", "precision", "recall") for keys in OPTIONS],
)
def test_a_metrics_value_on_a_resample_is_that_of_the_repeated_rows(
    name: str, keys: dict[str, Any], n: int, width: int
) -> None:
    metric = registry.metrics.get(name)(**keys)
    target, prediction = data_for(metric, n, width)
    assert isinstance(metric, Resampled)
    values = metric.resampled(target, prediction)
    if values is None:
        return
    counts = seeded().multinomial(n, np.ones(n) / n, size=60).astype(float)
    rows = [np.repeat(np.arange(n), times.astype(int)) for times in counts]
    expected = [metric.value(target[each], prediction[each]) for each in rows]
    np.testing.assert_allclose(values(counts), expected, rtol=1e-9, atol=1e-12)


def test_only_the_calibration_error_has_no_interval() -> None:
    without = [
        name
        for name in RESAMPLED
        if registry.metrics.get(name)().resampled(*data_for(registry.metrics.get(name)(), 9, 2)) is None
    ]
    assert without == ["calibration_error"]


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry["case"]["name"]) for entry in STORED["cases"]])
def test_the_ends_are_scipys(entry: dict[str, Any]) -> None:
    """To a tenth of the interval: 1,000 resamples leave each end a standard error of about 2 % of it."""
    target, prediction = data_of(entry["case"])[1], np.array(entry["linear"])
    metrics = {name: registry.metrics.get(name)() for name in entry["intervals"]}
    got = intervals(metrics, target, prediction, seeded())
    assert got.keys() == {name for name, (low, high) in entry["intervals"].items() if low < high}
    for name in got:
        low, high = entry["intervals"][name]
        step = 1 / len(target) if name == "accuracy" else 0.0  # its values are whole numbers of samples
        assert got[name] == pytest.approx((low, high), rel=0, abs=max(0.1 * (high - low), step + 1e-9))


def test_one_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    y, p = data_for(LogLoss(), 40, 3)
    first, again, other = (intervals({"log_loss": LogLoss()}, y, p, seeded(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_a_metrics_interval_does_not_depend_on_the_metrics_beside_it() -> None:
    y, p = data_for(LogLoss(), 40, 3)
    both = intervals({"accuracy": Accuracy(), "log_loss": LogLoss()}, y, p, seeded())
    assert both["log_loss"] == intervals({"log_loss": LogLoss()}, y, p, seeded())["log_loss"]


def test_the_size_of_the_chunks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    y, p = data_for(Accuracy(), 40, 3)
    whole = intervals({"accuracy": Accuracy()}, y, p, seeded())
    monkeypatch.setattr(bootstrap, "CHUNK_NUMBERS", 7 * 40)
    assert intervals({"accuracy": Accuracy()}, y, p, seeded()) == whole


def test_a_metric_without_its_own_way_is_computed_from_the_drawn_rows() -> None:
    class Largest:
        task = "regression"
        higher_is_better = False

        def value(self, target: np.ndarray, prediction: np.ndarray) -> float:
            return float(np.abs(prediction - target).max())

    target = np.arange(20.0)[:, None]
    low, high = intervals({"largest": Largest()}, target, np.zeros((20, 1)), seeded())["largest"]
    assert low < 19.0 == high


def test_several_entries_of_a_sample_are_drawn_together() -> None:
    """Two equal entries of each sample say no more than one: the interval is that of the samples, not narrower."""
    y, p = data_for(LogLoss(), 30, 3)
    (alone,) = intervals({"log_loss": LogLoss()}, y, p, seeded()).values()
    (twice,) = intervals(
        {"log_loss": LogLoss()}, np.repeat(y, 2), np.repeat(p, 2, axis=0), seeded(), per_sample=2
    ).values()
    assert twice == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("n", [1, 9])
def test_fewer_than_10_samples_have_no_interval(n: int) -> None:
    y, p = data_for(LogLoss(), n, 2)
    assert intervals({"log_loss": LogLoss()}, y, p, seeded()) == {}


def test_predictions_that_are_all_right_have_no_interval() -> None:
    """Every resample is all right too, which would be an interval from 1 to 1."""
    y = np.arange(40) % 2
    assert intervals({"accuracy": Accuracy()}, y, np.eye(2)[y], seeded()) == {}


def test_values_that_are_not_finite_have_no_interval() -> None:
    target = np.zeros((20, 1))
    found = intervals({"mse": MeanSquaredError(), "rmse": RootMeanSquaredError()}, target, target + 1e200, seeded())
    assert found == {}


def test_large_predictions_have_fewer_resamples_but_at_least_100() -> None:
    shapes = [(50_000, 1), (25_000, 2), (250_000, 1), (10_000_000, 1)]
    assert [resamples(np.broadcast_to(0.0, shape)) for shape in shapes] == [1000, 1000, 200, 100]


def test_many_classes_are_counted_in_little_memory() -> None:
    import tracemalloc

    y, p = np.zeros(12, np.int64), np.zeros((12, 20_000))
    p[::3, 7] = 1.0
    tracemalloc.start()
    assert "f1" in intervals({"f1": registry.metrics.get("f1")()}, y, p, seeded())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 64 << 20


@pytest.mark.parametrize(
    ("confidence", "hits", "expected"),
    [
        ([0.7, 0.7, 0.7, 0.7], [1, 1, 1, 0], 0.05),  # one bin: |3/4 - 0.7|
        ([0.6, 0.6, 0.9, 0.9], [1, 0, 1, 1], 0.1),  # |0.5 - 0.6| / 2 + |1 - 0.9| / 2
        ([1.0, 1.0], [1, 1], 0.0),
        ([1.0, 1.0], [0, 0], 1.0),
    ],
)
def test_the_calibration_error_worked_by_hand(confidence: list[float], hits: list[int], expected: float) -> None:
    p = np.array(confidence)
    target = np.where(hits, 0, 1)
    assert CalibrationError().value(target, np.stack([p, 1 - p], axis=1)) == pytest.approx(expected)


def test_shares_that_come_true_have_a_calibration_error_of_exactly_0() -> None:
    third = np.full((30, 3), 1 / 3)
    assert CalibrationError().value(np.arange(30) % 3, third) == 0.0
