"""bpcli summary: layers, output shapes, parameters."""

from __future__ import annotations

from pathlib import Path

import pytest


def rows(text):
    return [line.split() for line in text.splitlines()]


def test_counts_the_parameters_of_784_30_10(ok, configs):
    out = ok("summary", configs / "mnist-30.yaml").out
    assert ["dense_1", "dense", "sigmoid", "30", "23,550"] in rows(out)
    assert ["dense_2", "dense", "softmax", "10", "310"] in rows(out)
    assert "23,860 parameters" in out


@pytest.mark.parametrize("sizes", [(2, 3, 1), (10, 7, 4), (784, 128, 10)])
def test_counts_d_plus_l_plus_1_times_q_plus_l(ok, configs, sizes):
    d, q, units = sizes
    out = ok("summary", configs / "mnist-30.yaml", "--set", f"network.layers=[{d}, {q}, {units}]").out
    assert f"{(d + units + 1) * q + units:,} parameters" in out


def test_shows_memory_in_the_configured_type(ok, configs):
    out = ok("summary", configs / "mnist-30.yaml", "--set", "dtype=float64").out
    assert "float64: weights 190.9 kB" in out


def test_needs_no_data_where_the_config_has_the_sizes(ok, configs):
    ok("summary", configs / "mnist-128.yaml", "--set", "data.train.x=nowhere.gz")


def test_takes_the_input_shape_from_the_data(ok, configs):
    out = ok("summary", configs / "textbook-2-2-2.yaml", "--set", "network.input=null").out
    assert ["input", "2", "0"] in rows(out)


@pytest.mark.parametrize("what", ["runs/iris", "runs/iris/checkpoints/last.npz", "runs/iris/config.yaml"])
def test_shows_a_run(ok, configs, what):
    ok("train", configs / "iris.yaml", "--set", "training.epochs=1")
    assert "131 parameters" in ok("summary", what).out


def test_frozen_parameters_are_counted(ok, configs):
    layers = "network={input: [4], layers: [{type: dense, units: 5, trainable: false}, {type: dense, units: 3}]}"
    out = ok("summary", configs / "iris.yaml", "--set", layers).out
    assert "43 parameters, 25 of them frozen" in out


@pytest.mark.parametrize(("what", "code"), [("nothing.yaml", 2), ("empty", 4)])
def test_what_is_not_there(cli, what, code):
    Path("empty").mkdir()
    result = cli("summary", what)
    assert result.code == code
    assert what in result.err


def test_shows_the_function_of_an_activation_layer(ok, configs):
    layers = "{type: dense, units: 5}, {type: activation, function: relu}, {type: dense, units: 3}"
    network = "network={input: [4], layers: [%s, {type: activation, function: %s}]}"
    for last, shown in (("softmax", "softmax"), ("tanh", "tanh, softmax")):
        out = ok("summary", configs / "iris.yaml", "--set", network % (layers, last)).out
        assert ["activation_1", "activation", "relu", "5", "0"] in rows(out)
        assert ["activation_2", "activation", *shown.split(), "3", "0"] in rows(out)
