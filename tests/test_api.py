"""`import bpcli`: the same from Python, as its docstring says."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bpcli
from bpcli.errors import BpcliError, ConfigError, DataError, RunError, UsageError


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
    bpcli.train(configs / "xor.yaml", ["training.epochs=3"], on_report=lambda report: seen.append(report.epoch))
    assert seen == [1, 2, 3]


def test_tells_what_the_command_warns_of(configs):
    told = []
    bpcli.train(configs / "xor.yaml", ["training.epochs=3", "schedule={type: step, every: 9}"], notify=told.append)
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


@pytest.mark.parametrize("kind", [str, Path])
def test_files_are_named_by_a_text_or_a_path(run, configs, datasets, kind):
    model = bpcli.load(kind(run.folder))
    assert model.predict_file(kind(datasets / "iris.csv")).labels[0] == "setosa"
    assert model.evaluate_file(kind(datasets / "iris.csv")).samples == 150
    config = bpcli.load_config(kind(configs / "iris.yaml"), ["training.epochs=1"])
    assert bpcli.train(config, out=kind(Path("here"))).folder == Path("here")
    assert bpcli.resume(kind("here"), ["training.epochs=2"]).epochs == 2


def test_evaluate_takes_inputs_and_targets_in_two_files(write_config):
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)
    np.save("x.npy", x)
    np.save("y.npy", x[:, 0])
    pair = {"x": "x.npy", "y": "y.npy"}
    config = write_config({"data": {"train": pair}, "network": {"layers": [2, 1]}, "training": {"epochs": 1}})
    model = bpcli.load(bpcli.train(config, out="run").folder)
    assert model.evaluate_file("x.npy", "y.npy").loss == model.evaluate_file(Path("x.npy"), Path("y.npy")).loss


def test_resume_gives_the_same_bytes_as_training_at_once(configs, run_files):
    whole = bpcli.train(configs / "xor.yaml", ["training.epochs=6"], out="whole")
    half = bpcli.train(configs / "xor.yaml", ["training.epochs=3"], out="half")
    told = []
    assert bpcli.resume(half.folder, ["training.epochs=6"], notify=told.append).epochs == whole.epochs == 6
    assert run_files(Path("half")).weights() == run_files(Path("whole")).weights()
    assert "going on from epoch 3" in told
    assert bpcli.resume(half.folder) is None


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
        (lambda: bpcli.resume("nothing"), RunError),
    ],
)
def test_errors_are_bpclis_own(call, error):
    with pytest.raises(error) as caught:
        call()
    assert isinstance(caught.value, BpcliError)
    assert "nothing" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda xor: bpcli.train(xor, "training.epochs=3"), TypeError, "overrides: .*, got 'training.epochs=3'"),
        (lambda xor: bpcli.train(xor, {"training.epochs": 3}), TypeError, "overrides: .*, got {'training.epochs': 3}"),
        (lambda xor: bpcli.train(xor, [3]), TypeError, r"overrides: .*, got \[3\]"),
        (lambda xor: bpcli.train(xor, threads=0), ValueError, "threads: must be from 1 to 1024, got 0"),
        (lambda xor: bpcli.train(xor, threads="2"), TypeError, "threads: expected a whole number, got str"),
        (lambda xor: bpcli.train(xor, threads=1.5), TypeError, "threads: expected a whole number, got float"),
        (lambda xor: bpcli.train(xor, on_report=None), TypeError, "on_report: expected a function, got NoneType"),
        (lambda xor: bpcli.train(xor, notify="print"), TypeError, "notify: expected a function, got str"),
        (lambda xor: bpcli.train(xor, out=""), ValueError, "out: names no folder"),
        (lambda xor: bpcli.train(xor, out=3), TypeError, r"str.*PathLike.* not '?int"),
        (lambda xor: bpcli.train({"data": {}}), TypeError, r"str.*PathLike.* not '?dict"),
        (lambda xor: bpcli.load(None), TypeError, r"str.*PathLike.* not '?NoneType"),
        (lambda xor: bpcli.load("run", which="bset"), ValueError, "which: expected 'best' or 'last', got 'bset'"),
        (lambda xor: bpcli.resume("run", threads=0), ValueError, "threads: must be from 1 to 1024, got 0"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_written(configs, call, error, message):
    with pytest.raises(error, match=message):
        call(configs / "xor.yaml")
    assert list(Path().iterdir()) == []


def test_resume_refuses_overrides_that_are_no_list_of_texts(run):
    with pytest.raises(TypeError, match="overrides: "):
        bpcli.resume(run.folder, {"training.epochs": 300})


def test_which_says_best_or_last_of_a_run_folder_only(run):
    with pytest.raises(ValueError, match=r"which: .*last\.npz is a checkpoint itself"):
        bpcli.load(run.folder / "checkpoints" / "last.npz", which="best")


def test_evaluate_names_the_splits_that_there_are(run):
    with pytest.raises(UsageError, match="split tset: this run has train, val, test"):
        bpcli.load(run.folder).evaluate("tset")


@pytest.mark.parametrize("call", ["predict_file", "evaluate_file"])
def test_a_file_that_is_not_there_is_a_data_error(run, call):
    with pytest.raises(DataError, match=r"nothing\.csv: no such file"):
        getattr(bpcli.load(run.folder), call)("nothing.csv")


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'bpcli' has no attribute 'trian'"):
        bpcli.trian  # noqa: B018


def test_every_name_of_all_is_there():
    assert all(hasattr(bpcli, name) for name in bpcli.__all__)


def test_dir_shows_the_public_names():
    shown = {name for name in dir(bpcli) if not name.startswith("_")}
    assert shown == set(bpcli.__all__) | {"errors"}
    assert "__version__" in dir(bpcli)


def test_the_errors_are_there_without_an_import_of_their_own():
    probe = "import bpcli; print(bpcli.errors.DataError.exit_code)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "3\n"


def test_type_checkers_read_the_package():
    """PEP 561: without the marker an editor knows nothing of an installed package's types."""
    assert (Path(bpcli.__file__).parent / "py.typed").is_file()


def test_import_alone_loads_no_numpy():
    probe = "import sys, bpcli; dir(bpcli); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout == "False\n"
