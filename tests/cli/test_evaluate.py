"""bpcli eval: loss and metrics of a trained network, for people and for scripts."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bpcli.engine import registry


@pytest.fixture
def iris(ok, configs):
    ok("train", configs / "iris.yaml", "--set", "training.epochs=20")
    return Path("runs/iris")


@pytest.fixture
def scores(ok):
    return lambda *arguments: json.loads(ok("eval", *arguments, "--json").out)


def test_text_shows_metrics_scores_and_confusion(iris, ok):
    out = ok("eval", iris).out
    assert "best.npz on test split, 30 samples" in out
    assert "accuracy" in out
    for row in ("macro average", "micro (accuracy)", "weighted average"):
        assert row in out
    assert "confusion matrix: row true, column predicted" in out


def test_json_is_all_there_is_on_stdout(iris, ok):
    result = ok("eval", iris, "--json")
    assert set(json.loads(result.out)) == {
        "checkpoint", "epoch", "data", "samples", "loss", "metrics", "all_metrics", "classes", "averages", "macro_f1",
        "confusion_matrix", "intervals", "interval_resamples", "baselines", "baseline_note", "threshold",
    }  # fmt: skip
    assert result.err.startswith("reading ")
    assert result.err.count("\n") == 1


def test_json_stays_alone_where_a_checkpoint_is_damaged(iris, ok):
    Path(iris, "checkpoints/last-2.npz").write_bytes(Path(iris, "checkpoints/last.npz").read_bytes())
    Path(iris, "checkpoints/last.npz").write_bytes(b"junk")
    result = ok("eval", iris, "--checkpoint", "last", "--json")
    assert json.loads(result.out)["checkpoint"].endswith("last-2.npz")
    assert "last.npz: damaged" in result.err


def test_json_agrees_with_the_summary_of_the_run(iris, scores):
    summary = json.loads((iris / "summary.json").read_text())
    for split in ("train", "val", "test"):
        got = scores(iris, "--split", split)
        assert {"loss": got["loss"], **got["metrics"]} == summary["best"][split]
        assert got["samples"] == summary["samples"][split]


def test_confusion_matrix_agrees_with_accuracy_and_samples(iris, scores):
    got = scores(iris)
    matrix = np.array(got["confusion_matrix"])
    assert matrix.sum() == got["samples"]
    assert matrix.trace() / matrix.sum() == pytest.approx(got["metrics"]["accuracy"])
    assert [entry["samples"] for entry in got["classes"].values()] == matrix.sum(axis=1).tolist()


def test_averages_agree_with_the_metrics(iris, scores):
    got = scores(iris)
    assert list(got["averages"]) == ["macro", "micro", "weighted"]
    for key, value in got["averages"]["macro"].items():
        assert value == got["all_metrics"][key]
        assert value == pytest.approx(np.mean([entry[key] for entry in got["classes"].values()]))
        assert got["averages"]["micro"][key] == pytest.approx(got["metrics"]["accuracy"])
    assert got["macro_f1"] == got["averages"]["macro"]["f1"]


@pytest.mark.parametrize(("example", "task"), [("iris", "classification"), ("diabetes", "regression")])
def test_json_has_every_metric_of_the_task(ok, configs, scores, example, task):
    ok("train", configs / f"{example}.yaml", "--set", "training.epochs=2")
    got = scores()
    names = {name for name in registry.metrics.names() if registry.metrics.get(name).task == task}
    assert got["all_metrics"].keys() == names
    assert got["metrics"].items() <= got["all_metrics"].items()


def test_metrics_of_one_name_have_columns_of_their_own(ok, configs, scores, run_files):
    listed = "[precision, {type: precision, average: micro}, {type: top_k, k: 2}]"
    stopping = "{monitor: val_precision_micro, patience: 9}"
    overrides = (f"metrics={listed}", f"training.early_stopping={stopping}", "training.epochs=3", "data.val=0.2")
    ok("train", configs / "iris.yaml", *(part for item in overrides for part in ("--set", item)))
    names = ["precision", "precision_micro", "top_k_2"]
    assert run_files(Path("runs/iris")).log()[0][4:7] == [f"val_{name}" for name in names]
    assert list(json.loads(Path("runs/iris/summary.json").read_text())["best"]["val"]) == ["loss", *names]
    got = scores()
    assert list(got["metrics"]) == names
    assert got["metrics"]["precision_micro"] == got["all_metrics"]["accuracy"] != got["metrics"]["precision"]


def test_last_weights_are_the_last_ones(ok, configs, scores):
    ok("train", configs / "iris.yaml")
    summary = json.loads(Path("runs/iris/summary.json").read_text())
    assert summary["best_epoch"] != summary["epochs"]
    for which in ("best", "last"):
        assert scores("--checkpoint", which)["loss"] == summary[which]["test"]["loss"]


@pytest.mark.parametrize("name", ["best.npz", "last.npz"])
def test_takes_a_checkpoint_file(iris, scores, name):
    assert scores(iris / "checkpoints" / name)["checkpoint"].endswith(name)


@pytest.mark.parametrize(("example", "split"), [("iris", "test"), ("spirals", "val"), ("xor", "train")])
def test_default_split_is_test_else_val_else_train(ok, configs, scores, example, split):
    ok("train", configs / f"{example}.yaml", "--set", "training.epochs=1")
    assert scores()["data"] == split


def test_default_run_is_the_newest(ok, configs, scores):
    for name in ("xor", "or", "and"):
        ok("train", configs / f"{name}.yaml", "--set", "training.epochs=1")
    assert scores()["checkpoint"].startswith("runs/and/")
    os.utime("runs/xor/config.yaml")
    assert scores()["checkpoint"].startswith("runs/xor/")


def test_a_resumed_run_is_the_newest(ok, configs, scores):
    for name in ("xor", "or"):
        ok("train", configs / f"{name}.yaml", "--set", "training.epochs=1")
    ok("resume", "runs/xor", "--set", "training.epochs=2")
    assert scores()["checkpoint"].startswith("runs/xor/")


def test_other_data(iris, scores, datasets):
    got = scores(iris, "--data", datasets / "iris.csv")
    assert (got["samples"], got["data"]) == (150, str(datasets / "iris.csv"))


def test_columns_of_other_data_are_matched_by_name(iris, scores, datasets):
    rows = [line.split(",") for line in (datasets / "iris.csv").read_text().splitlines()]
    Path("turned.csv").write_text("".join(",".join(reversed(row)) + "\n" for row in rows))
    turned, straight = (scores(iris, "--data", path) for path in ("turned.csv", datasets / "iris.csv"))
    assert turned["loss"] == straight["loss"]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("sepal_length,sepal_width,petal_length,petal_width,species\n1,2,3,4,tulip\n", "tulip"),
        ("sepal_length,sepal_width,petal_length,species\n1,2,3,setosa\n", "petal_width"),
        ("sepal_length,sepal_width,petal_length,petal_width\n1,2,3,4\n", "species"),
        ("sepal_length,sepal_width,petal_length,petal_width,species\n1,2,3,wide,setosa\n", "wide"),
    ],
    ids=["unseen class", "missing feature", "missing target", "text among numbers"],
)
def test_data_that_do_not_fit_are_exit_code_3(iris, cli, datasets, content, named):
    header = (datasets / "iris.csv").read_text().splitlines()[0].split(",")
    for old, new in zip(["sepal_length", "sepal_width", "petal_length", "petal_width"], header, strict=False):
        content, named = content.replace(old, new), named.replace(old, new)
    Path("new.csv").write_text(content)
    result = cli("eval", iris, "--data", "new.csv")
    assert result.code == 3
    assert "new.csv" in result.err
    assert named in result.err
    assert result.out == ""


def test_a_split_that_is_not_there_is_exit_code_2(ok, configs, cli):
    ok("train", configs / "xor.yaml", "--set", "training.epochs=1")
    result = cli("eval", "--split", "test")
    assert result.code == 2
    assert "--split test: this run has train" in result.err
    assert cli("eval", "--split", "").code == 2
    assert cli("eval", "--split", "", "--data", "some.csv").code == 2


def test_changed_data_are_exit_code_4(ok, cli, configs, datasets):
    Path("mine.csv").write_bytes((datasets / "xor.csv").read_bytes())
    ok("train", configs / "xor.yaml", "--set", "training.epochs=1", "--set", "data.train=mine.csv")
    Path("mine.csv").write_text("x1,x2,y\n0,0,1\n1,1,0\n")
    result = cli("eval")
    assert result.code == 4
    assert "--data FILE" in result.err


def test_a_checkpoint_outside_a_run_asks_for_data(iris, ok, cli, datasets):
    shutil.copy(iris / "checkpoints" / "best.npz", "model.npz")
    result = cli("eval", "model.npz")
    assert result.code == 4
    assert "--data FILE" in result.err
    assert "150 samples" in ok("eval", "model.npz", "--data", datasets / "iris.csv").out


def test_regression_is_measured_in_the_datas_own_units(ok, configs, scores):
    ok("train", configs / "diabetes.yaml", "--set", "training.epochs=30")
    metrics = scores()["metrics"]
    assert set(metrics) == {"rmse", "mae", "r2"}
    assert 30 < metrics["mae"] < metrics["rmse"] < 90  # progression runs from 25 to 346


def test_a_run_without_a_checkpoint_is_exit_code_4(iris, cli):
    for path in (iris / "checkpoints").iterdir():
        path.unlink()
    result = cli("eval", iris)
    assert result.code == 4
    assert "bpcli resume runs/iris" in result.err


def test_leaves_the_run_as_it_was(iris, ok):
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in iris.rglob("*") if path.is_file()}
    ok("eval", iris)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before


def strict_json(text: str) -> dict:
    """As other programs read JSON: NaN and Infinity are not in it."""

    def refuse(word: str) -> float:
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


def test_json_has_null_for_what_is_not_finite(ok, write_config):
    Path("d.csv").write_text("x,y\n" + "".join(f"{x},{2 * x}\n" for x in range(8)))
    Path("far.csv").write_text("x,y\n" + "".join(f"{x},{x}e200\n" for x in range(8)))  # squares beyond float64
    config = write_config(
        {
            "name": "far",
            "dtype": "float64",
            "data": {"train": "d.csv", "test": "far.csv"},
            "network": {"layers": [1, 1]},
            "optimizer": {"type": "sgd", "learning_rate": 0.001},
            "training": {"epochs": 2},
        },
        "far.yaml",
    )
    ok("train", config)
    assert strict_json(Path("runs/far/summary.json").read_text())["last"]["test"]["loss"] is None
    result = ok("eval", "runs/far", "--json")
    values = strict_json(result.out)
    assert values["loss"] is None
    assert values["metrics"] == {"rmse": None, "r2": None}
    assert values["all_metrics"]["mae"] == pytest.approx(3.5e200)
    assert result.err == "reading d.csv, far.csv, as runs/far says\n"


def test_further_data_that_a_softmax_cannot_take_is_refused(ok, cli, write_config):
    rows = "".join(f"{x},{x % 2},{1 - x % 2}\n" for x in range(8))
    Path("d.csv").write_text("x,t1,t2\n" + rows)
    Path("both.csv").write_text("x,t1,t2\n" + rows + "9,1,1\n")
    config = write_config(
        {
            "name": "both",
            "data": {"train": "d.csv", "target": ["t1", "t2"]},
            "network": {"layers": [1, 2], "output_activation": "softmax"},
            "loss": "log_likelihood",
            "training": {"epochs": 1},
        },
        "both.yaml",
    )
    ok("train", config)
    result = cli("eval", "runs/both", "--data", "both.csv")
    assert result.code == 3
    assert "both.csv: with softmax log_likelihood takes target columns of which exactly one is 1" in result.err


def test_more_classes_than_a_matrix_is_shown_for_are_counted_one_by_one(ok, write_config):
    labels = np.arange(1500)
    np.savez("data.npz", x=np.ones((4500, 1), np.float32), y=np.tile(labels, 3))
    np.savez("few.npz", x=np.ones((3, 1), np.float32), y=labels[[0, 0, 7]])
    layers = [{"type": "dense", "units": 1500}]
    config = {"data": {"train": "data.npz", "scale": "none"}, "network": {"layers": layers}, "loss": "log_likelihood"}
    ok("train", write_config({**config, "training": {"epochs": 1}}), "--out", "run")
    text = ok("eval", "run", "--data", "few.npz").out
    assert "these are the first 1,000 of 1,500 classes; --json has them all" in text
    got = json.loads(ok("eval", "run", "--data", "few.npz", "--json").out)
    assert len(got["classes"]) == 1500
    assert got["confusion_matrix"] is None
    assert sum(count for _, _, count in got["confusion_counts"]) == 3
    assert {true for true, _, _ in got["confusion_counts"]} == {0, 7}


def test_a_checkpoint_itself_has_no_best_and_last(cli, iris):
    result = cli("eval", iris / "checkpoints" / "last.npz", "--checkpoint", "best")
    assert (result.code, "last.npz is a checkpoint itself; name its run folder" in result.err) == (2, True)


@pytest.mark.parametrize("command", [["eval"], ["predict", "new.csv"]])
def test_a_newest_run_from_the_future_is_told(iris, ok, datasets, command):
    Path("new.csv").write_text((datasets / "iris.csv").read_text())
    assert "future" not in ok(*command).err
    os.utime(iris / "config.yaml", (4e9, 4e9))
    assert "runs/iris: taken for the newest run, but its time lies in the future (2096-" in ok(*command).err
    assert "future" not in ok(command[0], iris, *command[1:]).err
