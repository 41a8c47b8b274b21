"""`import bpcli`: the same from Python, as its docstring says."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bpcli
from bpcli.errors import BpcliError, ConfigError, DataError, RunError


@pytest.fixture
def run(configs):
    return bpcli.train(configs / "iris.yaml")


def test_docstring_example(run):
    model = bpcli.load(run.folder)
    assert model.predict([[5.1, 3.5, 1.4, 0.2]]).labels == ["setosa"]


def test_train_says_how_it_went(run):
    assert run.folder == Path("runs/iris")
    assert run.stop == "early_stopping"
    assert run.best["test"]["accuracy"] >= 0.9


def test_train_is_quiet(configs, capfd):
    bpcli.train(configs / "xor.yaml", ["training.epochs=3"])
    assert capfd.readouterr() == ("", "")


def test_train_gives_the_same_bytes_as_the_command(run, ok, configs, run_files):
    ok("train", configs / "iris.yaml")
    assert run_files(Path("runs/iris-2")).sha256() == run_files(run.folder).sha256()


def test_train_takes_what_load_config_gave(configs, run_files):
    file = bpcli.load_config(configs / "xor.yaml", ["training.epochs=3"])
    assert file.config.training.epochs == 3
    assert bpcli.train(file, out="here").epochs == 3
    assert run_files(Path("here")).epochs() == [1, 2, 3]


def test_overrides_of_a_loaded_config_are_not_passed_over_in_silence(configs):
    file = bpcli.load_config(configs / "xor.yaml")
    with pytest.raises(ValueError, match="overrides"):
        bpcli.train(file, ["training.epochs=3"])


def test_show_is_given_each_epoch(configs):
    seen = []
    bpcli.train(configs / "xor.yaml", ["training.epochs=3"], show=lambda report: seen.append(report.epoch))
    assert seen == [1, 2, 3]


def test_tells_what_the_command_warns_of(configs):
    told = []
    bpcli.train(configs / "xor.yaml", ["training.epochs=3", "schedule={type: step, every: 9}"], tell=told.append)
    assert [text for text in told if "step never changes the learning rate" in text]


@pytest.mark.parametrize("which", ["best", "last"])
def test_load_takes_a_folder_or_a_checkpoint(run, which):
    x = [[6.0, 3.0, 4.5, 1.5], [7.0, 3.0, 6.0, 2.2]]
    one = bpcli.load(run.folder, which=which).predict(x)
    other = bpcli.load(run.folder / "checkpoints" / f"{which}.npz").predict(x)
    np.testing.assert_array_equal(one.values, other.values)


def test_predict_gives_a_probability_for_each_class(run):
    prediction = bpcli.load(run.folder).predict(np.full((5, 4), 3.0))
    assert prediction.values.shape == (5, 3)
    assert prediction.columns == ("p_setosa", "p_versicolor", "p_virginica")
    np.testing.assert_allclose(prediction.values.sum(axis=1), 1, rtol=1e-6)


def test_predict_on_an_array_agrees_with_predict_on_a_file(run, datasets):
    model = bpcli.load(run.folder)
    with (datasets / "iris.csv").open() as file:
        x = [[float(cell) for cell in row[:4]] for row in list(csv.reader(file))[1:]]
    np.testing.assert_array_equal(model.predict(x).values, model.predict_file(datasets / "iris.csv").values)


def test_evaluate_agrees_with_the_run(run):
    result = bpcli.load(run.folder).evaluate("test")
    assert {"loss": result.loss, **result.metrics} == run.best["test"]


@pytest.mark.parametrize("x", [[[1.0, 2.0]], [1.0, 2.0, 3.0, 4.0], [[1.0, 2.0, 3.0, float("nan")]]])
def test_predict_refuses_what_does_not_fit(run, x):
    with pytest.raises(DataError):
        bpcli.load(run.folder).predict(x)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: bpcli.load_config("nothing.yaml"), ConfigError),
        (lambda: bpcli.train("nothing.yaml"), ConfigError),
        (lambda: bpcli.load("nothing"), RunError),
    ],
)
def test_errors_are_bpclis_own(call, error):
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, BpcliError)
    assert "nothing" in str(caught.value)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'bpcli' has no attribute 'trian'"):
        bpcli.trian  # noqa: B018


def test_every_name_of_all_is_there():
    assert all(hasattr(bpcli, name) for name in bpcli.__all__)


def test_import_alone_loads_no_numpy():
    probe = "import sys, bpcli; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "False\n"
