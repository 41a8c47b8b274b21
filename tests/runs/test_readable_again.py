"""What `bpcli train` accepts can be read again: by eval, predict, summary and resume, and by numpy.load."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bpcli.config.load import load_config
from bpcli.config.tree import dump_yaml, parse_yaml
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
    assert "network.layers[0].name: must be a layer name: printable characters, with / between parts" in result.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("length", [201, 65_536])
def test_a_layers_name_that_is_too_long_is_refused_at_its_line(cli, named, length):
    result = cli("train", named("x" * length))
    assert result.code == 2
    assert f"network.layers[0].name: must be a layer name of at most 200 characters, got {length}" in result.err


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


# config.yaml


def test_a_run_with_50_000_first_weights_resumes_and_its_config_trains(ok, write_config):
    rng = np.random.default_rng(0)
    np.savez("data.npz", x=rng.normal(size=(8, 200)), y=np.arange(8) % 2)
    weights = rng.normal(size=(248, 200)).tolist()
    layers = [{"type": "dense", "units": 248, "weights": weights}, {"type": "dense", "units": 2}]
    config = {"data": {"train": "data.npz"}, "network": {"layers": layers}, "loss": "log_likelihood"}
    path = write_config({**config, "training": {"epochs": 1}})
    ok("train", path, "--out", "run")
    assert load_config("run/config.yaml").config.network.entries()[0].weights == weights
    ok("resume", "run", "--set", "training.epochs=2")
    ok("train", "run/config.yaml", "--out", "another")


def test_texts_that_double_in_size_by_quoting_are_read_again(tmp_path):
    names = ['"' * 80 + str(number) for number in range(7000)]
    text = dump_yaml({"names": names})
    assert len(text) > 1 << 20
    assert parse_yaml(text, "c.yaml").value == {"names": names}


@pytest.mark.parametrize("command", ["validate", "train", "summary"])
def test_a_config_that_a_run_could_not_keep_is_refused_before_anything_is_written(cli, named, monkeypatch, command):
    monkeypatch.setattr("bpcli.config.tree.MAX_NODES", 60)  # of the 100,000 that are read
    result = cli(command, named("a"))
    assert result.code == 2
    assert "config.yaml:1: could not be read again as a run keeps it, its defaults filled in: " in result.err
    assert "keys and values; at most 60 are read" in result.err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [0] * 99_997}, None),
        ({"a": [0] * 99_998}, "100,001 keys and values"),
        ({"a": "x" * ((4 << 20) - 4)}, None),
        ({"a": "x" * ((4 << 20) - 3)}, "4,194,305 bytes"),
    ],
    ids=["most values", "one more", "most bytes", "one byte more"],
)
def test_what_is_written_is_what_can_be_read(value, message):
    if message is None:
        assert parse_yaml(dump_yaml(value), "c.yaml").value == value
    else:
        with pytest.raises(ValueError, match=message):
            dump_yaml(value)


# names of columns and classes


@pytest.mark.parametrize(
    "name", ["a/b", "meta", 'a"b,c', "=1+1", "\N{GRINNING FACE}", "e\N{COMBINING ACUTE ACCENT}", "x" * 190]
)
def test_columns_and_classes_of_any_name_go_from_training_to_every_other_command(ok, write_config, name):
    quoted = '"' + name.replace('"', '""') + '"'
    rows = [f"{k},{-k},{quoted if k % 2 else 'other'}\n" for k in range(12)]
    Path("data.csv").write_text(f"{quoted},q,target\n" + "".join(rows), encoding="utf-8")
    config = {"data": {"train": "data.csv"}, "network": {"layers": [2, 3, 2]}, "loss": "log_likelihood"}
    ok("train", write_config({**config, "training": {"epochs": 2}}), "--out", "run")
    assert name in (load_checkpoint(Path("run/checkpoints/best.npz")).preparation.classes or ())
    assert name in json.loads(ok("eval", "run", "--json").out)["classes"]
    assert len(ok("predict", "run", "data.csv").out.splitlines()) == 13
    ok("resume", "run", "--set", "training.epochs=4")


@pytest.mark.parametrize("label", ["a\0b", "x" * 10_000], ids=["NUL", "long"])
def test_labels_of_an_npz_file_are_read_again(ok, write_config, label):
    np.savez("data.npz", x=np.arange(12.0).reshape(6, 2), y=np.array([label, "other"] * 3))
    config = {"data": {"train": "data.npz"}, "network": {"layers": [2, 3, 2]}, "loss": "log_likelihood"}
    ok("train", write_config({**config, "training": {"epochs": 2}}), "--out", "run")
    assert label in json.loads(ok("eval", "run", "--json").out)["classes"]
    ok("predict", "run", "data.npz")
    ok("resume", "run", "--set", "training.epochs=4")
