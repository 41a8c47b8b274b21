"""Killed at a random moment of training: a resume goes on, and ends as if nothing had happened."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest
import rig
from small_run import EPOCHS


@pytest.mark.parametrize("kills", [8, pytest.param(500, marks=pytest.mark.faults)])
def test_a_kill_at_a_random_moment_costs_nothing(kills: int, config: Path, whole: rig.Outcome, figure) -> None:
    """Every second run goes on from its third epoch. One that had ended before does not count, but must be whole."""
    rig.run_ok("train", config, "--out", "begun", "--set", "training.epochs=3")
    rng, wrong = random.Random(kills), list[str]()
    tries, hit = 0, 0
    while hit < kills:
        if tries % 20 == 0:  # the machine may be slower or faster by now
            seconds = _seconds_of_a_run(config)
        folder = Path("run").absolute()
        if tries % 2:
            shutil.copytree("begun", folder)
            settings = ("--set", f"training.epochs={EPOCHS}")
            child = rig.start("resume", folder, *settings, held=True)
        else:
            settings = ()
            child = rig.start("train", config, "--out", folder, held=True)
        child.go()
        time.sleep(rng.uniform(0, seconds))
        code = child.kill()
        tries += 1
        hit += code == -9
        stopped = rig.Ended(code, child.out, child.err, child.acknowledged())
        wrong += rig.faults_of(folder, config, whole, stopped, *settings)
        shutil.rmtree(folder)
    figure("1", "SIGKILL at a random moment of training", f"{hit} kills, {hit - len(wrong)} identical")
    assert wrong == []


def _seconds_of_a_run(config: Path) -> float:
    child = rig.start("train", config, "--out", "timed", held=True)
    before = time.monotonic()
    child.go()
    child.wait()
    seconds = time.monotonic() - before
    shutil.rmtree("timed")
    return seconds


@pytest.mark.parametrize("runs", [1, pytest.param(10, marks=pytest.mark.faults)])
def test_killed_again_and_again_it_still_comes_to_its_end(runs: int, config: Path, whole: rig.Outcome, figure) -> None:
    kills = 0
    for number in range(runs):
        folder = Path(f"run-{number}").absolute()
        child = rig.start("train", config, "--out", folder)
        for epoch in range(1, EPOCHS):
            child.wait_for_epoch(epoch)
            kills += child.kill() == -9
            child = rig.start("resume", folder)
        assert child.wait() == 0, child.err
        assert rig.outcome(folder) == whole
    figure("1", "SIGKILL in every epoch of a run", f"{kills} kills in {runs} runs, {runs} runs identical")
