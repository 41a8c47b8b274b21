"""A run that was stopped goes on bit for bit, whichever optimizer and schedule it has and wherever it was stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bpcli.workflows.train
from bpcli.config.load import load_config
from bpcli.engine import registry
from bpcli.runs.checkpoint import load_checkpoint
from bpcli.workflows.resume import resume_run
from bpcli.workflows.train import start_run

CONFIG = Path(__file__).parents[2] / "configs" / "iris.yaml"
EPOCHS, ITERATIONS = 12, 6  # ITERATIONS of 16 samples in an epoch
COMMON = [
    "training.early_stopping=null",
    "network.layers=[4, 5, 3]",
]

# every optimizer that works on batches as it is, and those whose options bring further state
OPTIMIZERS = [
    *(name for name in registry.optimizers.names() if hasattr(registry.optimizers.get(name), "step")),
    "{type: sgd, momentum: 0.9, nesterov: true}",
    "{type: adam, amsgrad: true, weight_decay: 0.01}",
    "{type: adamw, amsgrad: true}",
    "{type: rmsprop, momentum: 0.9}",
    "{type: rmsprop, centered: true, momentum: 0.5}",
    "{type: nadam, momentum_decay: 2.0}",
]
# the methods that work on the whole training set, with one iteration in an epoch, and where options bring other state
FULL_BATCH = [
    *(name for name in registry.optimizers.names() if hasattr(registry.optimizers.get(name), "iterate")),
    "{type: lbfgs, history: 3}",
    "{type: gradient_descent_adaptive, learning_rate: 20, momentum: 0.5}",
]
# schedules whose shape does not depend on how long training is
ENDLESS = [
    "{type: step, every: 3}",
    "{type: multi_step, at: [2, 6], warmup: 2}",
    "{type: exponential, gamma: 0.9}",
    "{type: exponential, gamma: 0.98, by: iteration, warmup: 20}",
    "{type: inverse_time, decay: 0.1, by: iteration}",
    "{type: polynomial, duration: 8}",
    "{type: cosine, period: 2, multiplier: 2, warmup: 1}",
    "{type: cosine, period: 7, by: iteration}",
    "{type: reduce_on_plateau, patience: 2, min_delta: 0.5, gamma: 0.5, cooldown: 1, warmup: 1}",
]
SCHEDULES = [
    *ENDLESS,
    "{type: polynomial, power: 2, end: 0.1}",
    "{type: cosine, warmup: 5}",
    "{type: cosine, by: iteration, end: 0.01}",
    "one_cycle",
    "{type: one_cycle, by: epoch}",
    "coslog",
    "{type: coslog, cycles: 2, by: epoch}",
]


@dataclass(frozen=True)
class Kept:
    """What of a run must not depend on where it was stopped."""

    log: list[list[str]]
    weights: dict[str, bytes]
    best: bytes
    state: dict[str, Any]

    def rates(self) -> list[float]:
        """The learning rate of each epoch's last iteration."""
        return [float(row[-1]) for row in self.log[1:]]


def kept(folder: Path, run_files: Any) -> Kept:
    run = run_files(folder)
    state = dict(load_checkpoint(run.last).state)
    state.pop("seconds")
    return Kept(run.log(), run.weights("last"), run.best.read_bytes(), state)


@pytest.fixture
def run(run_files: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Kept]:
    """`run(["optimizer=adam"], stops=[5, 20])`: trains, is interrupted after so many iterations, and goes on."""

    def call(overrides: list[str], *, stops: list[int], name: str) -> Kept:
        folder = Path(name)
        for turn, after in enumerate([*stops, None]):
            done = [stops[turn - 1] if turn else 0]
            monkeypatch.setattr(bpcli.workflows.train, "stop_on_signals", lambda text, d=done, a=after: stop_at(d, a))
            if turn:
                resume_run(folder, threads=1)
            else:
                start_run(load_config(CONFIG, [*COMMON, *overrides]), out=folder, threads=1)
        return kept(folder, run_files)

    return call


@contextlib.contextmanager
def stop_at(done: list[int], after: int | None) -> Iterator[Any]:
    """In place of signals: asks to stop after so many iterations of the run."""

    class Request:
        signal_number = None

        def __call__(self) -> bool:
            done[0] += 1
            return done[0] == after

    yield Request()


def interrupted_is_whole(run: Callable[..., Kept], overrides: list[str], stops: list[int]) -> Kept:
    overrides = [f"training.epochs={EPOCHS}", *overrides]
    whole = run(overrides, stops=[], name="whole")
    assert run(overrides, stops=stops, name="stopped") == whole
    assert whole.state["step"] == EPOCHS * ITERATIONS
    return whole


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_on_in_the_middle_of_an_epoch(run: Callable[..., Kept], optimizer: str) -> None:
    interrupted_is_whole(run, [f"optimizer={optimizer}"], [1, 15, 40])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", FULL_BATCH)
