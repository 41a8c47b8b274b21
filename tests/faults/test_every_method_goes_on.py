"""Stopped in any iteration, with any optimizer, schedule and layer that has a state: the same weights and loss.csv.

tests/runs/ holds what each method must do one by one; this is all of them with each other.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rig import outcome
from small_run import ROOT

import bpcli.workflows.train
from bpcli.config.load import load_config
from bpcli.engine import registry
from bpcli.workflows.resume import resume_run
from bpcli.workflows.train import start_run

EPOCHS, ITERATIONS = 6, 6
NETWORKS = {
    "dense": "network.layers=[4, 5, 3]",
    "dropout, batch_norm, noise": "network={layers: [{type: gaussian_noise, std: 0.1}, {type: dense, units: 5}, "
    "{type: batch_norm, activation: tanh}, {type: dropout, rate: 0.3}, {type: dense, units: 3}]}",
}
SCHEDULES = {
    "step": "{type: step, every: 2}",
    "multi_step": "{type: multi_step, at: [2, 4]}",
    "exponential": "{type: exponential, gamma: 0.9}",
    "inverse_time": "{type: inverse_time, decay: 0.1, by: iteration}",
    "polynomial": "{type: polynomial, power: 2, warmup: 1}",
    "cosine": "{type: cosine, warmup: 5, by: iteration}",
    "one_cycle": "one_cycle",
    "coslog": "coslog",
    "reduce_on_plateau": "{type: reduce_on_plateau, patience: 1, min_delta: 0.5, gamma: 0.5}",
}
ON_BATCHES = [name for name in registry.optimizers.names() if hasattr(registry.optimizers.get(name), "step")]
ON_ALL = [name for name in registry.optimizers.names() if name not in ON_BATCHES]


def cases() -> list[list[str]]:
    """Overrides for each combination."""
    batches = [
        [f"optimizer={optimizer}", f"schedule={SCHEDULES.get(schedule, 'null')}", NETWORKS[network]]
        for optimizer, schedule, network in itertools.product(ON_BATCHES, [None, *registry.schedules.names()], NETWORKS)
    ]
    whole = [
        [f"optimizer={optimizer}", "training.batch_size=full", f"dtype={dtype}", "loss=mse", NETWORKS["dense"]]
        for optimizer, dtype in itertools.product(ON_ALL, ("float32", "float64"))
    ]
    return batches + whole


@contextlib.contextmanager
def stop_after(iterations: int | None) -> Iterator[Any]:
    """In place of signals: asks to stop after so many iterations."""
    done = itertools.count(1)
    request = type("Request", (), {"signal_number": None, "__call__": lambda self: next(done) == iterations})
    yield request()


@pytest.mark.parametrize("share", [29, pytest.param(1, marks=pytest.mark.faults)], ids=["some", "every"])
def test_all_methods_with_each_other(share: int, monkeypatch: pytest.MonkeyPatch, figure) -> None:
    rng, wrong, chosen = random.Random(share), [], cases()[::share]
    for overrides in chosen:
        common = ["training.early_stopping=null", f"training.epochs={EPOCHS}", "training.batch_size=16", *overrides]
        total = EPOCHS if "training.batch_size=full" in overrides else EPOCHS * ITERATIONS
        stop = rng.randrange(1, total)
        for name, after in (("whole", None), ("stopped", stop)):
            monkeypatch.setattr(bpcli.workflows.train, "stop_on_signals", lambda text, after=after: stop_after(after))
            start_run(load_config(ROOT / "configs" / "iris.yaml", common), out=Path(name), threads=1)
        monkeypatch.setattr(bpcli.workflows.train, "stop_on_signals", lambda text: stop_after(None))
        resume_run(Path("stopped"), threads=1)
        one, other = outcome(Path("whole")), outcome(Path("stopped"))
        if one != other:
            wrong.append((stop, overrides))
        for name in ("whole", "stopped"):
            shutil.rmtree(name)
    figure(
        "5", "optimizers x schedules x layers, stopped anywhere", f"{len(chosen) - len(wrong)} / {len(chosen)} equal"
    )
    assert wrong == []
    assert set(SCHEDULES) == set(registry.schedules.names())


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.faults)], ids=["some", "every"])
def test_every_iteration(step: int, monkeypatch: pytest.MonkeyPatch, figure) -> None:
    overrides = [*cases()[3], f"training.epochs={EPOCHS}", "training.batch_size=16"]
    start_run(load_config(ROOT / "configs" / "iris.yaml", overrides), out=Path("whole"), threads=1)
    whole = outcome(Path("whole"))
    stops = range(1, EPOCHS * ITERATIONS, step)
    equal = 0
    for stop in stops:
        folder = Path(f"stopped-{stop}")
        monkeypatch.setattr(bpcli.workflows.train, "stop_on_signals", lambda text, stop=stop: stop_after(stop))
        start_run(load_config(ROOT / "configs" / "iris.yaml", overrides), out=folder, threads=1)
        monkeypatch.setattr(bpcli.workflows.train, "stop_on_signals", lambda text: stop_after(None))
        resume_run(folder, threads=1)
        got = outcome(folder)
        equal += (got.log, got.last, got.state) == (whole.log, whole.last, whole.state) and got.best == whole.best
    figure("5", "one run stopped after every iteration", f"{equal} / {len(stops)} equal")
    assert equal == len(stops)
