"""The penalty on large weights: its value and its derivative, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bpcli.engine.objective import Penalty

THETA, DECAY = np.array([3.0, -2.0, 5.0]), np.array([1.0, 1.0, 0.0])  # the last one is a bias


def test_l2_is_half_the_sum_of_the_squared_weights() -> None:
    assert Penalty(l2=0.1).value(THETA, DECAY) == pytest.approx(0.5 * 0.1 * (9 + 4), rel=1e-15)


def test_l1_is_the_sum_of_the_absolute_weights() -> None:
    assert Penalty(l1=0.1).value(THETA, DECAY) == pytest.approx(0.1 * (3 + 2), rel=1e-15)


def test_the_penalty_gradient_does_not_change_biases() -> None:
    grad = np.ones(3)
    Penalty(l2=0.1, l1=0.01).add_gradient(THETA, grad, np.empty(3), DECAY)
    np.testing.assert_allclose(grad, [1 + 0.3 + 0.01, 1 - 0.2 - 0.01, 1.0], rtol=1e-15)


def test_without_a_penalty_it_is_0() -> None:
    assert Penalty().value(THETA, DECAY) == 0.0
