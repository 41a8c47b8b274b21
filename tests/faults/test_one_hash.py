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


@pytest.mark.parametrize("runs", [4, pytest.param(50, marks=pytest.mark.faults)])
def test_one_hash_on_any_number_of_processors(runs: int, figure) -> None:
    """Whole processes; the network works in two shards, on as many threads as there are processors for it."""
    processors = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(processors) < 2:
        pytest.skip("needs two processors, and a system that can bind a process to one")
    hashes = set()
    for number in range(runs):
        cpus = processors[: 1 + number % 2]
        with rig.busy(3) if number % 4 >= 2 else contextlib.nullcontext():
            folder = Path(f"run-{number}")
            arguments = [str(ROOT / "configs" / "digits.yaml"), "--out", str(folder), "--quiet"]
            settings = ["--set", "training.epochs=3", "--set", "training.shards=2", "--set", "training.batch_size=64"]
            command = [sys.executable, "-m", "bpcli", "train", *arguments, *settings]
            subprocess.run(command, check=True, preexec_fn=lambda cpus=cpus: os.sched_setaffinity(0, cpus))
        hashes.add(hashlib.sha256((folder / "checkpoints" / "best.npz").read_bytes()).hexdigest())
    figure("22", "one seed, on 1 and 2 cores, idle and with 3 busy processes", f"{runs} runs, {len(hashes)} hash")
    assert len(hashes) == 1
