"""A network that is too large: an error at its layer with exit code 2, before anything is written, not a traceback."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from bpcli.build.memory import in_bytes, lack_of_memory
from bpcli.build.session import open_session
from bpcli.config.load import load_config
from bpcli.engine.network import Network
from bpcli.engine.training.trainer import _Trainer
from bpcli.errors import ConfigError
from bpcli.workflows.train import start_run

PLAIN = {"network": {"layers": [2, 4, 1]}, "loss": "mse", "optimizer": "adam", "training": {"epochs": 2}}
TABLE = {"network": {"layers": [{"type": "dense", "units": 4}, {"type": "batch_norm"}, {"type": "dense", "units": 1}]}}


@pytest.fixture
def xor(write_config, datasets):
    """`xor(overrides)`: the path of a config on four samples."""
    return lambda **changes: write_config({**PLAIN, "data": {"train": str(datasets / "xor.csv")}, **changes})


@pytest.mark.parametrize("units", [10**18, 10**22], ids=str)
@pytest.mark.parametrize("command", ["validate", "summary", "train", "step", "profile"])
def test_more_parameters_than_an_array_can_hold_are_refused_at_the_layer(cli, xor, command, units):
    result = cli(command, xor(network={"layers": [2, 3, units, 1]}))
    assert result.code == 2
    assert result.err.startswith("error: config.yaml:")
    assert "network.layers[2]: too many parameters with this layer: an array holds at most 1,152,9" in result.err


def test_a_layer_of_a_table_is_named_by_its_place(cli, xor):
    layers = [dict(layer) for layer in TABLE["network"]["layers"]]
    layers[2]["units"] = 10**22
    assert "network.layers[2]: too many parameters" in cli("validate", xor(network={"layers": layers})).err


def test_the_summary_of_a_large_network_makes_no_array(ok, xor):
    out = ok("summary", xor(network={"layers": [2, 10**12, 1]})).out
    assert "float32: weights 16 TB; in training 80 TB" in out


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize("command", ["train", "step", "profile"])
def test_weights_without_enough_memory_are_an_error_before_anything_is_written(xor, tmp_path, command):
    path = xor(network={"layers": [2, 10**12, 1]})
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-m", "bpcli", command, str(path)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: config.yaml:")
    assert "network.layers[1]: not enough memory: training takes about 80 TB for the weights and 64 TB" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def no_memory(*_: object, **__: object) -> None:
    raise MemoryError


def test_a_batch_is_named_where_it_takes_most(xor):
    session = open_session(load_config(xor(training={"epochs": 2, "batch_size": "full"})))
    network, config = session.model.network, session.model.config
    assert lack_of_memory(network, config, 4)[0] == ("network", "layers", 1)
    key, text = lack_of_memory(network, config, 10**9)
    assert key == ("training", "batch_size")
    assert text.endswith("340 B for the weights and 72 GB for a batch of 1000000000 samples: take smaller batches")


@pytest.mark.parametrize("owner", [(Network, "initial_theta"), (_Trainer, "__init__")], ids=lambda owner: owner[1])
def test_whatever_lacks_memory_on_the_way_to_training(xor, monkeypatch, owner):
    monkeypatch.setattr(*owner, no_memory)
    with pytest.raises(ConfigError, match=r"network\.layers\[1\]: not enough memory: .* for a batch of 4 samples"):
        start_run(load_config(xor()))


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (12345, "12.35 kB"), (3.2e16, "3.2e+04 TB")])
def test_sizes_as_one_reads_them(size, text):
    assert in_bytes(size) == text


# outside of training


@pytest.fixture
def run(ok, xor):
    ok("train", xor(), "--out", "run")
    return "run"


@pytest.mark.parametrize(
    ("owner", "code", "message"),
    [
        ("bpcli.workflows.trained.load_checkpoint", 4, "run: its network does not fit into memory"),
        ("bpcli.workflows.trained.build_model", 4, "run: its network does not fit into memory"),
        ("bpcli.workflows.trained.load_part", 3, "new.csv: does not fit into memory; use fewer rows or columns"),
        ("bpcli.workflows.trained.Evaluator", 3, "new.csv: does not fit into memory; use fewer rows or columns"),
        ("bpcli.views.scores.evaluation_text", 6, "not enough memory"),
    ],
)
def test_eval_reports_what_does_not_fit_into_memory(cli, run, datasets, monkeypatch, owner, code, message):
    Path("new.csv").write_bytes((datasets / "xor.csv").read_bytes())
    monkeypatch.setattr(owner, no_memory)
    result = cli("eval", run, "--data", "new.csv")
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("owner", "code", "message"),
    [
        ("bpcli.workflows.trained.load_checkpoint", 4, "run: its network does not fit into memory"),
        (
            "bpcli.workflows.prediction_stream.stream_like",
            3,
            "new.csv: does not fit into memory; use fewer rows or columns",
        ),
        (
            "bpcli.workflows.prediction_stream.ChunkPredictor.__call__",
            3,
            "new.csv: does not fit into memory; use fewer rows or columns",
        ),
        ("bpcli.views.predictions.PredictionWriter.text", 6, "not enough memory"),
    ],
)
def test_predict_reports_what_does_not_fit_into_memory(cli, run, datasets, monkeypatch, owner, code, message):
    Path("new.csv").write_bytes((datasets / "xor.csv").read_bytes())
    monkeypatch.setattr(owner, no_memory)
    result = cli("predict", run, "new.csv", "-o", "out.csv")
    assert result.code == code
    assert result.err.startswith(f"error: {message}")
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("command", ["validate", "train", "step", "profile"])
def test_data_that_does_not_fit_into_memory_is_reported_before_anything_is_written(cli, xor, monkeypatch, command):
    monkeypatch.setattr("bpcli.data.datasets.file_hashes", no_memory)
    result = cli(command, xor())
    assert result.code == 3
    assert "xor.csv: not enough memory to prepare the data; use fewer rows or columns, or dtype: float32" in result.err
    assert not Path("runs").exists()


def test_a_split_too_large_to_be_evaluated_is_named_and_the_weights_are_kept(cli, ok, xor, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("bpcli.workflows.train.Evaluator", no_memory)
        result = cli("train", xor(), "--out", "run")
    assert result.code == 3
    assert "the train split: does not fit into memory; use fewer rows or columns" in result.err
    ok("eval", "run")


def test_the_error_for_a_save_without_enough_memory_states_what_training_needs(cli, xor, monkeypatch):
    monkeypatch.setattr("bpcli.runs.recorder.save_checkpoint", no_memory)
    result = cli("train", xor())
    assert result.code == 2
    assert "network.layers[1]: not enough memory: training takes about" in result.err


def test_a_checkpoint_that_cannot_be_read_for_lack_of_memory_is_not_taken_for_damaged(cli, run, monkeypatch):
    monkeypatch.setattr("bpcli.runs.recorder.load_checkpoint", no_memory)
    before = sorted(Path("run/checkpoints").iterdir())
    result = cli("resume", "run", "--set", "training.epochs=4")
    assert result.code == 6
    assert "error: not enough memory" in result.err
    assert sorted(Path("run/checkpoints").iterdir()) == before


def test_a_run_that_lacks_memory_to_read_its_checkpoint_back_continues(ok, xor, monkeypatch):
    monkeypatch.setattr("bpcli.runs.recorder.load_checkpoint", no_memory)
    ok("train", xor(), "--out", "run")
    assert Path("run/summary.json").exists()
