"""Two parts of a table are compared by distances with thresholds that chance does not reach."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bpcli.data.drift import (
    drift_of_gaps,
    drift_of_numbers,
    drift_of_shares,
    drifts,
    ks_distance,
    ks_threshold,
    tv_threshold,
)
from bpcli.data.types import RawData


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def table(columns, texts=None):
    return RawData("t.csv", np.column_stack(list(columns.values())), None, tuple(columns), None, (), texts=texts or {})


def test_ks_distance_by_hand():
    """F of (1, 2, 3, 4) and G of (3, 4, 5, 6): F(2) = 1/2, G(2) = 0."""
    assert ks_distance(np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6])) == 0.5
    assert ks_distance(np.array([1.0, 2]), np.array([1.0, 2, 1, 2])) == 0.0
    assert ks_distance(np.array([1.0]), np.array([2.0])) == 1.0


def test_ks_threshold_is_that_of_the_tables():
    """c(0.05) = 1.358; from n = m = 5,000 on it is less than 0.1, which is the least that matters."""
    assert ks_threshold(100, 100, 0.05) == pytest.approx(1.358 * math.sqrt(2 / 100), abs=1e-3)
    assert ks_threshold(10**6, 10**6, 0.05) == 0.1


def test_samples_of_one_source_hardly_ever_exceed_the_thresholds(rng):
    """alpha is 0.01 here: of 2,000 pairs about 20 for KS, and fewer for TV, whose bound is not tight."""
    n, m, exceeded = 150, 80, {"ks": 0, "tv": 0}
    for _ in range(2000):
        a, b = rng.normal(size=n), rng.normal(size=m)
        exceeded["ks"] += ks_distance(a, b) > ks_threshold(n, m, 0.01)
        p, q = rng.integers(0, 4, n), rng.integers(0, 4, m)
        distance = 0.5 * np.abs(np.bincount(p, minlength=4) / n - np.bincount(q, minlength=4) / m).sum()
        exceeded["tv"] += distance > tv_threshold(n, m, 4, 0.01)
    assert exceeded["ks"] <= 40
    assert exceeded["tv"] <= 20


def test_a_moved_column_of_numbers_is_found(rng):
    found = drift_of_numbers("age", rng.normal(0, 1, 500), rng.normal(1, 1, 300), 0.001)
    assert found is not None
    assert (found.column, found.statistic) == ("age", "ks")
    assert found.distance > 0.3 > found.threshold
    assert found.shifted["median"] == (pytest.approx(0, abs=0.2), pytest.approx(1, abs=0.2))


def test_changed_shares_and_new_categories_are_found():
    found = drift_of_shares("city", {"a": 500, "b": 500}, {"a": 900, "b": 50, "c": 50}, 0.001)
    assert found is not None
    assert found.distance == pytest.approx(0.45)
    assert found.new == 50
    assert found.shifted == {"b": (0.5, 0.05), "a": (0.5, 0.9), "c": (0.0, 0.05)}


def test_a_change_of_missing_values_is_found():
    found = drift_of_gaps("age", (0, 1000), (400, 1000), 0.001)
    assert found is not None
    assert found.shifted == {"missing": (0.0, 0.4)}
    assert drift_of_gaps("age", (390, 1000), (400, 1000), 0.001) is None


def test_small_distances_are_no_drift_however_many_rows(rng):
    assert drift_of_numbers("age", rng.normal(0, 1, 100_000), rng.normal(0.05, 1, 100_000), 0.001) is None


def test_tables_are_compared_column_by_column(rng):
    same = rng.normal(size=400)
    train = table({"a": same, "b": same, "c": same * 0, "d": np.repeat([0.0, 1.0], 200)}, {"d": ("x", "y")})
    other = table({"a": same, "b": same + 2, "c": same * np.nan, "d": np.zeros(400)}, {"d": ("y",)})
    assert [(drift.column, drift.statistic) for drift in drifts(train, other)] == [
        ("b", "ks"),
        ("c", "missing"),
        ("d", "tv"),
    ]
