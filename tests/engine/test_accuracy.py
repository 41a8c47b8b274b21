"""Parts in float32 give the float64 values to a few ulp, and float64 the true ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bpcli.engine import registry
from bpcli.engine.arrays import Scratch
from bpcli.engine.erf import BLOCK, blocks, normal
from bpcli.engine.objective import Objective

# z and Phi(z), by mpmath with 60 digits
PHI = [
    (-30.0, 4.906713927148187e-198),
    (-10.0, 7.619853024160525e-24),
    (-5.0, 2.866515718791939e-07),
    (-2.5, 0.006209665325776135),
    (-1.0, 0.15865525393145705),
    (-0.1, 0.460172162722971),
    (-1e-09, 0.49999999960105773),
    (-0.0, 0.5),
    (0.0, 0.5),
    (0.1, 0.539827837277029),
    (1.0, 0.8413447460685429),
    (2.5, 0.9937903346742238),
    (5.0, 0.9999997133484281),
    (9.0, 1.0),
]


def ulps(got: np.ndarray, true: np.ndarray) -> float:
    """The largest error, in units of the last place of the true values in got's dtype."""
    spacing = np.spacing(np.abs(true).astype(got.dtype)).astype(np.float64)
    return float((np.abs(got.astype(np.float64) - true) / spacing).max())


