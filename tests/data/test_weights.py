"""Weights of samples and classes: what they multiply, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bpcli.build.advice import warnings
from bpcli.build.session import Session, open_session
from bpcli.config.load import load_config
from bpcli.errors import ConfigError, DataError

CONFIG = """
data: {{train: d.csv, target: y{data}}}
network: {{layers: [2, 3, 1], activation: tanh}}
loss: {{type: {loss}, reduction: sum}}
optimizer: {{type: sgd, learning_rate: 0.1}}
training: {{epochs: 5, batch_size: full}}
dtype: float64
"""
ROWS = ["0,1,no", "1,0,yes", "1,1,no"]


def session(rows: list[str], data: str = "", loss: str = "log_likelihood", header: str = "a,b,y") -> Session:
    Path("d.csv").write_text("\n".join([header, *rows]) + "\n")
    Path("c.yaml").write_text(CONFIG.format(data=data, loss=loss))
    return open_session(load_config("c.yaml"))


def trained(opened: Session) -> np.ndarray:
    state = opened.start()
    list(opened.train(state))
    return state.theta


def test_a_weight_of_2_is_as_good_as_the_row_twice() -> None:
    weighted = session([f"{row[:3]},{w},{row[4:]}" for row, w in zip(ROWS, (2, 1, 1), strict=True)],
                       ", sample_weight: w", header="a,b,w,y")  # fmt: skip
    twice = session([ROWS[0], *ROWS])
    np.testing.assert_allclose(trained(weighted), trained(twice), rtol=1e-12)


def test_a_weight_of_0_is_as_good_as_no_row() -> None:
    weighted = session(["0,1,1,no", "1,0,1,yes", "1,1,0,no"], ", sample_weight: w", header="a,b,w,y")
    np.testing.assert_allclose(trained(weighted), trained(session(ROWS[:2])), rtol=1e-12)


def test_a_class_weight_multiplies_the_loss_of_its_samples() -> None:
    weighted = session(ROWS, ", class_weights: {yes: 3, no: 1}")
    np.testing.assert_allclose(trained(weighted), trained(session([*ROWS, ROWS[1], ROWS[1]])), rtol=1e-12)


def test_balanced_weights_are_n_over_k_times_the_class_count() -> None:
    preparation = session(ROWS, ", class_weights: balanced").datasets.preparation
    assert preparation.classes == ("no", "yes")
    assert preparation.class_weights == (3 / (2 * 2), 3 / (2 * 1))


def test_the_column_of_weights_is_no_input() -> None:
    opened = session(["0,1,1,no", "1,0,1,yes"], ", sample_weight: w", header="a,b,w,y")
    assert opened.datasets.preparation.feature_names == ("a", "b")


def test_weights_are_found_where_features_are_listed() -> None:
    opened = session(["0,1,4,no", "1,0,1,yes"], ", sample_weight: w, features: [a, b]", header="a,b,w,y")
    weights = opened.datasets.parts["train"].weights
    assert weights is not None
    assert weights.tolist() == [[4.0], [1.0]]


def test_weights_act_on_a_regression_too() -> None:
    rows = ["0,1,2,0.5", "1,0,1,1.5"]
    weighted = session(rows, ", sample_weight: w", loss="mse", header="a,b,w,y")
    twice = session(["0,1,0.5", "0,1,0.5", "1,0,1.5"], loss="mse")
    np.testing.assert_allclose(trained(weighted), trained(twice), rtol=1e-12)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (", sample_weight: v", 'has no column "v" for data.sample_weight; it has "a", "b"'),
        (", class_weights: {yes: 1}", "data.class_weights names yes; the classes are no, yes"),
    ],
)
def test_weights_that_do_not_fit_the_data_are_an_error(data: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        session(ROWS, data)


def test_a_negative_weight_is_an_error_with_its_row() -> None:
    with pytest.raises(DataError, match="sample 2 has the weight -1"):
        session(["0,1,1,no", "1,0,-1,yes"], ", sample_weight: w", header="a,b,w,y")


def test_class_weights_for_a_regression_are_an_error() -> None:
    with pytest.raises(DataError, match="classification"):
        session(["0,1,0.5", "1,0,1.5"], ", class_weights: balanced", loss="mse")


@pytest.mark.parametrize("wrong", ["{yes: -1, no: 1}", "heavy", "3"])
def test_a_class_weight_out_of_range_is_an_error_of_the_config(wrong: str) -> None:
    with pytest.raises(ConfigError, match=r"c\.yaml:2 data\.class_weights"):
        session(ROWS, f", class_weights: {wrong}")


def test_a_weight_too_large_for_the_dtype_names_its_row() -> None:
    rows = ["0,1,1,no", "1,0,1e300,yes", "1,1,1,no"]
    session(rows, ", sample_weight: w", header="a,b,w,y")  # float64 holds it
    with pytest.raises(DataError, match=r"d\.csv: sample 2 has the weight 1e\+300, too large for float32"):
        open_session(load_config("c.yaml", ["dtype=float32"]))


def test_a_class_weight_too_large_for_the_dtype_names_a_row_of_the_class() -> None:
    session(ROWS, ", class_weights: {no: 1, yes: 1e300}")
    with pytest.raises(DataError, match=r"sample 2 has the weight 1e\+300, data\.class_weights included, too large"):
        open_session(load_config("c.yaml", ["dtype=float32"]))


def test_weights_that_are_all_0_are_warned_of() -> None:
    opened = session(["0,1,0,no", "1,0,0,yes", "1,1,0,no"], ", sample_weight: w", header="a,b,w,y")
    assert warnings(opened) == [
        "warning: c.yaml:2 data.sample_weight: every weight of the train part is 0: nothing is learnt"
    ]
