"""training.on_divergence: halve_rate goes back to a place that the clock has no part in, and on with half the rate."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bpcli.runs.recorder
import bpcli.workflows.train
from bpcli.config.load import load_config
from bpcli.engine import registry
from bpcli.engine.training.recovery import MOST_HALVINGS
from bpcli.errors import ConfigError, DivergenceError
from bpcli.runs.checkpoint import load_checkpoint
from bpcli.workflows.resume import check_same_run, resume_run
from bpcli.workflows.train import start_run

IRIS = Path(__file__).parents[2] / "datasets" / "iris.csv"
# 8 iterations an epoch. The rate rises over the first ten epochs, so that some go well before it is too high
CONFIG = f"""
name: iris
seed: 1
data: {{train: {IRIS}, val: 0.2, scale: standard}}
network:
  layers:
    - {{type: dense, units: 16, activation: leaky_relu}}
    - {{type: dropout, rate: 0.2}}
    - {{type: dense, units: 3}}
loss: mse
optimizer: {{type: sgd, learning_rate: 3}}
schedule: {{type: exponential, gamma: 0.9, by: iteration, warmup: 80}}
training: {{epochs: 20, batch_size: 16, on_divergence: halve_rate}}
"""
CASES = {
    "sgd": [],
    "momentum": ["optimizer={type: sgd, learning_rate: 10, momentum: 0.9}"],
    "plateau": ["schedule={type: reduce_on_plateau, patience: 2, gamma: 0.5, warmup: 12}"],
    "no schedule": ["schedule=null", "optimizer.learning_rate=6"],
    "adam": ["optimizer={type: adam, learning_rate: 4e6}"],
    "adamw": ["optimizer={type: adamw, learning_rate: 4e6, weight_decay: 0}"],
    "nadam": ["optimizer={type: nadam, learning_rate: 4e6}"],
    "rmsprop": ["optimizer={type: rmsprop, learning_rate: 4e6}"],
    "adagrad": ["optimizer={type: adagrad, learning_rate: 1e8}"],
    "rprop": ["optimizer={type: rprop, learning_rate: 1e8, max_step: 1e30}"],
    "early stopping": ["training.early_stopping={patience: 8}"],
    "batch_norm": ["network.layers=[batch_norm, {type: dense, units: 3}]", "optimizer.learning_rate=20"],
    "logged now and then": ["training.log_every=3"],
}


@pytest.fixture
def config() -> Path:
    Path("iris.yaml").write_text(CONFIG)
    return Path("iris.yaml")


@contextlib.contextmanager
def stop_at(done: Iterator[int], after: int | None) -> Iterator[Any]:
    """In place of signals: asks to stop after so many iterations, those taken back counted too."""

    class Request:
        signal_number = None

        def __call__(self) -> bool:
            return next(done) == after

    yield Request()


@pytest.fixture
def run(config: Path, run_files: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """`run(overrides, stops)`: trains, is interrupted after so many iterations, and goes on. What must be the same."""

    def call(overrides: list[str], stops: list[int], name: str) -> Any:
        folder, done, said = Path(name), itertools.count(1), []
        for turn, after in enumerate([*stops, None]):
            monkeypatch.setattr(bpcli.workflows.train, "stop_on_signals", lambda text, a=after: stop_at(done, a))
            if turn:
                resume_run(folder, threads=1, notify=said.append)
            else:
                start_run(load_config(config, overrides), out=folder, threads=1, notify=said.append)
        files = run_files(folder)
        state = {key: value for key, value in load_checkpoint(files.last).state.items() if key != "seconds"}
        summary = json.loads((folder / "summary.json").read_text())
        said = [text for text in said if "diverged" in text]
        return files.log(), files.weights("last"), files.sha256(), state, summary["halvings"], said

    return call


def test_every_optimizer_with_a_rate_is_here() -> None:
    assert {name for name in registry.optimizers.names() if hasattr(registry.optimizers.get(name), "step")} <= set(
        CASES
    )


@pytest.mark.parametrize("name", CASES)
def test_a_stop_anywhere_changes_no_byte(run: Callable[..., Any], name: str) -> None:
    whole = run(CASES[name], [], "whole")
    log, *_, halvings, said = whole
    assert 1 <= halvings <= MOST_HALVINGS
    assert len(said) == halvings
    assert run(CASES[name], [], "again") == whole
    assert run(CASES[name], [3, 16, 77, 90], "stopped") == whole
    epochs = [int(row[0]) for row in log[1:]]
    assert epochs == sorted(set(epochs))  # rows that were taken back are gone


def test_a_stop_at_any_moment_around_going_back_changes_no_byte(run: Callable[..., Any]) -> None:
    """It diverges in the 76th iteration, whose step is not taken."""
    whole = run([], [], "whole")
    for stop in range(73, 80):
        assert run([], [stop], f"stopped{stop}") == whole


def test_it_says_what_happened_and_where_it_goes_on(run: Callable[..., Any]) -> None:
    log, *_, state, halvings, said = run([], [], "run")
    assert halvings == state["memory"]["halvings"] == 1
    (text,) = said
    assert "training diverged in epoch 10, iteration 76: the loss at the output of layer dense_2" in text
    assert "going on from the end of epoch 2, the best so far, with the learning rate halved (1 of 5)" in text
    rates = [float(row[-1]) for row in log[1:]]
    assert rates[:4] == pytest.approx([3 * 8 / 81, 3 * 16 / 81, 1.5 * 24 / 81, 1.5 * 32 / 81])


def test_the_first_epoch_is_taken_back_too(run: Callable[..., Any]) -> None:
    *_, said = run(CASES["momentum"], [], "run")
    assert "going on from the start with the learning rate halved (1 of 5)" in said[0]


def test_it_is_in_the_table_and_on_stderr(ok: Callable[..., Any], config: Path) -> None:
    result = ok("train", config)
    assert "with the learning rate halved (1 of 5)" in result.err
    assert "halved 1 time after training diverged" in result.out
    assert "halved" not in ok("train", config, "--quiet").err


def test_after_five_times_it_is_exit_code_5(cli: Callable[..., Any], config: Path) -> None:
    result = cli("train", config, "--set", "optimizer.learning_rate=1e6")
    assert result.code == 5
    assert result.err.count("halved (") == MOST_HALVINGS
    assert "with the learning rate halved 5 times. Try data.scale" in result.err
    assert "halve_rate" not in result.err
    assert cli("resume", "runs/iris").code == 5  # and the halvings are not forgotten
    assert cli("resume", "runs/iris", "--set", "optimizer.learning_rate=0.1").code == 0


def test_where_no_step_led_to_it_halving_is_no_use(cli: Callable[..., Any], config: Path) -> None:
    Path("far.csv").write_text("x,y\n" + "".join(f"{x}e30,{x}\n" for x in range(1, 9)))
    data = ("--set", "data={train: far.csv, task: regression}", "--set", "network={layers: [1, 1]}")
    result = cli("train", config, *data)
    assert result.code == 5
    assert "before any step that a lower learning rate would change" in result.err
    assert "halved" not in result.err


def test_a_new_learning_rate_is_taken_as_it_is(config: Path, run_files: Any) -> None:
    start_run(load_config(config), out=Path("run"))
    said: list[str] = []
    resume_run(Path("run"), ["training.epochs=21", "optimizer.learning_rate=0.5"], notify=said.append)
    assert any("the new one is taken as it is" in text for text in said)
    assert float(run_files(Path("run")).log()[-1][-1]) == pytest.approx(0.5 * 0.9 ** (21 * 8 - 1 - 80))


def test_a_run_that_stops_at_divergence_can_go_on_with_halvings(config: Path, run_files: Any) -> None:
    with pytest.raises(DivergenceError, match=r"training\.on_divergence: halve_rate"):
        start_run(load_config(config, ["training.on_divergence=stop", "output.checkpoint_every=1"]), out=Path("run"))
    resume_run(Path("run"), ["training.on_divergence=halve_rate"])
    start_run(load_config(config), out=Path("whole"))
    assert run_files(Path("run")).log() == run_files(Path("whole")).log()
    assert run_files(Path("run")).weights() == run_files(Path("whole")).weights()


def test_halvings_stay_when_they_are_switched_off_again(config: Path, run_files: Any) -> None:
    start_run(load_config(config), out=Path("run"))
    resume_run(Path("run"), ["training.epochs=21", "training.on_divergence=stop"])
    assert float(run_files(Path("run")).log()[-1][-1]) == pytest.approx(1.5 * 0.9 ** (21 * 8 - 1 - 80))


def test_a_kill_between_going_back_and_the_log_loses_no_row(
    config: Path, run_files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of the place gone back to is on the disk before later rows are dropped."""
    start_run(load_config(config), out=Path("whole"))

    def killed(self: Any, *, epoch: int) -> None:
        if epoch:
            raise KeyboardInterrupt
        original(self, epoch=epoch)

    original = bpcli.runs.recorder.LossLog.start
    with monkeypatch.context() as patch:
        patch.setattr(bpcli.runs.recorder.LossLog, "start", killed)
        with pytest.raises(KeyboardInterrupt):
            start_run(load_config(config), out=Path("run"))
    assert load_checkpoint(run_files(Path("run")).last).state["epoch"] == 2
    resume_run(Path("run"))
    assert run_files(Path("run")).log() == run_files(Path("whole")).log()


def test_a_checkpoint_from_before_the_key_is_one_that_stops(config: Path, run_files: Any) -> None:
    file = load_config(config, ["training.on_divergence=stop", "training.epochs=2"])
    start_run(file, out=Path("run"))
    checkpoint = load_checkpoint(run_files(Path("run")).last)
    training = {key: value for key, value in checkpoint.config["training"].items() if key != "on_divergence"}
    older = dataclasses.replace(checkpoint, config={**checkpoint.config, "training": training})
    assert check_same_run(older, checkpoint.config, checkpoint.info["data"]) == []


@pytest.mark.parametrize(
    "name", [name for name in registry.optimizers.names() if hasattr(registry.optimizers.get(name), "iterate")]
)
def test_methods_without_a_rate_refuse_it(config: Path, name: str) -> None:
    layers = "network={layers: [4, 3]}"
    file = load_config(config, [f"optimizer={name}", "schedule=null", "training.batch_size=full", layers])
    with pytest.raises(ConfigError, match=rf"training.on_divergence: {name} finds the size of its steps by itself"):
        start_run(file)
