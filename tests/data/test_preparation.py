"""From raw data to inputs and targets: task, classes, bytes, several targets, and back to the data's own units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bpcli.data.preparation import Preparation, fit_scalers, prepare
from bpcli.data.types import RawData
from bpcli.errors import DataError


def raw(x, y=None, *, names: tuple[str, ...] | None = None, targets: tuple[str, ...] | None = None) -> RawData:
    x = np.asarray(x)
    return RawData("d.csv", x, None if y is None else np.asarray(y), names, targets, (Path("d.csv"),))


def prepared(data: RawData, *, task: str = "auto", loss_for_classes: bool = False, x="none", y="none") -> Preparation:
    preparation = prepare(data, task=task, loss_for_classes=loss_for_classes)
    return fit_scalers(preparation, data, np.arange(len(data.x)), x_kind=x, y_kind=y)


X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])


# --- task and classes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "task", "loss_for_classes", "found"),
    [
        ([0, 1, 0], "auto", False, "regression"),
        ([0, 1, 0], "auto", True, "classification"),
        ([0, 1, 0], "classification", False, "classification"),
        (["a", "b", "a"], "auto", False, "classification"),
        (["a", "b", "a"], "classification", False, "classification"),
        ([0.5, 1.5, 2.5], "regression", False, "regression"),
        ([[0, 1], [1, 0], [1, 1]], "auto", True, "classification"),
        ([[0, 1], [1, 0], [1, 1]], "auto", False, "regression"),
    ],
)
def test_the_task_follows_config_labels_and_loss(y, task, loss_for_classes, found):
    assert prepare(raw(X, y), task=task, loss_for_classes=loss_for_classes).task == found


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([1.0, 0.0, 1.0], ("0", "1")),
        ([10, 9, 2], ("2", "9", "10")),
        (np.array([10, 9, 2], np.uint8), ("2", "9", "10")),
        ([-1, 1, -1], ("-1", "1")),
        ([0.5, 1.5, 0.5], ("0.5", "1.5")),
        (np.array([True, False, True]), ("0", "1")),
        ([-0.0, 0.0, 1.0], ("0", "1")),
        ([[1], [0], [1]], ("0", "1")),
        (["10", "9", "x"], ("10", "9", "x")),
    ],
)
def test_classes_are_the_labels_in_order_as_text(y, classes):
    assert prepare(raw(X, y), task="classification", loss_for_classes=True).classes == classes


def test_a_regression_has_no_classes():
    assert prepare(raw(X, [0, 1, 2]), task="regression", loss_for_classes=False).classes is None


def test_several_targets_of_a_classification_are_yes_or_no_each():
    preparation = prepare(raw(X, [[0, 1], [1, 0], [1, 1]]), task="classification", loss_for_classes=True)
    assert preparation.several_yes_or_no
    assert preparation.classes is None


@pytest.mark.parametrize("y", [["a", "a", "a"], [1, 1, 1]])
def test_one_class_is_an_error_that_names_it(y):
    with pytest.raises(DataError, match=rf'd\.csv: the target has one class only, "{y[0]}"'):
        prepare(raw(X, y), task="classification", loss_for_classes=True)


def test_text_labels_for_a_regression_are_an_error_that_shows_one():
    with pytest.raises(DataError, match=r"d\.csv: the target holds text such as [\"']a[\"']"):
        prepare(raw(X, ["a", "b", "c"]), task="regression", loss_for_classes=False)


def test_many_numbers_with_fractions_are_no_classes():
    with pytest.raises(DataError, match=r"30 different numbers with fractions.*set data\.task: regression"):
        prepare(raw(np.zeros((30, 1)), np.arange(30) * 0.37), task="auto", loss_for_classes=True)


@pytest.mark.parametrize("y", [np.arange(150), np.array([f"id{k}" for k in range(150)])])
def test_an_id_as_target_is_told_at_once(y):
    data = raw(np.zeros((150, 1)), y, targets=("id",))
    with pytest.raises(DataError, match=r'd\.csv: the target "id" has 150 different labels in 150 rows, as ids have'):
        prepare(data, task="classification", loss_for_classes=True)


def test_classes_of_two_rows_each_are_classes():
    classes = prepare(
        raw(np.zeros((300, 1)), np.arange(300) // 2), task="classification", loss_for_classes=True
    ).classes
    assert len(classes) == 150


def test_no_target_is_an_error():
    with pytest.raises(DataError, match=r"^d\.csv: has no target"):
        prepare(raw(X), task="auto", loss_for_classes=False)


# --- several targets --------------------------------------------------------------------------------------------------


def test_yes_and_no_targets_stay_as_they_are():
    data = raw(X, [[0, 1], [1, 0], [1, 1]])
    y = prepared(data, loss_for_classes=True).targets(data, "float32")
    assert y.dtype == np.float32
    assert y.tolist() == [[0, 1], [1, 0], [1, 1]]


def test_a_target_that_is_neither_yes_nor_no_is_an_error_with_row_and_column():
    data = raw(X, [[0, 1], [1, 0], [0.5, 1]])
    with pytest.raises(DataError, match=r"d\.csv: sample 3, target column 1: .*1 \(yes\), got 0\.5; .*loss: mse$"):
        prepared(data, loss_for_classes=True).targets(data, "float32")


def test_another_number_of_target_columns_than_in_training_is_an_error():
    data = raw(X, np.zeros((3, 2)))
    with pytest.raises(DataError, match=r"d\.csv: .*3.*2|d\.csv: .*2.*3"):
        prepared(data).targets(raw(X, np.zeros((3, 3))), "float64")


def test_another_number_of_yes_or_no_columns_than_in_training_is_an_error():
    data = raw(X, [[0, 1], [1, 0], [0, 1]])
    with pytest.raises(DataError, match=r"d\.csv: "):
        prepared(data, loss_for_classes=True).targets(raw(X, np.zeros((3, 3))), "float64")


@pytest.mark.parametrize("large", [2.0**53, -(2.0**53), 1e300])
def test_labels_that_floats_round_are_an_error(large):
    """In a CSV file 9007199254740993 and 9007199254740992 are two classes, but one float64."""
    with pytest.raises(DataError, match=r"d\.csv: sample 2 has the class -?\d+: numbers from 2\^53 on are rounded"):
        prepared(raw(X, [1.0, large, 2.0]), loss_for_classes=True)
    whole = prepared(raw(X, np.array([2**53, 2**53 + 1, 2**63], np.uint64)), loss_for_classes=True)
    assert whole.classes == ("9007199254740992", "9007199254740993", "9223372036854775808")


def test_text_in_the_targets_of_a_regression_is_an_error():
    preparation = prepared(raw(X, [1.5, 2.5, 3.5]))
    with pytest.raises(DataError, match=r"d\.csv: the target holds text such as [\"']a[\"'], a number is expected"):
        preparation.targets(raw(X, ["a", "b", "c"]), "float64")


def test_missing_targets_are_an_error():
    with pytest.raises(DataError, match=r"d\.csv: has no target"):
        prepared(raw(X, [1, 2, 3])).targets(raw(X), "float64")


def test_targets_of_a_regression_are_a_column_each():
    data = raw(X, [1.5, 2.5, 3.5])
    assert prepared(data).targets(data, "float64").tolist() == [[1.5], [2.5], [3.5]]


# --- inputs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("stored", [np.float64, np.float32, np.int64, np.int8, np.bool_])
def test_inputs_have_the_configs_dtype_and_the_files_values(dtype, stored):
    data = raw(np.array([[0, 1], [1, 0], [1, 1]], stored), [1.5, 2.5, 3.5])
    x = prepared(data).inputs(data, dtype)
    assert x.dtype == dtype
    np.testing.assert_array_equal(x, data.x.astype(dtype))


def test_other_inputs_than_in_training_are_an_error():
    preparation = prepared(raw(X, [1, 2, 3]))
    with pytest.raises(DataError, match=r"d\.csv: samples of shape \(3,\), but the network was trained on \(2,\)"):
        preparation.inputs(raw(np.zeros((2, 3))), "float64")


BYTES = np.array([[0, 51], [255, 102], [204, 153]], np.uint8)


def test_bytes_stay_bytes_for_the_engine_to_scale():
    data = raw(BYTES, [1, 2, 3])
    assert prepared(data).inputs(data, "float32").dtype == np.uint8


def test_bytes_are_fetched_as_0_to_1():
    from bpcli.engine.training.samples import Samples

    data = raw(BYTES, [1, 2, 3])
    x, y = np.empty((3, 2), np.float32), np.empty((3, 1), np.float32)
    Samples(prepared(data).inputs(data, "float32"), np.zeros((3, 1), np.float32)).fetch(slice(0, 3), x, y)
    np.testing.assert_allclose(x, [[0, 0.2], [1, 0.4], [0.8, 0.6]], rtol=1e-6)


def test_bytes_that_are_scaled_further_are_0_to_1_before():
    data = raw(BYTES, [1, 2, 3])
    preparation = prepared(data, x="standard")
    np.testing.assert_allclose(preparation.x_scaler.shift, BYTES.mean(axis=0) / 255)
    np.testing.assert_allclose(preparation.inputs(data, "float64").std(axis=0), 1)


def test_pixels_mean_the_same_whether_stored_as_bytes_or_as_integers():
    """Trained on bytes, asked about the same image stored as int64: not 255 times as bright. An error would do too."""
    preparation = prepared(raw(BYTES, [1, 2, 3]))
    try:
        x = preparation.inputs(raw(BYTES.astype(np.int64)), "float64")
    except DataError:
        return
    assert x.dtype == np.uint8  # scaled as bytes are, when a batch is fetched
    np.testing.assert_array_equal(x, BYTES)


def test_bytes_are_plain_numbers_to_a_network_trained_on_plain_numbers():
    preparation = prepared(raw(BYTES.astype(np.float64), [1, 2, 3]))
    np.testing.assert_array_equal(preparation.inputs(raw(BYTES), "float64"), BYTES)


# --- overflow ---------------------------------------------------------------------------------------------------------


def test_an_input_that_float32_cannot_hold_is_an_error_with_its_row_and_the_fix():
    data = raw([[1.0, 2.0], [3.0, 1e39]], [1, 2])
    with pytest.raises(DataError, match=r"d\.csv: sample 2 holds 1e\+39.*float32.*dtype: float64"):
        prepared(data).inputs(data, "float32")


def test_an_input_that_float32_cannot_hold_is_an_error_with_its_column():
    data = raw([[1.0, 2.0], [3.0, 1e39]], [1, 2], names=("width", "height"))
    with pytest.raises(DataError, match="height"):
        prepared(data).inputs(data, "float32")


def test_a_target_that_float32_cannot_hold_is_an_error_with_its_row():
    data = raw(X, [1.0, 1e39, 3.0])
    with pytest.raises(DataError, match=r"d\.csv: sample 2 holds 1e\+39.*float32"):
        prepared(data).targets(data, "float32")


def test_float64_holds_what_float32_cannot():
    data = raw([[1.0, 2.0], [3.0, 1e39]], [1, 2])
    assert prepared(data).inputs(data, "float64")[1, 1] == 1e39


def test_a_large_number_that_is_scaled_fits_float32():
    data = raw([[1.0], [1e39], [5e38]], [1, 2, 3])
    assert prepared(data, x="minmax").inputs(data, "float32").max() == 1


def test_a_number_too_large_to_be_scaled_is_an_error_rather_than_0():
    """The square of 1e200 is no float64: its standard deviation would be infinite, and every input 0."""
    data = raw([[1.0], [1e200], [2e200]], [1, 2, 3])
    try:
        x = prepared(data, x="standard").inputs(data, "float64")
    except DataError:
        return
    assert x.std() == pytest.approx(1)


# --- back to the data's own units -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "standard", "minmax"])
def test_scaled_targets_come_back_as_they_were(kind):
    data = raw(X, [[10.0, -5.0], [20.0, 5.0], [60.0, 0.0]])
    preparation = prepared(data, y=kind)
    np.testing.assert_allclose(preparation.values(preparation.targets(data, "float64")), data.y)


def test_targets_are_scaled_to_0_to_1_by_minmax():
    data = raw(X, [10.0, 20.0, 60.0])
    np.testing.assert_allclose(prepared(data, y="minmax").targets(data, "float64").ravel(), [0, 0.2, 1])


def test_class_labels_are_not_scaled():
    data = raw(X, [0, 1, 1])
    preparation = prepared(data, task="classification", y="standard")
    assert preparation.y_scaler is None
    assert preparation.targets(data, "float64").tolist() == [0, 1, 1]


def test_one_output_is_the_probability_of_the_second_class():
    preparation = prepared(raw(X, [0, 1, 1]), task="classification")
    np.testing.assert_allclose(preparation.probabilities(np.array([[0.25]])), [[0.75, 0.25]])


def test_an_output_for_each_class_is_its_probability():
    preparation = prepared(raw(X, ["a", "b", "c"]))
    output = np.array([[0.2, 0.3, 0.5]], np.float32)
    np.testing.assert_array_equal(preparation.probabilities(output), output.astype(np.float64))


@pytest.mark.parametrize(("x", "y"), [("minmax", "none"), ("none", "minmax")])
def test_a_range_beyond_all_numbers_is_named_and_no_value_is_called_missing(x, y):
    huge = [[1.0, -1.7e308], [2.0, 1.7e308], [3.0, 0.0]]
    data = raw(huge, [-1.7e308, 1.7e308, 0.0], names=("a", "b"), targets=("t",))
    with pytest.raises(DataError) as caught:
        prepared(data, task="regression", x=x, y=y)
    column = "b" if x == "minmax" else "t"
    assert f'd.csv: column "{column}" starts at -1.7e+308 and spans more than float64 holds' in str(caught.value)
    assert "take data.scale: standard" in str(caught.value)


def test_the_largest_numbers_can_be_scaled_to_standard():
    huge = [[-1.7e308], [1.7e308], [1.6e308]]
    data = raw(huge, [0.0, 1.0, 2.0])
    assert np.isfinite(prepared(data, x="standard").inputs(data, "float32")).all()
