"""A resume with another value for each key of the config in turn: refused by name, or allowed and shown."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import rig
import yaml
from small_run import write_config

# key -> another value that is right in itself; of the keys that a resume may change, and of those that it may not
MAY = {
    "name": "other",
    "optimizer.learning_rate": 0.01,
    "output.checkpoint_every": 2,
    "output.dir": "elsewhere",
    "output.keep": 4,
    "training.early_stopping": "{monitor: val_loss, patience: 50}",
    "training.epochs": 12,
    "training.goal": 1.0e-9,
    "training.log_every": 3,
    "training.max_seconds": 100,
    "training.min_change": 1.0e-12,
    "training.on_divergence": "halve_rate",
}
MAY_NOT = {
    "seed": 6,
    "dtype": "float64",
    "data.val": 0.3,
    "data.test": 0.1,
    "data.target": "species",
    "data.features": "[sepal_length, petal_length]",
    "data.header": "true",
    "data.missing": "drop",
    "data.class_weights": "balanced",
    "data.task": "classification",
    "data.stratify": "false",
    "data.split": "in_order",
    "data.scale": "minmax",
    "network.layers.0.bias": "false",
    "network.layers.0.init": "he_normal",
    "network": "{layers: [{type: dense, units: 4, activation: tanh}, {type: dense, units: 3}]}",
    "network.layers.1.rate": 0.4,
    "loss": "focal",
    "loss.label_smoothing": 0.1,
    "loss.reduction": "sum",
    "optimizer": "sgd",
    "optimizer.beta1": 0.8,
    "optimizer.beta2": 0.99,
    "optimizer.eps": 1.0e-6,
    "optimizer.amsgrad": "true",
    "optimizer.weight_decay": 0.1,
    "optimizer.l1": 0.1,
    "schedule": "null",
    "schedule.period": 4,
    "metrics": "[accuracy, f1]",
    "training.batch_size": 16,
    "training.drop_last": "true",
    "training.shuffle": "false",
    "training.shards": 2,
    "training.clip_norm": 1.0,
    "training.clip_value": 1.0,
}


@pytest.fixture
def begun(config: Path) -> dict[str, Any]:
    """The config of a run of three epochs in the folder `begun`."""
    rig.run_ok("train", config, "--out", "begun", "--set", "training.epochs=3")
    return yaml.safe_load(Path("begun/config.yaml").read_text())


@pytest.mark.parametrize("share", [4, pytest.param(1, marks=pytest.mark.faults)], ids=["some", "every"])
def test_each_key_in_turn(share: int, begun: dict[str, Any], figure) -> None:
    wrong = []
    chosen = list((MAY | MAY_NOT).items())[::share]
    for key, value in chosen:
        shutil.copytree("begun", "run")
        more = () if key == "training.epochs" else ("--set", "training.epochs=5")
        result = rig.run("resume", "run", "--set", f"{key}={value}", *more)
        named = "network.layers" if key.startswith("network.layers") else key
        if key in MAY and not (result.code == 0 and f"{key}" in result.err):
            wrong.append(f"{key}: not allowed, or not shown: {result.err}")
        if key in MAY_NOT and not (result.code == 4 and f"cannot go on with another {named}" in result.err):
            wrong.append(f"{key}: exit code {result.code}: {result.err}")
        shutil.rmtree("run")
    figure("8", "a resume with another value of a key", f"{len(chosen) - len(wrong)} / {len(chosen)} right")
    assert wrong == []


def test_every_key_of_the_config_is_here(begun: dict[str, Any]) -> None:
    """A new key has to be put among those that a resume may change, or those that it may not."""
    keys = {
        key for section in ("data", "training", "output") for key in (f"{section}.{name}" for name in begun[section])
    }
    keys |= set(begun) - {"data", "training", "output", "network"}
    # told by the data's hash; needs another column; the test below
    about_files = {"data.train", "data.sample_weight", "data.decimal"}
    assert keys - about_files <= set(MAY) | set(MAY_NOT)


def test_with_another_decimal_mark_the_data_cannot_be_read(begun: dict[str, Any]) -> None:
    result = rig.run("resume", "begun", "--set", "data.decimal=','", "--set", "training.epochs=5")
    assert result.code == 3
    assert 'data.decimal is ",", but the cells are separated by commas' in result.err


def test_other_data_of_the_same_shape(begun: dict[str, Any], figure) -> None:
    lines = (Path(begun["data"]["train"])).read_text() if Path(begun["data"]["train"]).is_absolute() else None
    text = lines or (Path("begun") / begun["data"]["train"]).read_text()
    other = text.replace("5.1", "5.2", 1)
    assert other != text
    Path("other.csv").write_text(other)
    Path("same.csv").write_text(text)
    changed = rig.run("resume", "begun", "--set", "data.train=other.csv", "--set", "training.epochs=5")
    assert changed.code == 4
    assert 'its data are now "train: other.csv"' in changed.err
    assert rig.run("resume", "begun", "--set", "data.train=same.csv", "--set", "training.epochs=5").code == 0
    figure("8", "a resume with a digit of the data changed; with the same data elsewhere", "refused; allowed")


def test_a_checkpoint_of_another_network_is_refused(begun: dict[str, Any], figure) -> None:
    other = write_config("other.yaml", network__layers=[4, 7, 3])
    rig.run_ok("train", other, "--out", "other", "--set", "training.epochs=3")
    shutil.copy("other/checkpoints/last.npz", "begun/checkpoints/last.npz")
    result = rig.run("resume", "begun", "--set", "training.epochs=5")
    assert result.code == 4
    assert "cannot go on with another network.layers" in result.err
    figure("8", "a checkpoint of another network in the folder", "refused")
