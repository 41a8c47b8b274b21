"""The same config and seed give the same bytes, on one processor or two, idle or busy."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import rig

ROOT = Path(__file__).parents[2]
# A batch in two shards, and products in two halves: what threads share out.
WORKS = {
    "shards": ("training.shards=2", "training.batch_size=64"),
    "halves": ("network.layers=[64, 640, 640, 10]", "training.shards=1", "training.batch_size=256"),
}


def hash_of_a_run(folder: Path, settings: tuple[str, ...], processors: set[int]) -> str:
    """Trains digits in a process of its own, bound to these processors; SHA-256 of its best checkpoint."""
    options = [argument for setting in ("training.epochs=3", *settings) for argument in ("--set", setting)]
    config = str(ROOT / "configs" / "digits.yaml")
    command = [sys.executable, "-m", "bpcli", "train", config, "--out", str(folder), "--quiet", *options]
    subprocess.run(command, check=True, preexec_fn=lambda: os.sched_setaffinity(0, processors))
    return hashlib.sha256((folder / "checkpoints" / "best.npz").read_bytes()).hexdigest()


@pytest.mark.parametrize("runs", [4, pytest.param(50, marks=pytest.mark.faults)])
@pytest.mark.parametrize("work", list(WORKS))
def test_one_hash_on_any_number_of_processors(work: str, runs: int, figure) -> None:
    """On as many threads as there are processors; every second pair of runs beside three busy processes."""
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(processors) < 2:
        pytest.skip("needs two processors, and a system that can bind a process to one")
    hashes = set()
    for number in range(runs):
        with rig.busy(3) if number % 4 >= 2 else contextlib.nullcontext():
            hashes.add(hash_of_a_run(Path(f"run-{number}"), WORKS[work], set(processors[: 1 + number % 2])))
    figure("22", f"{work}: 1 and 2 cores, idle and with 3 busy processes", f"{runs} runs, {len(hashes)} hash")
    assert len(hashes) == 1
