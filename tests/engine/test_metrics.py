"""Metrics give scikit-learn's numbers: each case of tests/tools/make_metrics_reference.py, to 1e-12.

What scikit-learn computed is stored, so nothing here needs it.
"""

from __future__ import annotations

import json
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.make_metrics_reference import CASES, metrics_of

from bpcli.config.part_models import part
from bpcli.engine import registry
from bpcli.engine.metrics.confusion import ClassCounts, average_scores
from bpcli.engine.protocols import Metric

TOLERANCE = 1e-12
STORED = json.loads((Path(__file__).parents[1] / "reference" / "metrics.json").read_text(encoding="utf-8"))
NAMES = registry.metrics.names()
METRICS = [item["metric"] for case in (STORED["cases"][0], STORED["cases"][-1]) for item in case["values"]]


def value(metric: str | dict[str, Any], target: Any, prediction: Any) -> float:
    """The metric's value, on arrays that it may not write to."""
    arrays = np.array(target), np.array(prediction, np.float64)
    for array in arrays:
        array.flags.writeable = False
    return part(Metric).read(metric).value(*arrays)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: " ".join(map(str, metric.values())))
def test_the_values_are_scikit_learns(metric: dict[str, Any]) -> None:
    expected, got = {}, {}
    for entry in STORED["cases"]:
        for item in entry["values"]:
            if item["metric"] == metric:
                name = entry["case"]["name"]
                expected[name], got[name] = item["value"], value(metric, entry["target"], entry["prediction"])
    assert {type(number) for number in got.values()} == {float}
    assert got == pytest.approx(expected, rel=TOLERANCE, abs=TOLERANCE)


@pytest.mark.parametrize("name", NAMES)
def test_every_registered_metric_has_values_of_scikit_learns_that_differ(name: str) -> None:
    values = {item["value"] for entry in STORED["cases"] for item in entry["values"] if item["metric"]["type"] == name}
    assert len(values) > 5, "add it to tests/tools/make_metrics_reference.py and run that"


@pytest.mark.parametrize("name", NAMES)
def test_every_case_of_a_metrics_task_is_measured_with_it_at_its_defaults(name: str) -> None:
    task = registry.metrics.get(name).task
    for entry in STORED["cases"]:
        measured = [item["metric"] for item in entry["values"]]
        assert ({"type": name} in measured) == (entry["case"]["task"] == task)


def test_the_stored_values_are_those_of_the_cases_in_the_script() -> None:
    assert [entry["case"] for entry in STORED["cases"]] == CASES, "run tests/tools/make_metrics_reference.py"
    for entry in STORED["cases"]:
        assert [item["metric"] for item in entry["values"]] == metrics_of(entry["case"])


def test_the_stored_values_say_which_scikit_learn_made_them() -> None:
    assert {"sklearn", "numpy", "python"} <= STORED["made_with"].keys()


def test_no_two_cases_have_the_same_name() -> None:
    names = [case["name"] for case in CASES]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_has_a_task_a_direction_and_defaults(name: str) -> None:
    metric = registry.metrics.get(name)()
    assert metric.task in ("classification", "regression")
    assert metric.higher_is_better in (True, False)


@pytest.mark.parametrize("name", NAMES)
def test_a_perfect_prediction_is_better_than_a_bad_one(name: str) -> None:
    if registry.metrics.get(name).task == "classification":
        target, perfect = np.arange(14) % 7, np.eye(7)[np.arange(14) % 7]
        bad = 1 - perfect
    else:
        target = perfect = np.arange(1.0, 13.0).reshape(6, 2)
        bad = -target
    difference = value(name, target, perfect) - value(name, target, bad)
    assert difference > 0 if registry.metrics.get(name).higher_is_better else difference < 0


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("auc", "roc_auc"),
        ("kappa", "cohen_kappa"),
        ("cross_entropy", "log_loss"),
        ("mean_absolute_percentage_error", "mape"),
        ("mean_squared_error", "mse"),
    ],
)
def test_a_metric_is_found_by_its_other_names(alias: str, name: str) -> None:
    assert registry.metrics.get(alias) is registry.metrics.get(name)


# --- rules that scikit-learn does not share, or has no number for -----------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3])
def test_roc_auc_of_a_single_class_is_that_of_guessing(classes: int) -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(classes), 5)
    assert value("roc_auc", [1] * 5, scores) == 0.5


def test_roc_auc_of_several_classes_leaves_out_those_that_do_not_occur() -> None:
    """Classes 0 and 1 are ranked 1 pair of 2 and 2 of 2 right; class 2 has no sample."""
    scores = [[0.5, 0.1, 0.4], [0.2, 0.2, 0.6], [0.3, 0.6, 0.1]]
    assert value("roc_auc", [0, 0, 1], scores) == pytest.approx((0.5 + 1.0) / 2)


