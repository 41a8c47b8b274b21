"""A learning rate of 1e10, with any optimizer, loss and dtype: noticed at once, and nothing finite lost."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import rig
from small_run import ROOT

from bpcli.engine import registry
from bpcli.runs.checkpoint import load_checkpoint

OPTIMIZERS = [
    name
    for name in registry.optimizers.names()
    if "learning_rate" in {field.name for field in dataclasses.fields(registry.optimizers.get(name))}
]
ON_ALL = [name for name in OPTIMIZERS if not hasattr(registry.optimizers.get(name), "step")]
NAMED = r"diverged in epoch (\d+), iteration (\d+): .*layer \w+.* (is not finite|too large for float(32|64))"
LOSSES = ["mse", "mae", "huber", "log_cosh", "poisson"]


def finite(path: Path) -> bool:
    checkpoint = load_checkpoint(path)
    return all(bool(np.isfinite(array).all()) for array in (*checkpoint.params.values(), *checkpoint.vectors.values()))


@pytest.mark.parametrize("share", [11, pytest.param(1, marks=pytest.mark.faults)], ids=["some", "every"])
def test_stops_within_a_step_and_keeps_what_was_finite(share: int, figure) -> None:
    """Every epoch is saved: the last checkpoint is of the epoch before the one that is named, and is finite."""
    chosen = list(itertools.product(OPTIMIZERS, LOSSES, ("float32", "float64")))[::share]
    diverged = ended = 0
    for optimizer, loss, dtype in chosen:
        settings = [f"optimizer={optimizer}", f"loss={loss}", f"dtype={dtype}", "data.val=null"]
        settings += ["data.scale={x: standard, y: minmax}"]
        settings += ["network={layers: [10, 4, 1], activation: identity, output_activation: identity}"]
        settings += ["training.early_stopping=null", "training.batch_size=" + ("full" if optimizer in ON_ALL else "64")]
        settings += ["training.shuffle=false", "output.checkpoint_every=1", "data.test=null", "schedule=null"]
        sets = [part for text in settings for part in ("--set", text)]
        start = ["--set", "training.epochs=1", "--set", "optimizer.learning_rate=1e-12"]
        begun = rig.run("train", ROOT / "configs" / "diabetes.yaml", "--out", "run", *sets, *start)
        assert begun.code == 0, (settings, begun.err)
        more = ("--set", "optimizer.learning_rate=1e10", "--set", "training.epochs=60")
        result = rig.run("resume", "run", *more)
        assert "Traceback" not in result.err, (settings, result.err)
        newest = Path("run/checkpoints/last.npz")
        assert finite(newest), settings
        assert finite(Path("run/checkpoints/best.npz")), settings
        if result.code == 5:
            found = re.search(NAMED, result.err)
            assert found, result.err
            assert found[1] == str(load_checkpoint(newest).state["epoch"] + 1), (settings, result.err)
            diverged += 1
        else:
            assert result.code == 0, (settings, result.err)
            ended += 1
        shutil.rmtree("run")
    what = "a learning rate of 1e10, optimizers x losses x dtypes"
    told = (
        f"{diverged} of {len(chosen)} diverged and named epoch, iteration, layer; {ended} stayed finite; all saved is"
    )
    figure("21", what, told)
    assert diverged > 0


@pytest.mark.parametrize("value", [".nan", ".inf", "1e400"])
def test_weights_that_are_not_finite_are_refused(value: str, figure) -> None:
    setting = f"network.layers=[{{type: dense, units: 1, weights: [[{value}, 1.0]], biases: [0]}}]"
    result = rig.run("train", ROOT / "configs" / "xor.yaml", "--set", setting, "--out", "run")
    assert result.code in (2, 5), result.err
    assert not list(Path().glob("run/checkpoints/*.npz"))
    figure("21", f"first weights of {value}", f"exit {result.code}, nothing saved")
