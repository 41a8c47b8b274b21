"""Each example under configs/ does, through the command line, what its comment says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

BOUNDS = [
    # example, split, metric, at least
    ("xor", "train", "accuracy", 1.0),
    ("or", "train", "accuracy", 1.0),
    ("and", "train", "accuracy", 1.0),
    ("iris", "test", "accuracy", 0.9),
    ("digits", "test", "accuracy", 0.95),
    ("breast-cancer", "test", "accuracy", 0.93),
    ("diabetes", "test", "r2", 0.3),
    ("spirals", "val", "accuracy", 0.97),
    ("digits-cnn", "test", "accuracy", 0.96),
    ("digits-cosine", "test", "accuracy", 0.96),
    ("digits-batch-norm", "test", "accuracy", 0.96),
    ("xor-rprop", "train", "accuracy", 1.0),
    ("diabetes-lm", "test", "r2", 0.3),
    ("breast-cancer-lbfgs", "test", "accuracy", 0.93),
]


@pytest.fixture
def scores(ok):
    """`scores("iris", ...)`: trains, and gives what `bpcli eval --json` says of a split."""

    def call(config, split, *arguments):
        ok("train", config, "--out", "run", "--quiet", *arguments)
        return json.loads(ok("eval", "run", "--split", split, "--json").out)

    return call


def test_every_example_is_in_this_file(configs):
    named = {name for name, *_ in BOUNDS} | {"xor-bias-free", "textbook-2-2-2", "mnist-30", "mnist-128", "lenet-mnist"}
    assert {path.stem for path in configs.glob("*.yaml")} == named


@pytest.mark.parametrize(("name", "split", "metric", "bound"), BOUNDS)
def test_example_reaches_its_bound(scores, configs, name, split, metric, bound):
    assert scores(configs / f"{name}.yaml", split)["metrics"][metric] >= bound


def test_xor_without_biases_is_the_textbooks(ok, configs, datasets):
    ok("train", configs / "xor-bias-free.yaml", "--quiet")
    summary = json.loads(Path("runs/xor-bias-free/summary.json").read_text())
    assert summary["iterations"] == 1000
    assert summary["last"]["train"]["loss"] < 0.001
    header, *rows = ok("predict", datasets / "xor-bias-free.csv").out.splitlines()
    column = header.split(",").index("p_1" if "p_1" in header else "y")
    outputs = [float(row.split(",")[column]) for row in rows]
    assert outputs == pytest.approx([0, 1, 1, 0], abs=0.03)


def test_textbook_takes_the_one_step(ok, configs):
    ok("train", configs / "textbook-2-2-2.yaml", "--quiet")
    summary = json.loads(Path("runs/textbook-2-2-2/summary.json").read_text())
    assert summary["iterations"] == 1
    assert summary["last"]["train"]["loss"] == pytest.approx(0.280471446791, abs=1e-9)


@pytest.mark.mnist
def test_mnist_128_learns_most_digits_in_one_epoch(scores, configs, mnist):
    got = scores(configs / "mnist-128.yaml", "test", *mnist, "--set", "training.epochs=1")
    assert got["samples"] == 10000
    assert got["metrics"]["accuracy"] >= 0.93


@pytest.mark.mnist
@pytest.mark.long
@pytest.mark.parametrize(("name", "bound"), [("mnist-30", 0.955), ("mnist-128", 0.974)])
def test_mnist_reaches_the_textbooks_figure(scores, configs, mnist, name, bound):
    got = scores(configs / f"{name}.yaml", "test", *mnist)
    assert got["metrics"]["accuracy"] >= bound
    assert got["macro_f1"] >= bound - 0.002
