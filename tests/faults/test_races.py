"""Several processes in one run folder at the same time: one wins, the others say so, and harm nothing."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import pytest
import rig
from small_run import EPOCHS, ROOT, write_config

RACERS = 4
LONG = ("--set", "training.epochs=1000000", "--set", "output.checkpoint_every=500", "--quiet")


@pytest.mark.parametrize("kind", ["train", "resume"])
@pytest.mark.parametrize("races", [2, pytest.param(50, marks=pytest.mark.faults)])
def test_one_wins(races: int, kind: str, config: Path, whole: rig.Outcome, figure) -> None:
    """The winner is stopped by a signal or, every second time, killed: its lock must hold nobody up."""
    rig.run_ok("train", config, "--out", "begun", "--set", "training.epochs=3")
    wrong = []
    for number in range(races):
        folder = Path(f"run-{number}").absolute()
        if kind == "resume":
            shutil.copytree("begun", folder)
        where = [folder] if kind == "resume" else [config, "--out", folder]
        racers = [rig.start(kind, *where, *LONG, held=True) for _ in range(RACERS)]
        for racer in racers:
            racer.go()
        losers = wait_for_all_but_one(racers)
        codes = [loser.wait() for loser in losers]
        # who comes after the winner has written its config is told that there is a run already
        if any(code not in ((7,) if kind == "resume" else (7, 2)) for code in codes):
            wrong.append(f"{codes}: {[loser.err for loser in losers]}")
        winner = next(racer for racer in racers if racer not in losers)
        wait_until_saved(folder, winner)
        if number % 2:
            winner.kill()
        else:
            winner.send(signal.SIGINT)
            if winner.wait() != 130:
                wrong.append(f"the winner ends with {winner.wait()}: {winner.err}")
        if list(folder.glob("checkpoints-old*")):
            wrong.append("a loser has put the winner's checkpoints aside")
        reached = rig.saved_epoch(folder)
        later = ("--set", f"training.epochs={reached + 1}")
        if (result := rig.run("resume", folder, *later)).code != 0:
            wrong.append(f"the lock is not free: {result.err}")
        shutil.rmtree(folder)
    figure(
        "9", f"{RACERS} at once `{kind}` in one folder", f"{races} races, {races - len(wrong)} with 1 winner, unharmed"
    )
    assert wrong == []


def wait_for_all_but_one(racers: list[rig.Child]) -> list[rig.Child]:
    """The racers that have ended, once there is only one left."""
    for _ in range(int(rig.SECONDS / 0.01)):
        over = [racer for racer in racers if not racer.process.is_alive()]
        if len(over) >= len(racers) - 1:
            break
        time.sleep(0.01)
    assert len(over) == len(racers) - 1, [(racer.process.exitcode, racer.err) for racer in racers]
    return over


def wait_until_saved(folder: Path, winner: rig.Child) -> None:
    """Until the winner has saved what it would lose if another took its folder."""
    for _ in range(int(rig.SECONDS / 0.01)):
        if (folder / "checkpoints" / "last.npz").exists():
            return
        winner.process.join(0.01)
    raise AssertionError(winner.err)


@pytest.mark.parametrize("races", [1, pytest.param(20, marks=pytest.mark.faults)])
def test_new_runs_of_one_name_get_a_folder_each(races: int, config: Path, whole: rig.Outcome, figure) -> None:
    for _ in range(races):
        racers = [rig.start("train", config, held=True) for _ in range(RACERS)]
        for racer in racers:
            racer.go()
        assert [racer.wait() for racer in racers] == [0] * RACERS, [racer.err for racer in racers]
        names = {"run", *(f"run-{number}" for number in range(2, RACERS + 1))}
        assert {path.name for path in Path("runs").iterdir()} == names
        assert all(rig.outcome(Path("runs") / name) == whole for name in names)
        shutil.rmtree("runs")
    figure("9", f"{RACERS} new runs of one name at once", f"{races} races, {races} with {RACERS} whole runs")


def test_the_first_is_unharmed_by_a_second() -> None:
    config = write_config(output__checkpoint_every=1, training__epochs=40)
    rig.run_ok("train", config, "--out", "whole")
    first = rig.start("train", config, "--out", "run")
    first.wait_for_epoch()
    second = rig.run("resume", "run")
    if first.process.is_alive():
        assert second.code == 7
    assert first.wait() == 0
    assert rig.outcome(Path("run")) == rig.outcome(Path("whole"))
    assert EPOCHS < 40


@pytest.mark.parametrize("races", [5, pytest.param(100, marks=pytest.mark.faults)])
def test_several_predictions_to_one_file_leave_those_of_one(
    races: int, config: Path, whole: rig.Outcome, figure
) -> None:
    lines = (ROOT / "datasets" / "iris.csv").read_text().splitlines(keepends=True)
    inputs = [Path(f"in-{number}.csv") for number in range(RACERS)]
    for number, path in enumerate(inputs):
        path.write_text("".join([lines[0], *(lines[1 + 30 * number : 31 + 30 * number] * (1 + 20 * number))]))
    alone = {rig.run_ok("predict", "whole", path).out for path in inputs}
    wrong = []
    for _ in range(races):
        racers = [rig.start("predict", "whole", path, "-o", "p.csv", held=True) for path in inputs]
        for racer in racers:
            racer.go()
        if any(codes := [racer.wait() for racer in racers]):
            wrong.append(f"{codes}: {[racer.err for racer in racers]}")
        elif Path("p.csv").read_text() not in alone:
            wrong.append("a mixture")
    assert list(Path().glob(".p.csv*")) == []
    figure("9", f"{RACERS} predictions at once to one file", f"{races} races, {races - len(wrong)} with one whole file")
    assert wrong == []
