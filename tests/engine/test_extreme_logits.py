"""Losses at logits of +-10^4, where probabilities are 0 and 1, against the same sums in 60 decimal digits.

A delta = a - y of a sigmoid is right to the last places of the larger of a and y, and 0 where a rounds to 1; one of a
softmax is right to its own last places.
"""

from __future__ import annotations

import decimal
import itertools
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pytest

from bpcli.engine import registry
from bpcli.engine.metrics.classification import Brier, LogLoss
from bpcli.engine.objective import Objective

decimal.getcontext().prec = 60
decimal.getcontext().Emin = decimal.MIN_EMIN
decimal.getcontext().Emax = decimal.MAX_EMAX

Numbers = Sequence[Decimal]
LOGITS = [0.0, 1e-6, 0.5, 1.0, 3.0, 10.0, 20.0, 50.0, 88.0, 100.0, 1000.0, 1e4]
LOGITS = sorted({sign * value for value in LOGITS for sign in (1, -1)})
ROWS = [*itertools.product([-1e4, -50.0, 0.0, 1.0, 1e4], repeat=3)]


def sigmoid(z: Numbers) -> list[Decimal]:
    return [1 / (1 + (-one).exp()) for one in z]


def softmax(z: Numbers) -> list[Decimal]:
    powers = [(one - max(z)).exp() for one in z]
    return [power / sum(powers) for power in powers]


def bernoulli(z: Numbers, y: Numbers) -> tuple[Decimal, list[Decimal]]:
    """-sum [y ln a + (1 - y) ln(1 - a)], and a - y."""
    # -ln a = ln(1 + exp(-z)) and -ln(1 - a) = ln(1 + exp z)
    terms = [t * (1 + (-one).exp()).ln() + (1 - t) * (1 + one.exp()).ln() for one, t in zip(z, y, strict=True)]
    return sum(terms, Decimal(0)), [a - t for a, t in zip(sigmoid(z), y, strict=True)]


def categorical(z: Numbers, y: Numbers) -> tuple[Decimal, list[Decimal]]:
    """-sum y ln a, and a - y."""
    total = sum(((one - max(z)).exp() for one in z), Decimal(0)).ln() + max(z)
    value = sum((t * (total - one) for one, t in zip(z, y, strict=True)), Decimal(0))
    return value, [a - t for a, t in zip(softmax(z), y, strict=True)]


REFERENCES = {
    ("log_likelihood", "sigmoid"): bernoulli,
    ("log_likelihood", "softmax"): categorical,
}


def cases(output: str) -> list[tuple[list[float], list[float]]]:
    """(logits, targets): a single output with either target, or a row of three with each class."""
    if output == "sigmoid":
        return [([z], [y]) for z in LOGITS for y in (0.0, 1.0)]
    return [(list(row), list(np.eye(3)[k])) for row in ROWS for k in range(3)]


def ulps(got: float, true: Decimal, dtype: str, scale: Decimal | None = None) -> float:
    """The error in units of the last place of `scale`, by default of the true value.

    What lies below the normal range of the type may be 0.
    """
    size = abs(true if scale is None else scale)
    tiny = Decimal(float(np.finfo(dtype).tiny))
    if size < tiny and abs(Decimal(got)) < tiny:
        return 0.0
    return float(abs(Decimal(got) - true) / Decimal(float(np.spacing(np.dtype(dtype).type(size)))))


def evaluated(loss: str, output: str, z: list[float], y: list[float], dtype: str) -> tuple[float, np.ndarray]:
    part, activation = registry.losses.get(loss)(), registry.activations.get(output)()
    objective = Objective(part, activation, 1, (len(z),), dtype)
    with np.errstate(over="ignore"):
        value, delta = objective.value_and_delta(np.array([z], dtype), np.array([y], dtype), 1.0)
    return value, delta[0].copy()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss", "output"), REFERENCES, ids=" ".join)
def test_a_loss_at_extreme_logits_is_right_to_a_few_ulp(loss: str, output: str, dtype: str) -> None:
    for logits, target in cases(output):
        z = [float(np.dtype(dtype).type(one)) for one in logits]
        value, delta = evaluated(loss, output, z, target, dtype)
        true, slopes = REFERENCES[loss, output]([Decimal(one) for one in z], [Decimal(one) for one in target])
        assert np.isfinite(value)
        assert np.isfinite(delta).all()
        assert ulps(value, true, dtype) <= 4, (z, target)
        if slopes is not None:
            for got, slope, y in zip(delta, slopes, target, strict=True):
                size = None if output == "softmax" else max(slope + Decimal(y), Decimal(y))
                assert ulps(float(got), slope, dtype, size) <= 4, (z, target)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("metric", [LogLoss(), Brier()], ids=["log_loss", "brier"])
def test_a_metric_of_probabilities_of_0_and_1_is_finite(metric: LogLoss | Brier, dtype: str) -> None:
    certain = np.array([[1, 0], [0, 1], [1, 0]], dtype)
    wrong = metric.value(np.array([1, 0, 1]), certain)
    right = metric.value(np.array([0, 1, 0]), certain)
    assert np.isfinite([wrong, right]).all()
    assert right < 1e-6 < 0.5 < wrong


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shares", [(0.25, 0.0, 0.0), (0.0, -0.25, -0.25), (0.25, -0.25, 0.1)])
def test_hinge_sees_a_margin_however_large(shares, dtype):
    outputs = np.multiply(shares, np.finfo(dtype).max)
    objective = Objective(registry.losses.get("hinge")(), registry.activations.get("identity")(), 1, (3,), dtype)
    value, delta = objective.value_and_delta(np.array([outputs], dtype), np.array([[1, 0, 0]], dtype), 1.0)
    assert value == 0.0
    np.testing.assert_array_equal(delta, np.zeros((1, 3)))
