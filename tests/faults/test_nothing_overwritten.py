"""What a run has left stays as it is, whatever is done beside it; and nothing is written outside of runs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import rig
from small_run import write_config

NAMES = ["../x", "..", ".", "/tmp/x", "a/b", "a/../../x", "~/x", "\\x", "a\0b", "x/", "", " ", "CON", "-x", "x" * 300]


def hashes(*, without: str = "") -> dict[str, str]:
    """Every file under the current folder but those of the rig itself."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path().rglob("*")
        if path.is_file() and not path.name.startswith(("out-", "err-")) and not (without and without in str(path))
    }


def test_no_command_changes_a_run_that_is_there(config: Path, figure) -> None:
    rig.run_ok("train", config)
    Path("new.csv").write_text((Path(__file__).parents[2] / "datasets" / "iris.csv").read_text())
    before = hashes()
    commands = [
        (["train", config], 0),
        (["train", config, "--set", "seed=9"], 0),
        (["train", config, "--out", "runs/run"], 2),
        (["train", config, "--out", "runs/run/config.yaml"], 2),
        (["resume", "runs/run"], 0),
        (["resume", "runs/run", "--set", "training.epochs=3"], 0),
        (["resume", "runs/run", "--set", "seed=9", "--set", "training.epochs=99"], 4),
        (["resume", "runs/run", "--set", "data.train=nothing.csv", "--set", "training.epochs=99"], 3),
        (["resume", "runs/run", "--set", "training.epochs=none"], 2),
        (["eval", "runs/run"], 0),
        (["predict", "runs/run", "new.csv"], 0),
        (["summary", "runs/run"], 0),
        (["validate", "runs/run/config.yaml"], 0),
        (["step", "runs/run/config.yaml"], 0),
    ]
    for arguments, code in commands:
        result = rig.run(*arguments)
        assert result.code == code, (arguments, result.err)
        after = hashes()
        assert {path: after.get(path) for path in before} == before, arguments
    figure("11", "commands beside a run that is there", f"{len(commands)} commands, no hash changed")


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:12])
def test_a_name_writes_nothing_outside_of_runs(name: str, figure) -> None:
    Path("deep/er").mkdir(parents=True)
    home = Path.home() / "x"
    there = home.exists(), Path("/tmp/x").exists()
    config = write_config(name=name, training__epochs=1)
    before = hashes()
    result = rig.run("train", config, "--set", "output.dir=deep/er/runs")
    assert result.code in (0, 2, 6), result.err
    assert "Traceback" not in result.err
    assert hashes(without="deep/er/runs") == before
    assert (home.exists(), Path("/tmp/x").exists()) == there
    figure("11", f"name: {ascii(name)[:20]}", "a folder in runs" if result.code == 0 else f"exit {result.code}")


def test_best_stays_best_over_stops_while_worse_models_follow(config: Path, figure) -> None:
    """A rate that ruins the network: the last weights get worse, stop after stop, the best ones stay."""
    rig.run_ok("train", config, "--out", "run")
    best = weights()
    for epochs in range(9, 15):
        ruin = ("--set", "optimizer.learning_rate=30", "--set", f"training.epochs={epochs}")
        rig.run_ok("resume", "run", *ruin)
        assert weights() == best
    figure("11", "best.npz while worse models follow", "6 resumes, its arrays unchanged")


def weights() -> dict[str, bytes]:
    """The arrays of best.npz; its metadata name the config of the last resume."""
    with np.load("run/checkpoints/best.npz") as arrays:
        return {name: arrays[name].tobytes() for name in arrays.files if name not in ("meta", "sha256")}
