"""Ctrl-C, SIGTERM and SIGHUP at a random moment: the exit code says which, and the run goes on to the same bits."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rig
from small_run import write_config

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("signals", [9, pytest.param(200, marks=pytest.mark.faults)])
def test_a_signal_saves_and_can_be_gone_on_from(signals: int, figure) -> None:
    """By the clock nothing is saved in so short a run: what there is afterwards, the signal has saved."""
    config = write_config(output__checkpoint_every="auto", training__epochs=150)
    rig.run_ok("train", config, "--out", "whole", "--quiet")
    whole, rng = rig.outcome(Path("whole")), random.Random(signals)
    wrong, caught = [], 0
    for count in range(signals):
        number = list(CODES)[count % len(CODES)]
        child = rig.start("train", config, "--out", "run")
        child.wait_for_epoch()
        time.sleep(rng.uniform(0, 0.1))
        child.send(number)
        code = child.wait()
        if code == CODES[number]:
            caught += 1
            epoch = rig.saved_epoch(Path("run"))
            if "the state is saved. Go on with: bpcli resume run" not in child.err or epoch == 0:
                wrong.append(f"{number.name}: {child.err}")
        elif code != 0:  # 0: training was over already
            wrong.append(f"{number.name}: exit code {code}: {child.err}")
        wrong += rig.faults_of(Path("run"), config, whole, rig.Ended(code, child.out, child.err, 0))
        shutil.rmtree("run")
    what = "SIGINT, SIGTERM, SIGHUP at a random moment of training"
    figure(
        "10", what, f"{signals} signals, {caught} caught in training, {signals - len(wrong)} resumable to the same bits"
    )
    assert wrong == []
    assert caught > signals / 2


@pytest.mark.parametrize("signals", [3, pytest.param(30, marks=pytest.mark.faults)])
def test_a_second_interrupt_quits_at_once(signals: int, config: Path, whole: rig.Outcome, figure) -> None:
    """The second comes while the first is being obeyed, or just after."""
    rng, at_once = random.Random(signals), 0
    for _ in range(signals):
        child = rig.start("train", config, "--out", "run")
        child.wait_for_epoch()
        child.send(signal.SIGINT)
        time.sleep(rng.uniform(0, 0.003))
        child.send(signal.SIGINT)
        code = child.wait()
        assert code in (0, 130, -signal.SIGINT), child.err
        at_once += "stopped at once by a second signal" in child.err
        stopped = rig.Ended(code, child.out, child.err, child.acknowledged())
        assert rig.faults_of(Path("run"), config, whole, stopped) == []
        shutil.rmtree("run")
    figure("10", "SIGINT twice", f"{signals} times, {at_once} quit at once, {signals} resumable to the same bits")


# A process that says when bpcli has begun; before that, the interpreter itself has the word on signals.
BEGUN = "import bpcli.__main__; print(flush=True); bpcli.__main__.main()"
SAID_AT_THE_START = (
    "error: interrupted\n",
    "error: interrupted while bpcli was starting\n",
    "error: interrupted before training began; nothing was saved\n",
)


@pytest.mark.parametrize("signals", [8, pytest.param(300, marks=pytest.mark.faults)])
def test_an_interrupt_before_training_is_reported_in_one_line(signals: int, config: Path, figure) -> None:
    """Also while libraries are being imported: no traceback, and none is lost."""
    rng, in_a_line = random.Random(signals), 0
    command = [sys.executable, "-c", BEGUN, "train", str(config), "--out", "run", "--set", "training.epochs=1000000"]
    for _ in range(signals):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0, 0.8))
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=rig.SECONDS)
        assert (out, "Traceback" in err, "ignored" in err) == ("", False, False), err
        assert child.returncode == 130, err
        if err in SAID_AT_THE_START:
            in_a_line += 1
        else:  # training had begun
            assert "the state is saved. Go on with: bpcli resume run" in err
        shutil.rmtree("run", ignore_errors=True)
    figure("10", "SIGINT at a random moment of the start", f"{signals} signals, none lost; {in_a_line} before training")
    assert in_a_line


@pytest.mark.parametrize("command", ["train", "resume"])
def test_an_interrupt_while_the_config_is_read(command: str, config: Path, monkeypatch, capsys) -> None:
    """The same moment, met for certain."""
    from bpcli.cli.main import main

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bpcli.build.session.load_config", interrupt)  # as train calls it
    monkeypatch.setattr("bpcli.workflows.resume.load_config", interrupt)
    rig.run_ok("train", config, "--out", "run")
    before = {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()}
    monkeypatch.setattr(sys, "argv", ["bpcli", command, str(config if command == "train" else "run")])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 130
    assert capsys.readouterr().err == "error: interrupted before training began; nothing was saved\n"
    assert {path: path.read_bytes() for path in Path("run").rglob("*") if path.is_file()} == before
