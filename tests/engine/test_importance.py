"""Permutation importance, and the threshold between two classes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.make_evaluation_reference import data_of

from bpcli.engine.measure.importance import permutation_importance
from bpcli.engine.measure.threshold import best_threshold
from bpcli.engine.metrics.classification import BalancedAccuracy

STORED = json.loads((Path(__file__).parents[1] / "reference" / "evaluation.json").read_text(encoding="utf-8"))
TWO_CLASSES = [
    pytest.param(entry, id=entry["case"]["name"]) for entry in STORED["cases"] if entry["best_balanced_accuracy"]
]


def linear_data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x, w = rng.normal(size=(60, 4)), np.array([2.0, -1.0, 0.5, 0.0])
    return x, x @ w + rng.normal(size=60), w


def importance(x: np.ndarray, y: np.ndarray, w: np.ndarray, groups: dict[str, tuple[int, ...]], **keys: Any) -> Any:
    def squared_error(inputs: np.ndarray) -> float:
        return float(((inputs @ w - y) ** 2).mean())

    options = {"higher_is_better": False, "repeats": 4000} | keys
    return permutation_importance(x, groups, squared_error, np.random.default_rng(0), **options)


def test_the_importance_of_a_linear_models_columns_is_the_expected_one() -> None:
    """Mean of (e + w (x' - x))^2 over all permutations x', which have mean m and variance v, less that of e^2."""
    x, y, w = linear_data()
    found = importance(x, y, w, {name: (k,) for k, name in enumerate("abcd")})
    error = x @ w - y
    for k, name in enumerate("abcd"):
        away = x[:, k].mean() - x[:, k]
        expected = (2 * error * w[k] * away + w[k] ** 2 * (x[:, k].var() + away**2)).mean()
        # 4,000 repeats: three standard errors of the mean
        assert found[name].mean == pytest.approx(expected, abs=3 * found[name].std / 4000**0.5 + 1e-12)
    assert (found["d"].mean, found["d"].std) == (0.0, 0.0)


def test_the_columns_of_a_group_are_permuted_together() -> None:
    """Two halves of one column: their sum is what counts, and permuted apart they would matter half as much."""
    x, y, w = linear_data()
    halves = np.hstack([x, x[:, :1]])
    weights = np.array([w[0] / 2, *w[1:], w[0] / 2])
    whole = importance(x, y, w, {"a": (0,)}, repeats=30)["a"]
    together = importance(halves, y, weights, {"a": (0, 4)}, repeats=30)["a"]
    assert (together.mean, together.std) == pytest.approx((whole.mean, whole.std))


def test_a_metric_where_more_is_better_falls() -> None:
    x, y, w = linear_data()
    error, score = (
        importance(x, y, w, {"a": (0,)}, higher_is_better=better, repeats=5)["a"] for better in (False, True)
    )
    assert error.mean == -score.mean > 0


def test_the_inputs_are_afterwards_as_they_were() -> None:
    x, y, w = linear_data()
    before = x.copy()
    importance(x, y, w, {"a": (0, 2), "b": (1,)}, repeats=3)
    assert x.tobytes() == before.tobytes()


# --- the threshold ----------------------------------------------------------------------------------------------------


def balanced_accuracy(target: np.ndarray, score: np.ndarray, threshold: float) -> float:
    return BalancedAccuracy().value(target, np.eye(2)[(score > threshold).astype(int)])


@pytest.mark.parametrize("entry", TWO_CLASSES)
def test_the_best_threshold_is_as_good_as_scikit_learns(entry: dict[str, Any]) -> None:
    target, score = data_of(entry["case"])[1], np.array(entry["linear"])[:, 1]
    threshold = best_threshold(target, score, 0.5)
    assert threshold is not None
    assert balanced_accuracy(target, score, threshold) == pytest.approx(entry["best_balanced_accuracy"], rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_is_better_with_ties_among_the_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, score = rng.integers(2, size=40), rng.integers(9, size=40) / 8
    best = best_threshold(target, score, 0.5)
    assert best is not None
    every = [balanced_accuracy(target, score, t) for t in np.linspace(-0.1, 1.1, 193)]
    assert balanced_accuracy(target, score, best) == pytest.approx(max(every))


@pytest.mark.parametrize(
    ("target", "score", "used", "expected"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], 0.5, 0.25),  # half-way between 0.2 and 0.3
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], 0.7, 0.7),  # as good as any
        ([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], 0.5, 0.35),  # as good as 0.15, and nearer
        ([0, 1], [0.5, 0.5], 0.5, 0.5),
        ([0, 1], [-3.0, -1.0], 0.0, -2.0),  # scores of hinge
    ],
)
def test_the_threshold_worked_by_hand(target: list[int], score: list[float], used: float, expected: float) -> None:
    assert best_threshold(np.array(target), np.array(score), used) == pytest.approx(expected)


def test_neighbouring_floats_are_still_told_apart() -> None:
    low, high = np.float64(0.3), np.nextafter(0.3, 1)
    threshold = best_threshold(np.array([0, 1]), np.array([low, high]), 0.5)
    assert threshold is not None
    assert (low > threshold, high > threshold) == (False, True)


@pytest.mark.parametrize("target", [[0, 0, 0], [1, 1, 1]])
def test_one_class_has_no_best_threshold(target: list[int]) -> None:
    assert best_threshold(np.array(target), np.array([0.1, 0.2, 0.3]), 0.5) is None


def test_scores_that_are_not_numbers_have_no_best_threshold() -> None:
    assert best_threshold(np.array([0, 1]), np.array([0.1, np.nan]), 0.5) is None
