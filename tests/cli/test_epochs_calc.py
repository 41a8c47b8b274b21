"""bpcli epochs-calc: iterations per epoch."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_a_short_last_batch_counts(ok):
    out = ok("epochs-calc", "--n", 50000, "--batch", 256).out
    assert "ceil(50000/256) = 196 iterations per epoch" in out


def test_all_epochs(ok):
    out = ok("epochs-calc", "--n", 50000, "--batch", 256, "--epochs", 10).out
    assert "10 x 196 = 1960 iterations in all" in out


def test_drop_last_leaves_the_short_batch_out(ok):
    out = ok("epochs-calc", "--n", 50000, "--batch", 256, "--drop-last").out
    assert "floor(50000/256) = 195 iterations per epoch, 80 samples left out" in out


@pytest.mark.parametrize(
    ("n", "batch", "iterations"),
    [(100, 100, "1 iteration "), (100, 1, "100 iterations "), (100, 1000, "1 iteration "), (101, 100, "2 iterations ")],
)
def test_counts(ok, n, batch, iterations):
    assert f"= {iterations}per epoch" in ok("epochs-calc", "--n", n, "--batch", batch).out


@pytest.mark.parametrize("n", [8, 9, 10])
def test_drop_last_is_counted_as_training_does_it(ok, run_files, write_config, n):
    """A batch larger than the data is cut to it: it is all there is, and not left out."""
    Path("data.csv").write_text("x,y\n" + "".join(f"{k},{k}\n" for k in range(n)))
    training = {"epochs": 1, "batch_size": 9, "drop_last": True}
    data = {"train": "data.csv", "task": "regression"}
    ok("train", write_config({"name": "r", "data": data, "network": {"layers": [1, 1]}, "training": training}))
    assert run_files(Path("runs/r")).log()[1][1] == "1"
    out = ok("epochs-calc", "--n", n, "--batch", 9, "--drop-last").out
    assert "= 1 iteration per epoch" in out
    assert ("with all 8 samples" in out) == (n == 8)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--n", "0", "--batch", "256"], "--n"),
        (["--n", "-5", "--batch", "256"], "--n"),
        (["--n", "1.5", "--batch", "256"], "--n"),
        (["--n", "ten", "--batch", "256"], "--n"),
        (["--n", "10", "--batch", "0"], "--batch"),
        (["--n", "10"], "--batch"),
        (["--batch", "10"], "--n"),
        (["--n", "10", "--batch", "3", "--epochs", "0"], "--epochs"),
        (["--n", "9" * 4000, "--batch", "3", "--epochs", "9" * 4000], "--n"),
    ],
)
def test_a_bad_number_is_exit_code_2(cli, arguments, named):
    result = cli("epochs-calc", *arguments)
    assert result.code == 2
    assert named in result.err
    assert result.out == ""
