"""Scaling: what standard and minmax do, that it can be undone, and features that never vary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from bpcli.data.scaling import fit, fit_blocks

KINDS = ["standard", "minmax"]
values = st.floats(-1e6, 1e6, allow_subnormal=False)
tables = npst.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(1, 4)), elements=values)


def table(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal([5, -100, 0.001], [2, 30, 1e-5], (50, 3))


def test_none_scales_nothing():
    assert fit("none", table()) is None


def test_standard_gives_mean_0_and_deviation_1():
    scaled = fit("standard", table()).apply(table())
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(axis=0), 1)


def test_minmax_gives_0_to_1():
    scaled = fit("minmax", table()).apply(table())
    np.testing.assert_array_equal(scaled.min(axis=0), 0)
    np.testing.assert_array_equal(scaled.max(axis=0), 1)


def test_standard_by_hand():
    """Mean 2, population deviation sqrt(2/3)."""
    x = np.array([[1.0], [2.0], [3.0]])
    np.testing.assert_allclose(fit("standard", x).apply(x).ravel(), [-(1.5**0.5), 0, 1.5**0.5])


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_scaled_pixel_by_pixel(kind):
    x = np.random.default_rng(0).random((6, 2, 3))
    flat = x.reshape(6, 6)
    np.testing.assert_allclose(fit(kind, x).apply(x).reshape(6, 6), fit(kind, flat).apply(flat))


@pytest.mark.parametrize("kind", KINDS)
def test_other_values_are_scaled_by_what_was_fitted(kind):
    scaler = fit(kind, np.array([[0.0], [10.0]]))
    np.testing.assert_allclose(scaler.apply(np.array([[20.0]])), [[3.0 if kind == "standard" else 2.0]])


@settings(derandomize=True)
@given(tables)
@pytest.mark.parametrize("kind", KINDS)
def test_scaling_can_be_undone(kind, x):
    scaler = fit(kind, x)
    span = np.abs(x).max(initial=1.0)
    np.testing.assert_allclose(scaler.undo(scaler.apply(x)), x, rtol=1e-9, atol=1e-9 * span)


@settings(derandomize=True)
@given(tables)
@pytest.mark.parametrize("kind", KINDS)
def test_scaled_training_values_are_finite_and_of_moderate_size(kind, x):
    scaled = fit(kind, x).apply(x)
    assert np.abs(scaled).max() <= len(x) ** 0.5 + 1e-6


@settings(max_examples=200, derandomize=True)
@given(values, st.integers(1, 60))
@pytest.mark.parametrize("kind", KINDS)
def test_a_feature_that_never_varies_becomes_0(kind, value, n):
    """The mean of equal numbers is not always that number: 0.1 three times has the mean 0.10000000000000002."""
    x = np.full((n, 1), value)
    scaled = fit(kind, x).apply(x)
    np.testing.assert_allclose(scaled, 0, atol=1e-9 * max(1.0, abs(value)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_feature_that_never_varied_in_training_is_not_blown_up_where_it_does(kind):
    scaler = fit(kind, np.full((3, 1), 0.1))
    np.testing.assert_allclose(scaler.apply(np.array([[0.2]])), 0.1, atol=1e-9)


@pytest.mark.parametrize("size", [1e-100, 1e150])
@pytest.mark.parametrize("kind", KINDS)
def test_very_small_and_very_large_numbers_are_scaled_like_others(kind, size):
    x = np.array([[1.0], [2.0], [4.0]])
    np.testing.assert_allclose(fit(kind, x * size).apply(x * size), fit(kind, x).apply(x))


LARGEST = np.finfo(np.float64).max


def test_standard_takes_the_largest_numbers_of_both_signs():
    x = np.array([[-LARGEST], [-0.9 * LARGEST], [LARGEST]])
    np.testing.assert_allclose(fit("standard", x).apply(x), fit("standard", x / 1e10).apply(x / 1e10))


def test_minmax_has_no_scale_for_a_range_beyond_all_numbers():
    x = np.array([[-LARGEST, 0.0], [LARGEST, 1.0]])
    assert np.isinf(fit("minmax", x).scale).tolist() == [True, False]
    assert np.isinf(fit_blocks("minmax", [x[:1], x[1:]], np.abs(x).max(axis=0)).scale).tolist() == [True, False]


def test_values_in_their_own_units_overflow_without_a_warning():
    assert np.isinf(fit("standard", np.array([[0.0], [1e300]])).undo(np.array([[1e10]]))).all()