def test_every_full_batch_method_goes_on_after_any_iteration(
    run: Callable[..., Kept], optimizer: str, dtype: str
) -> None:
    overrides = [f"optimizer={optimizer}", f"dtype={dtype}", "training.batch_size=full", f"training.epochs={EPOCHS}"]
    if optimizer == "levenberg_marquardt":
        overrides.append("loss=mse")
    whole, stopped = (run(overrides, stops=stops, name=f"run{len(stops)}") for stops in ([], [1, 5, 9]))
    assert stopped == whole
    assert whole.state["step"] == EPOCHS
    assert whole.state["scalars"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_goes_on_under_a_schedule(run: Callable[..., Kept], optimizer: str) -> None:
    interrupted_is_whole(
        run, [f"optimizer={optimizer}", "schedule={type: cosine, warmup: 20, by: iteration}"], [13, 50]
    )


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_goes_on_in_the_middle_of_an_epoch(run: Callable[..., Kept], schedule: str) -> None:
    whole = interrupted_is_whole(run, [f"schedule={schedule}"], [3, 31, 47])
    assert len(set(whole.rates())) > 2  # the schedule does something


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_goes_on_between_two_epochs(run: Callable[..., Kept], schedule: str) -> None:
    """Stopped after an epoch's last iteration, before the epoch is closed."""
    overrides = [f"training.epochs={EPOCHS}", f"schedule={schedule}"]
    whole, stopped = (run(overrides, stops=stops, name=f"run{len(stops)}") for stops in ([], [6, 36]))
    assert [row[:-1] for row in stopped.log] == [row[:-1] for row in whole.log]
    assert (stopped.weights, stopped.best, stopped.state) == (whole.weights, whole.best, whole.state)


def test_an_epoch_that_a_resume_only_closes_is_logged_with_its_rate(run: Callable[..., Kept]) -> None:
    interrupted_is_whole(run, ["schedule={type: exponential, gamma: 0.9}"], [36])


@pytest.mark.parametrize("epochs", [1, 5, 6])
@pytest.mark.parametrize("schedule", ENDLESS)
def test_more_epochs_are_as_if_there_had_always_been_so_many(
    run: Callable[..., Kept], run_files: Any, schedule: str, epochs: int
) -> None:
    whole = run([f"training.epochs={EPOCHS}", f"schedule={schedule}"], stops=[], name="whole")
    run([f"training.epochs={epochs}", f"schedule={schedule}"], stops=[], name="stopped")
    resume_run(Path("stopped"), [f"training.epochs={EPOCHS}"], threads=1)
    assert kept(Path("stopped"), run_files) == whole


def test_a_plateau_seen_before_the_stop_is_remembered_after_it(run: Callable[..., Kept]) -> None:
    """Nothing ever gets better by 100: the rate halves after every second epoch, the first of which sets the best."""
    overrides = ["schedule={type: reduce_on_plateau, patience: 2, min_delta: 100, gamma: 0.5}"]
    whole = interrupted_is_whole(run, overrides, [2 * ITERATIONS, 4 * ITERATIONS + 1])
    expected = [0.01] * 3 + [0.005] * 2 + [0.0025] * 2 + [0.00125] * 2 + [0.000625] * 2 + [0.0003125]
    np.testing.assert_allclose(whole.rates(), expected, rtol=1e-12)
    assert whole.state["memory"]["factor"] == pytest.approx(1 / 32)


def test_going_on_from_the_best_epoch_takes_the_plateaus_memory_of_it(run: Callable[..., Kept], run_files: Any) -> None:
    schedule = "schedule={type: reduce_on_plateau, patience: 1, min_delta: 100, gamma: 0.5}"
    overrides = [schedule, f"training.epochs={EPOCHS}", "optimizer={type: sgd, learning_rate: 0.5}", "seed=3"]
    whole = run(overrides, stops=[], name="whole")
    best = Path("whole") / "checkpoints" / "best.npz"
    assert load_checkpoint(best).state["memory"]["epochs"] == load_checkpoint(best).state["epoch"]
    resume_run(best, ["training.epochs=13"], threads=1)
    longer = run([*overrides, "training.epochs=13"], stops=[], name="longer")
    assert kept(Path("whole"), run_files) == longer
    assert longer.rates()[:EPOCHS] == whole.rates()


def test_every_schedule_is_here() -> None:
    named = {text.strip("{").removeprefix("type: ").split(",")[0] for text in SCHEDULES}
    assert named == set(registry.schedules.names())


def test_a_warmup_starts_low(run: Callable[..., Kept]) -> None:
    rates = run(["training.epochs=10", "schedule={type: cosine, warmup: 5}"], stops=[], name="warm").rates()
    np.testing.assert_allclose(rates[:6], np.arange(1, 7) / 6 * 0.01, rtol=1e-12)
    assert rates[5:] == sorted(set(rates[5:]), reverse=True)
