"""What `bpcli train` accepts can be read again: by eval, predict, summary and resume, and by numpy.load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bpcli.errors import RunError
from bpcli.runs.checkpoint import load_checkpoint

# Names of layers, the last of them those that the checkpoint's own members have.
NAMES = [
    "block1/dense",
    "a/b/c",
    "a.b",
    "a.W",
    "Dense",
    "x.npy",
    "e\N{COMBINING ACUTE ACCENT}",
    "層",
    "=1+1",
    "two words",
    "x" * 200,
    "meta",
    "sha256",
    "optimizer",
    "optimizer/velocity",
    "best/theta",
    "best/stats",
    "x_scaler/shift",
    "fill/values",
    "dense_2.activation",
]


@pytest.fixture
def named(write_config, datasets):
    """`named(*names)`: a config on the iris data whose layers have these names, the outputs beside them."""

    def call(*names: str, **changes: object) -> Path:
        layers = [{"type": "dense", "units": 3, "activation": "tanh", "name": name} for name in names]
        return write_config(
            {
                "data": {"train": str(datasets / "iris.csv"), "scale": "standard", "val": 0.2},
                "network": {"layers": [*layers, {"type": "dense", "units": 3}]},
                "loss": "log_likelihood",
                "optimizer": {"type": "sgd", "momentum": 0.9},
                "training": {"epochs": 2},
                **changes,
            }
        )

    return call


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_a_layer_of_any_name_goes_from_training_to_every_other_command(ok, named, datasets, name):
    ok("train", named(name), "--out", "run")
    with np.load("run/checkpoints/best.npz", allow_pickle=False) as arrays:
        assert arrays[f"{name}.W"].shape == (3, 4)
    for which in ("best", "last"):
        assert f"{name}.W" in load_checkpoint(Path(f"run/checkpoints/{which}.npz")).params
        ok("eval", "run", "--checkpoint", which)
    assert len(ok("predict", "run", datasets / "iris.csv").out.splitlines()) == 151
    assert name in ok("summary", "run").out
    ok("resume", "run", "--set", "training.epochs=4")


def test_a_resumed_run_with_names_like_the_checkpoints_own_has_the_bytes_of_an_unbroken_one(ok, named):
    path = named("best/theta", "optimizer/velocity", "x_scaler/shift")
    ok("train", path, "--out", "whole", "--set", "training.epochs=4")
    ok("train", path, "--out", "stopped")
    ok("resume", "stopped", "--set", "training.epochs=4")
    whole, stopped = (load_checkpoint(Path(run) / "checkpoints" / "last.npz") for run in ("whole", "stopped"))
    assert whole.params.keys() == stopped.params.keys()
    assert len(whole.params) == 8
    assert all(np.array_equal(array, stopped.params[name]) for name, array in whole.params.items())


def test_names_that_differ_only_in_case_or_in_unicodes_form_stay_apart(ok, named):
    names = ("a", "A", "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}")
    ok("train", named(*names), "--out", "run")
    params = load_checkpoint(Path("run/checkpoints/last.npz")).params
    assert len(params) == 10
    assert {f"{name}.W" for name in names} <= set(params)
    ok("eval", "run")


@pytest.mark.parametrize(
    "name",
    [" a", "a ", "/a", "a/", "a//b", "../a", "a/./b", ".", "..", "a\\b", "a\tb", "a\u202eb", "a\u200bb"],
    ids=ascii,
)
@pytest.mark.parametrize("command", ["validate", "train"])
def test_a_layers_name_that_is_no_name_is_refused_at_its_line(cli, named, name, command):
    result = cli(command, named(name))
    assert result.code == 2
    assert result.err.startswith("error: config.yaml:")
    assert "network.layers[0].name: names a layer: printable characters, with / between parts" in result.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("length", [201, 65_536])
def test_a_layers_name_that_is_too_long_is_refused_at_its_line(cli, named, length):
    result = cli("train", named("x" * length))
    assert result.code == 2
    assert f"network.layers[0].name: names a layer: at most 200 characters, got {length}" in result.err


def test_an_empty_name_is_none(ok, named):
    ok("train", named(""), "--out", "run")
    assert "dense_1.W" in load_checkpoint(Path("run/checkpoints/last.npz")).params


def test_the_first_checkpoint_of_a_run_is_read_back_and_only_that(ok, named, monkeypatch):
    read = []
    monkeypatch.setattr(
        "bpcli.runs.recorder.load_checkpoint", lambda path: (read.append(path), load_checkpoint(path))[1]
    )
    ok("train", named("a"), "--out", "run", "--set", "output.checkpoint_every=1")
    assert [path.name for path in read] == ["best.npz"]


def test_a_checkpoint_that_cannot_be_read_back_stops_training_at_once(cli, named, monkeypatch):
    def refuse(path):
        raise RunError(f"{path}: damaged")

    monkeypatch.setattr("bpcli.runs.recorder.load_checkpoint", refuse)
    result = cli("train", named("a"), "--out", "run", "--set", "output.checkpoint_every=1")
    assert result.code == 4
    assert "best.npz: read back after it was saved, it cannot be used, so training stops" in result.err
    assert not Path("run/summary.json").exists()
