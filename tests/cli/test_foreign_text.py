"""Names from files, folders and the command line reach the terminal printable, one line each, in every command."""

from __future__ import annotations

import csv
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = "\x1b[31m\u202eevil\u200b\nerror: forged\u2028\x9b2J"
CLASSES = [f"a{HOSTILE}", "b"]


def config(target: str, **data: object) -> dict:
    return {
        "data": {"train": "data.csv", "target": target, **data},
        "network": {"layers": [{"type": "dense", "units": 2, "name": "hidden"}, {"type": "dense", "units": 2}]},
        "loss": "log_likelihood",
        "training": {"epochs": 2},
    }


def write_data(path: str, classes: list[str], column: str = f"x{HOSTILE}") -> None:
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[column, "y"], *([k, classes[k % len(classes)]] for k in range(8))])


@pytest.fixture
def folder(write_config, cli) -> Path:
    """A run in a folder of a hostile name, of hostile columns and classes; its outputs are checked by the way."""
    write_data("data.csv", CLASSES)
    run = Path(f"run{HOSTILE}")
    write_config(config("y"), f"c{HOSTILE}.yaml")
    harmless(cli("train", f"c{HOSTILE}.yaml", "--out", run), 0)
    return run


def harmless(result, code: int) -> str:
    """The output of a command, after checking that every line is printable and none is forged."""
    assert result.code == code, result.err
    for line in (result.out + result.err).split("\n"):
        assert line.isprintable(), line
        assert not line.startswith("error: forged"), line
    return result.out + result.err


@pytest.mark.parametrize("command", ["validate", "summary", "step", "profile"])
def test_a_config_of_a_hostile_name(folder, cli, command):
    options = ["--seconds", "0"] if command == "profile" else []
    harmless(cli(command, f"c{HOSTILE}.yaml", *options), 0)


def test_eval_shows_hostile_classes_in_both_tables(folder, cli):
    text = harmless(cli("eval", folder), 0)
    assert text.count(r"\x1b[31m\u202eevil\u200b\nerror: forged\u2028\x9b2J") > 3


def test_eval_of_a_hostile_file(folder, cli):
    write_data(f"new{HOSTILE}.csv", CLASSES)
    harmless(cli("eval", folder, "--data", f"new{HOSTILE}.csv"), 0)


def test_the_notes_of_predict(folder, cli):
    write_data(f"new{HOSTILE}.csv", CLASSES)
    harmless(cli("predict", folder, f"new{HOSTILE}.csv", "-o", f"out{HOSTILE}.csv"), 0)


def test_resume_of_an_ended_run_says_the_command(folder, cli):
    harmless(cli("resume", folder), 0)


def test_an_interrupt_that_leaves_at_once_says_where(capfd):
    from bpcli.system import quit_on_interrupt, raise_on_interrupt, stop_on_signals

    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        quit_on_interrupt()
        raise_on_interrupt()
        with stop_on_signals(f"stopped; bpcli resume {HOSTILE}"):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    err = capfd.readouterr().err.removesuffix("\n")
    assert err.startswith("error: stopped; bpcli resume ")
    assert err.isprintable()


ERRORS = {
    "no such config": (["train", f"no{HOSTILE}.yaml"], 2),
    "no such run": (["eval", f"no{HOSTILE}"], 4),
    "no such data": (["predict", "RUN", f"no{HOSTILE}.csv"], 3),
    "no such split": (["eval", "RUN", "--split", HOSTILE], 2),
    "no such key": (["validate", "CONFIG", "--set", f"data.{HOSTILE}=1"], 2),
    "no such target": (["validate", "CONFIG", "--set", 'data.target="q\\u202e\\x1b"'], 3),
    "class weights": (["validate", "CONFIG", "--set", "data.class_weights={a: 1, b: 2}"], 3),
    "sample weight": (["validate", "CONFIG", "--set", "data.sample_weight=w"], 3),
    "an output too few": (["validate", "CONFIG", "--set", "network={layers: [1, 3]}"], 2),
    "an input too many": (["validate", "CONFIG", "--set", "network={layers: [4, 2]}"], 2),
    "numbers wanted": (["validate", "CONFIG", "--set", "loss=mse", "--set", "data.task=regression"], 3),
    "an example": (["init", HOSTILE], 2),
    "a command": ([f"tr{HOSTILE}"], 2),
    "an option": (["train", f"--{HOSTILE}"], 2),
    "a kind of parts": (["parts", HOSTILE], 2),
    "a checkpoint": (["eval", "RUN", "--checkpoint", HOSTILE], 2),
    "a run that exists": (["train", "CONFIG", "--out", "RUN"], 2),
    "two words too many": (["train", "CONFIG", HOSTILE], 2),
    "an integer": (["train", "CONFIG", "--threads", HOSTILE], 2),
    "nowhere to write": (["predict", "RUN", "data.csv", "-o", f"no{HOSTILE}/out.csv"], 6),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_of_a_hostile_name(folder, cli, name):
    arguments, code = ERRORS[name]
    names = {"RUN": str(folder), "CONFIG": f"c{HOSTILE}.yaml"}
    harmless(cli(*[names.get(word, word) for word in arguments]), code)


def test_a_class_of_new_data_that_looks_like_a_known_one_is_told_apart(cli, write_config):
    write_data("data.csv", ["café", "tea"], "x")
    write_config(config("y"), "c.yaml")
    assert cli("train", "c.yaml").code == 0
    write_data("new.csv", ["cafe\u0301", "tea"], "x")
    result = cli("eval", "runs/c", "--data", "new.csv")
    assert result.code == 3
    assert 'has the class "cafe\u0301" (U+0065 U+0301)' in result.err
    assert '"café" (U+00E9)' in result.err


def test_classes_that_look_alike_are_told_apart_in_the_tables(ok, write_config):
    write_data("data.csv", ["café", "cafe\u0301"], "x")
    write_config(config("y"), "c.yaml")
    ok("train", "c.yaml")
    assert ok("eval", "runs/c").out.count("café (U+00E9)") == 3
    assert "café (U+00E9)" in ok("validate", "c.yaml").out


def test_predictions_on_a_terminal_are_printable_and_in_a_file_as_they_are(folder, ok):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "bpcli", "predict", folder, "data.csv"]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL) as child:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # the terminal's other side is closed
                break
        child.wait()
    os.close(ours)
    assert b"\x1b" not in shown
    assert "\u202e" not in shown.decode()
    assert b"\\x1b[31m" in shown
    assert f'"p_{CLASSES[0]}"' in ok("predict", folder, "data.csv").out
