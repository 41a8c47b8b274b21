"""Missing values from a config to predictions: what is said, what is kept, and lines that stay in step."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import bpcli
from bpcli.errors import DataError, RunError
from bpcli.runs.checkpoint import load_checkpoint
from bpcli.workflows.resume import check_same_run

CONFIG = {
    "name": "run",
    "data": {"train": "d.csv", "target": "kind", "scale": "standard", "val": 0.25},
    "network": {"layers": [2, 4, 2], "activation": "tanh"},
    "loss": "log_likelihood",
    "training": {"epochs": 3, "batch_size": 4},
}
NUMBERS = {**CONFIG, "data": {"train": "n.csv"}, "network": {"layers": [2, 1]}, "loss": "mse"}


@pytest.fixture(autouse=True)
def tables():
    rows = [f"{i % 7},{i % 5},{'xy'[i % 2]}" for i in range(36)]
    rows += [",1,x", "2,NA,y", "3,3,", "4,4,x"]
    Path("d.csv").write_text("\n".join(["a,b,kind", *rows]) + "\n")
    Path("n.csv").write_text("\n".join(["a,b,y", *(f"{i % 7},{i % 5},{i}" for i in range(20)), ",2,3"]) + "\n")
    Path("new.csv").write_text("kind,b,a\n,1,1\n,,2\n,2,2\n")


def test_validate_counts_missing_values_by_column(cli, write_config):
    result = cli("validate", write_config(CONFIG))
    assert result.code == 3
    assert 'd.csv:38: column "a": missing value' in result.err
    assert "set data.missing: drop | mean | median" in result.err
    assert 'missing in 40 rows: 1 in "a", 1 in "b", 1 in "kind"' in result.err


@pytest.mark.parametrize("command", ["validate", "train", "step"])
def test_dropped_rows_are_reported(ok, write_config, command):
    result = ok(command, write_config(CONFIG), "--set", "data.missing=drop")
    assert "left out 3 of 40 rows, for a missing value" in result.err


def test_the_summary_keeps_the_notes(ok, write_config):
    ok("train", write_config(CONFIG), "--set", "data.missing=drop", "--quiet")
    (note,) = json.loads(Path("runs/run/summary.json").read_text())["notes"]
    assert "left out 3 of 40 rows" in note


def test_resume_and_eval_leave_out_the_same_rows(ok, write_config):
    ok("train", write_config(CONFIG), "--set", "data.missing=drop")
    assert "left out 3 of 40 rows" in ok("resume", "runs/run", "--set", "training.epochs=4").err
    assert "left out 3 of 40 rows" in ok("eval", "runs/run").err
    result = ok("eval", "runs/run", "--data", "d.csv")
    assert "left out 3 of 40 rows" in result.err
    assert "37 samples" in result.out


def test_a_row_that_drop_leaves_out_keeps_its_line_of_the_predictions(ok, write_config):
    ok("train", write_config(CONFIG), "--set", "data.missing=drop")
    result = ok("predict", "runs/run", "new.csv", "-o", "out.csv")
    lines = Path("out.csv").read_text().splitlines()
    assert lines[0] == "prediction,p_x,p_y"
    assert lines[2] == ",,"
    assert all(line[0] in "xy" for line in (lines[1], lines[3]))
    assert len(lines) == 4
    assert "1 of 3 rows have a missing value and no prediction: their lines are left empty (row 2)" in result.err
    assert "out.csv: 2 predictions" in result.err


def test_a_single_empty_value_is_not_a_blank_line(ok, write_config):
    ok("train", write_config(NUMBERS), "--set", "data.missing=drop")
    lines = ok("predict", "runs/run", "new.csv").out.splitlines()
    assert (lines[0], lines[2], len(lines)) == ("y", '""', 4)


def test_nothing_but_gaps_is_an_error(cli, ok, write_config):
    ok("train", write_config(CONFIG), "--set", "data.missing=drop")
    Path("gaps.csv").write_text("a,b\n,1\n1,\n")
    result = cli("predict", "runs/run", "gaps.csv")
    assert (result.code, "every row has a missing value" in result.err) == (3, True)


@pytest.mark.parametrize("kind", ["mean", "median"])
def test_what_is_filled_in_is_kept_with_the_model(ok, write_config, kind):
    told = ok("train", write_config(NUMBERS), "--set", f"data.missing={kind}").err
    assert f"n.csv, train: filled in 1 missing value with the column's {kind} over the training part" in told
    fill = load_checkpoint(Path("runs/run/checkpoints/last.npz")).preparation.fill
    a = [i % 7 for i in range(20)]
    assert fill[0] == pytest.approx(np.mean(a) if kind == "mean" else np.median(a))
    model = bpcli.load("runs/run")
    np.testing.assert_array_equal(model.predict([[np.nan, 3.0]]).values, model.predict([[fill[0], 3.0]]).values)
    result = ok("predict", "runs/run", "new.csv")
    assert "new.csv: filled in 1 missing value" in result.err
    assert float(result.out.splitlines()[2]) == model.predict([[2.0, fill[1]]]).values[0, 0]


def test_a_missing_label_is_never_filled_in(cli, write_config):
    result = cli("train", write_config(CONFIG), "--set", "data.missing=mean")
    assert result.code == 3
    assert 'd.csv:40: column "kind": missing value; a target is never filled in' in result.err


def test_a_model_without_the_word_refuses_gaps_in_new_data(cli, ok, write_config):
    Path("d.csv").write_text("\n".join(Path("d.csv").read_text().splitlines()[:30]) + "\n")
    ok("train", write_config(CONFIG))
    result = cli("predict", "runs/run", "new.csv")
    assert (result.code, 'new.csv:3: column "b": missing value' in result.err) == (3, True)
    with pytest.raises(DataError, match="sample 1 has a missing value"):
        bpcli.load("runs/run").predict([[np.nan, 1.0]])


def test_decimal_commas_from_training_to_prediction(ok, cli, write_config):
    Path("n.csv").write_text("a;b;y\n" + "".join(f"{i},5;{i % 3};{2 * i},25\n" for i in range(9)))
    config = write_config(NUMBERS)
    assert 'set data.decimal: ","' in cli("train", config).err
    ok("train", config, "--set", 'data.decimal=","')
    Path("new.csv").write_text("b;a\n1;1,5\n")
    expected = bpcli.load("runs/run").predict([[1.5, 1.0]]).values[0, 0]
    assert float(ok("predict", "runs/run", "new.csv").out.splitlines()[1]) == expected


def test_a_file_without_the_header_of_the_training_data(cli, ok, write_config):
    ok("train", write_config(NUMBERS), "--set", "data.missing=drop")
    Path("bare.csv").write_text("1,2\n3,4\n")
    result = cli("predict", "runs/run", "bare.csv")
    assert result.code == 3
    assert "bare.csv:1: holds numbers where the columns' names are expected" in result.err
    assert "such as a,b" in result.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "poisson"}, "poisson is for numbers, and the target holds text labels (x, y): take log_likelihood"),
        ({"loss": "mse", "data.task": "regression"}, "that is a classification, not a regression"),
        ({"loss": "poisson", "data.task": "classification"}, "poisson is for numbers, a regression"),
        ({"loss": "mse", "metrics": "[rmse]"}, "rmse is for regression, the task is classification: take accuracy"),
    ],
)
def test_text_labels_are_no_numbers(cli, write_config, changes, message):
    overrides = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    result = cli("validate", write_config(CONFIG), "--set", "data.missing=drop", *overrides)
    assert result.code in (2, 3)
    assert message in result.err
    assert "set data.task\n" not in result.err


def test_a_run_from_before_the_key_was_there_goes_on(ok, write_config):
    ok("train", write_config(NUMBERS), "--set", "data.missing=drop")
    checkpoint = load_checkpoint(Path("runs/run/checkpoints/last.npz"))
    now = dict(checkpoint.config)
    older = {**now, "data": {key: value for key, value in now["data"].items() if key not in ("missing", "decimal")}}
    checkpoint = dataclasses.replace(checkpoint, config=older)
    at_default = {**now, "data": {**now["data"], "missing": "error"}}
    assert check_same_run(checkpoint, at_default, checkpoint.info["data"]) == []
    with pytest.raises(RunError, match=r"another data\.missing: it was trained with error, now it is drop"):
        check_same_run(checkpoint, now, checkpoint.info["data"])
