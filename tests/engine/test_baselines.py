"""The models that a network is compared with are scikit-learn's: tests/tools/make_evaluation_reference.py made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.make_evaluation_reference import CASES, data_of

from bpcli.engine.measure import baselines
from bpcli.engine.measure.baselines import (
    Kind,
    LinearModel,
    NoLinearModelError,
    constant_outputs,
    fit_linear,
    rows_fitted,
)
from bpcli.engine.training.samples import Samples

STORED = json.loads((Path(__file__).parents[1] / "reference" / "evaluation.json").read_text(encoding="utf-8"))
ENTRIES = [pytest.param(entry, id=entry["case"]["name"]) for entry in STORED["cases"]]


def kind_of(case: dict[str, Any]) -> Kind:
    return "classes" if "classes" in case else "numbers"


def fitted(case: dict[str, Any], **changes: np.ndarray) -> LinearModel:
    x, y, weights = data_of(case)
    samples = Samples(**{"x": x, "y": y, "weights": None if weights is None else weights[:, None]} | changes)
    return fit_linear(samples, kind_of(case), case.get("classes", 0), x.shape[1:], np.random.default_rng(0))


def test_the_stored_values_are_those_of_the_cases_in_the_script() -> None:
    assert [entry["case"] for entry in STORED["cases"]] == CASES, "run tests/tools/make_evaluation_reference.py"
    assert {"sklearn", "scipy", "numpy", "python"} <= STORED["made_with"].keys()


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_linear_model_is_scikit_learns(entry: dict[str, Any]) -> None:
    """Probabilities to 0.001, numbers to 0.001 of what they vary by."""
    case, expected = entry["case"], np.array(entry["linear"])
    x, y, _ = data_of(case)
    outputs = fitted(case).outputs(x, x.shape[1:])
    unit = 1.0 if "classes" in case else y.std(axis=0)
    np.testing.assert_allclose(outputs / unit, expected / unit, rtol=0, atol=1e-3)


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_constant_is_that_of_scikit_learns_dummy_models(entry: dict[str, Any]) -> None:
    case = entry["case"]
    outputs = constant_outputs(data_of(case)[1], kind_of(case), case.get("classes", 0))
    np.testing.assert_allclose(outputs, entry["constant"], rtol=1e-14)


def test_several_yes_or_no_targets_have_a_regression_each() -> None:
    x, y, _ = data_of(CASES[0])
    targets = np.stack([y, 1 - y, x[:, 0] > x[:, 0].mean()], axis=1).astype(np.float32)
    model = fit_linear(Samples(x, targets), "yes_or_no", 0, x.shape[1:], np.random.default_rng(0))
    outputs = model.outputs(x, x.shape[1:])
    np.testing.assert_allclose(outputs[:, 0], fitted(CASES[0]).outputs(x, x.shape[1:])[:, 1], atol=1e-3)
    np.testing.assert_allclose(outputs[:, 0], 1 - outputs[:, 1], atol=1e-3)
    assert constant_outputs(targets, "yes_or_no", 0) == pytest.approx([y.mean(), 1 - y.mean(), targets[:, 2].mean()])


@pytest.mark.parametrize("x", [np.ones((5, 2)), np.arange(10.0).reshape(5, 2)], ids=["inputs too", "targets alone"])
def test_a_target_that_never_varies_is_predicted_exactly(x: np.ndarray) -> None:
    model = fit_linear(Samples(x, np.full((5, 1), 3.5)), "numbers", 0, (2,), np.random.default_rng(0))
    assert model.outputs(x, (2,)).ravel().tolist() == [3.5] * 5


def test_one_sample_is_enough_for_a_model() -> None:
    model = fit_linear(Samples(np.ones((1, 2)), np.array([1])), "classes", 3, (2,), np.random.default_rng(0))
    assert model.outputs(np.ones((1, 2)), (2,)).argmax() == 1


def test_a_weight_is_worth_as_many_samples() -> None:
    """Only in the loss: the mean and deviation that inputs are divided by are those of the samples as they are."""
    x = np.array([[-1.0], [1.0], [-1.0], [1.0]])
    y = np.array([0, 1, 1, 0])
    weights = np.array([3.0, 3.0, 1.0, 1.0])[:, None]
    weighted = fit_linear(Samples(x, y, weights=weights), "classes", 2, (1,), np.random.default_rng(0))
    p = weighted.outputs(x, (1,))[1, 1]
    w = float(weighted.W[0, 0])
    assert p == pytest.approx(1 / (1 + np.exp(-w)))
    assert weighted.b == pytest.approx(0, abs=1e-4)
    # where the gradient is 0: (1/4) (2 (3 (p - 1) + p)) + w / 4 = 0
    assert 2 * (3 * (p - 1) + p) + w == pytest.approx(0, abs=1e-3)


def test_images_of_bytes_are_fitted_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(256, size=(50, 2, 3), dtype=np.uint8), rng.integers(2, size=50)
    x[:, 0, 0] = np.where(y, 200, 40)
    x[0, 1, 2], x[1:, 1, 2] = 1, 0  # a pixel that hardly varies must not get a huge weight
    model = fit_linear(Samples(x, y), "classes", 2, (2, 3), np.random.default_rng(0))
    assert model.W.shape == (1, 6)
    assert np.abs(model.W).argmax() == 0
    assert (model.outputs(x, (2, 3)).argmax(axis=1) == y).all()


def test_of_many_rows_some_are_drawn_and_the_same_ones_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "MOST_NUMBERS", 90)
    first, again = fitted(CASES[0]), fitted(CASES[0])
    assert rows_fitted(60, (3,)) == 30
    assert first.W.tobytes() == again.W.tobytes()
    x, y, _ = data_of(CASES[0])
    rows = np.sort(np.random.default_rng(0).choice(60, 30, replace=False))
    monkeypatch.undo()
    assert fitted(CASES[0], x=x[rows], y=y[rows]).W.tobytes() == first.W.tobytes()


def test_too_many_weights_are_refused() -> None:
    x = np.zeros((4, 30_000), np.float32)
    with pytest.raises(NoLinearModelError, match="it would have 30,000 weights, more than 20,000"):
        fit_linear(Samples(x, np.array([0, 1, 0, 1])), "classes", 2, (30_000,), np.random.default_rng(0))


def test_numbers_beyond_float64_leave_no_model() -> None:
    x = np.array([[1e308], [-1e308], [1e308]])
    with pytest.raises(NoLinearModelError, match="not finite"):
        fit_linear(Samples(x, np.array([[1.0], [2.0], [3.0]])), "numbers", 0, (1,), np.random.default_rng(0))