def test_a_tie_counts_as_half_a_win() -> None:
    """Of the 4 pairs, (0.5, 0.5) is a tie and the other three are won."""
    p = np.array([0.1, 0.5, 0.5, 0.9])
    assert value("roc_auc", [0, 0, 1, 1], np.stack([1 - p, p], axis=1)) == 3.5 / 4


def test_roc_auc_does_not_care_for_the_scale_of_the_scores() -> None:
    rng = np.random.default_rng(1)
    y, score = rng.integers(2, size=200), rng.normal(size=200)
    small, large = (np.stack([-s, s], axis=1) for s in (score, np.exp(score * 50)))
    assert value("roc_auc", y, small) == value("roc_auc", y, large)


def test_average_precision_without_a_sample_of_the_class_is_0() -> None:
    assert value("average_precision", [0, 0], [[0.2, 0.8], [0.9, 0.1]]) == 0.0


def test_kappa_is_0_where_truth_and_prediction_are_one_class_throughout() -> None:
    assert value("cohen_kappa", [1, 1, 1], np.eye(3)[[1, 1, 1]]) == 0.0


def test_top_1_is_accuracy_ties_included() -> None:
    rng = np.random.default_rng(2)
    y, scores = rng.integers(4, size=300), rng.integers(3, size=(300, 4))
    assert value({"type": "top_k", "k": 1}, y, scores) == value("accuracy", y, scores)


def test_scores_that_are_not_numbers_are_no_hits_in_top_k() -> None:
    assert value({"type": "top_k", "k": 2}, [0, 1, 2], np.full((3, 3), np.nan)) == 0.0


def test_log_loss_is_finite_for_any_scores() -> None:
    eps = np.finfo(np.float64).eps
    expected = (-np.log(eps) - np.log1p(-eps)) / 2
    assert value("log_loss", [0, 1], [[-3.0, 4.0], [-3.0, 4.0]]) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", ["r2", "explained_variance"])
@pytest.mark.parametrize(("off_by", "expected"), [([0, 0, 0], 1.0), ([0, 0, 1], 0.0)])
def test_an_output_that_never_varies_is_met_or_not(name: str, off_by: list[float], expected: float) -> None:
    """The mean of three times 0.1 is not 0.1, which must not pass for variation."""
    y = np.full((3, 1), 0.1)
    assert y.mean() != 0.1
    assert value(name, y, y + np.array(off_by)[:, np.newaxis]) == expected


@pytest.mark.parametrize("name", ["r2", "explained_variance"])
def test_one_sample_has_a_score(name: str) -> None:
    assert value(name, [[3.0]], [[3.0]]) == 1.0


def test_rmse_of_several_outputs_is_the_mean_of_their_roots() -> None:
    assert value("rmse", [[0.0, 0.0], [0.0, 0.0]], [[3.0, 1.0], [3.0, 1.0]]) == 2.0


@pytest.mark.parametrize("name", NAMES)
def test_values_are_finite_for_the_least_there_can_be(name: str) -> None:
    if registry.metrics.get(name).task == "classification":
        data = [([k], np.eye(2)[[j]]) for k in range(2) for j in range(2)]
    else:
        data = [([[0.0]], [[0.0]]), ([[0.0]], [[1.0]]), ([[1e-200], [0.0]], [[0.0], [0.0]])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for target, prediction in data:
            assert np.isfinite(value(name, target, prediction))


@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
def test_another_average_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected macro, micro or weighted, got 'binary'"):
        registry.metrics.get(name)(average="binary").value(np.array([0, 1]), np.eye(2))


def test_top_k_of_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match="k: must be at least 1, got 0"):
        registry.metrics.get("top_k")(k=0)


def test_averages_worked_by_hand() -> None:
    """Class 0: p = 2/2, r = 2/3, F1 = 4/5. Class 1: p = 1/2, r = 1/1, F1 = 2/3. Class 2 does not occur."""
    counts = ClassCounts.of(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    macro, micro, weighted = (average_scores(counts, kind) for kind in ("macro", "micro", "weighted"))
    assert (macro.precision, macro.recall, macro.f1) == pytest.approx((3 / 4, 5 / 6, 11 / 15))
    assert (micro.precision, micro.recall, micro.f1) == (3 / 4, 3 / 4, 3 / 4)
    assert (weighted.precision, weighted.recall, weighted.f1) == pytest.approx((7 / 8, 3 / 4, 23 / 30))


@pytest.mark.parametrize("name", ["balanced_accuracy", "cohen_kappa", "f1", "mcc", "precision", "recall"])
def test_many_classes_take_no_memory_of_their_square(name: str) -> None:
    target, prediction = np.array([0, 0, 19_999]), np.zeros((3, 20_000))
    tracemalloc.start()
    registry.metrics.get(name)().value(target, prediction)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20_000 * 1000