def phi(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cdf, density, *work = np.empty((4, z.size), z.dtype)
    normal(z, cdf, density, work)
    return cdf, density


def test_phi_has_all_digits_in_both_tails() -> None:
    z, true = np.array(PHI).T
    cdf, density = phi(z)
    np.testing.assert_allclose(cdf, true, rtol=1.2e-15)
    np.testing.assert_allclose(density, np.exp(-z * z / 2) / math.sqrt(2 * math.pi), rtol=1e-13)


def test_phi_agrees_with_the_standard_librarys_erfc() -> None:
    z = np.linspace(-12.0, 12.0, 24_001)
    true = np.array([math.erfc(-value / math.sqrt(2)) / 2 for value in z])
    np.testing.assert_allclose(phi(z)[0], true, rtol=4e-14)  # which has a rounded argument, z / sqrt 2


def test_phi_in_float32_is_right_to_a_few_ulp_down_to_its_tail() -> None:
    z = np.linspace(-12.5, 12.5, 25_001, dtype=np.float32)
    assert ulps(phi(z)[0], phi(z.astype(np.float64))[0]) < 8


@pytest.mark.parametrize("order", ["rows", "columns", "images"])
def test_blocks_cover_arrays_of_any_memory_order_once(order: str) -> None:
    x = np.arange(4.0 * 5 * BLOCK).reshape(20, BLOCK)
    out = np.zeros_like(x)
    if order != "rows":
        out = np.asfortranarray(out)
    if order == "images":
        x, out = (np.moveaxis(array.reshape(4, 5, BLOCK), -1, 0) for array in (x, out))
    for x_, out_ in blocks(x, out):
        assert x_.ndim == 1
        assert len(x_) <= BLOCK
        out_ += x_
    assert np.array_equal(x, out)


# Activations whose values, or losses whose sums, come from terms that could cancel.
@pytest.mark.parametrize(
    ("name", "low", "high", "most"),
    [
        ("elu", -80, 1e4, 3),
        ("gelu", -12, 1e4, 9),
        ("mish", -80, 1e4, 5),
        ("selu", -80, 1e4, 4),
        ("silu", -80, 1e4, 4),
        ("softplus", -80, 1e4, 3),
    ],
)
def test_activation_in_float32_is_right_to_a_few_ulp(name: str, low: float, high: float, most: float) -> None:
    single = np.concatenate([np.linspace(low, 20, 20_001), np.geomspace(1e-30, high, 2001)]).astype(np.float32)[None]
    single = np.concatenate([single, -single[:, 20_001:][:, :1900]], axis=1)
    single = single[single >= low][None]
    values = []
    for z in (single, single.astype(np.float64)):
        a = np.empty_like(z)
        registry.activations.get(name)().forward(z, a, Scratch.beside(z.shape, z.dtype.name))
        values.append(a)
    assert ulps(*values) <= most


@pytest.mark.parametrize("name", ["gelu", "mish", "silu", "softplus"])
def test_derivative_in_float32_is_right_to_1e_6(name: str) -> None:
    single = np.linspace(-50, 50, 20_001, dtype=np.float32)[None]
    slopes = []
    for z in (single, single.astype(np.float64)):
        a, da, scratch = np.empty_like(z), np.ones_like(z), Scratch.beside(z.shape, z.dtype.name)
        part = registry.activations.get(name)()
        part.forward(z, a, scratch)
        part.backward(da, z, a, scratch)
        slopes.append(da)
    np.testing.assert_allclose(slopes[0], slopes[1], rtol=0, atol=1e-6)


def losses_one_by_one(name: str, output: str, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    objective = Objective(
        registry.losses.get(name)(), registry.activations.get(output)(), 1, (z.shape[1],), z.dtype.name
    )
    values, deltas = np.empty(len(z)), np.empty_like(z)
    for k in range(len(z)):
        values[k], delta = objective.value_and_delta(z[k : k + 1], y[k : k + 1], 1.0)
        deltas[k] = delta[0]
    return values.astype(z.dtype), deltas


SPREAD = np.concatenate([np.geomspace(1e-6, 1e4, 400), -np.geomspace(1e-6, 1e4, 400)]).astype(np.float32)


@pytest.mark.parametrize("name", ["log_cosh", "huber", "mse"])
def test_regression_loss_in_float32_keeps_its_digits_when_it_is_small(name: str) -> None:
    z = SPREAD[:, None]
    single, d_single = losses_one_by_one(name, "identity", z, np.zeros_like(z))
    double, d_double = losses_one_by_one(name, "identity", z.astype(np.float64), np.zeros(z.shape))
    assert ulps(single, double) <= 5
    assert ulps(d_single, d_double) <= 3


def test_log_cosh_is_half_the_square_near_zero_and_straight_far_out() -> None:
    z = np.array([[1e-6], [1e-3], [2.0], [50.0], [-1e4]])
    true = [5e-13, 5e-7 - 1e-12 / 12, math.log(math.cosh(2.0)), 50 - math.log(2), 1e4 - math.log(2)]
    np.testing.assert_allclose(losses_one_by_one("log_cosh", "identity", z, np.zeros_like(z))[0], true, rtol=1e-12)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_focal_in_float32_keeps_its_digits_for_samples_told_apart(output: str) -> None:
    """From a probability of 1 - 1e-12 for what is true to one of 1e-4000."""
    logits = SPREAD[(SPREAD < 28) | (SPREAD < 0)][:, None]
    if output == "softmax":
        logits = np.hstack([logits, np.zeros_like(logits), logits - 5])
    y = np.zeros_like(logits)
    y[:, 0] = 1.0
    single, d_single = losses_one_by_one("focal", output, logits, y)
    double, d_double = losses_one_by_one("focal", output, logits.astype(np.float64), y.astype(np.float64))
    assert (double > 0).all()
    normal_range = double > 1e-36
    assert ulps(single[normal_range], double[normal_range]) <= 12
    np.testing.assert_allclose(d_single, d_double, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_focal_with_gamma_zero_is_log_likelihood(output: str) -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(0, 3, size=(20, 4)), np.eye(4)[rng.integers(4, size=20)]
    activation = registry.activations.get(output)()
    results = []
    for loss in (registry.losses.get("focal")(gamma=0.0), registry.losses.get("log_likelihood")()):
        value, delta = Objective(loss, activation, 20, (4,), "float64").value_and_delta(z, y, 0.05)
        results.append((value, delta.copy()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-13)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=0, atol=1e-15)
