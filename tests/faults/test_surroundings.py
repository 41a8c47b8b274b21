"""Pipes that close, full devices, no terminal, no home, other locales, folders of any name, nothing to write to."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rig
from small_run import write_config

COMMANDS = {
    "train": ["train", "config.yaml", "--out", "run", "--set", "training.epochs=2"],
    "resume": ["resume", "done", "--set", "training.epochs=3"],
    "eval": ["eval", "done"],
    "eval --json": ["eval", "done", "--json"],
    "predict": ["predict", "done", "flowers.csv"],
    "validate": ["validate", "config.yaml"],
    "summary": ["summary", "done"],
    "step": ["step", "config.yaml"],
    "parts": ["parts"],
    "init": ["init", "xor"],
    "init --list": ["init", "--list"],
    "epochs-calc": ["epochs-calc", "--n", "10", "--batch", "3"],
    "--help": ["--help"],
    "--version": ["--version"],
    "wrong usage": ["trian"],
    "wrong config": ["train", "flowers.csv"],
    "no run": ["eval", "nowhere"],
}
GOOD_ENDS = {"wrong usage": 2, "wrong config": 2, "no run": 4}


def _preexec(change: Callable[[], Any]) -> dict[str, Any]:
    return {"preexec_fn": change}


@contextlib.contextmanager
def closed_pipe(which: str) -> Iterator[dict[str, Any]]:
    """As behind `| head -0`."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        yield {which: pipe}


@contextlib.contextmanager
def full_device(which: str) -> Iterator[dict[str, Any]]:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with Path("/dev/full").open("wb") as full:
        yield {which: full}


@contextlib.contextmanager
def closed(number: int) -> Iterator[dict[str, Any]]:
    """As after `>&-`."""
    yield {"preexec_fn": lambda: os.close(number)}


@contextlib.contextmanager
def environment(**changes: str | None) -> Iterator[dict[str, Any]]:
    merged = {**os.environ, **changes}
    yield {"env": {name: value for name, value in merged.items() if value is not None}}


@contextlib.contextmanager
def bare_environment() -> Iterator[dict[str, Any]]:
    kept = ("PYTHONPATH", "LD_LIBRARY_PATH")
    yield {"env": {name: os.environ[name] for name in kept if name in os.environ}}


# name -> what it is, and the exit codes that it may lead to where all would be well otherwise
SURROUNDINGS: dict[str, tuple[Callable[[], Any], set[int]]] = {
    "stdout closed by its reader": (lambda: closed_pipe("stdout"), {0}),
    "stderr closed by its reader": (lambda: closed_pipe("stderr"), {0}),
    "stdout on a full device": (lambda: full_device("stdout"), {0, 6}),
    "stderr on a full device": (lambda: full_device("stderr"), {0}),
    "no stdout": (lambda: closed(1), {0, 6}),
    "no stderr": (lambda: closed(2), {0}),
    "no stdin": (lambda: closed(0), {0}),
    "ASCII only": (lambda: environment(LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0"), {0}),
    "Latin-1": (lambda: environment(PYTHONIOENCODING="latin-1"), {0}),
    "code page 1252": (lambda: environment(PYTHONIOENCODING="cp1252"), {0}),
    "no HOME": (lambda: environment(HOME=None, XDG_CACHE_HOME=None, XDG_CONFIG_HOME=None), {0}),
    "no environment": (bare_environment, {0}),
    "dumb terminal, no colour": (lambda: environment(TERM="dumb", NO_COLOR="1", COLUMNS="0"), {0}),
    "no temporary folder": (lambda: environment(TMPDIR="/nowhere"), {0}),
}
FEW = {
    ("stdout closed by its reader", "train"),
    ("stdout closed by its reader", "--help"),
    ("stderr closed by its reader", "wrong usage"),
    ("stdout on a full device", "--help"),
    ("stdout on a full device", "train"),
    ("no stdout", "eval"),
    ("no stderr", "train"),
    ("no environment", "train"),
}
ALL = [(where, name) for where in SURROUNDINGS for name in COMMANDS]


@pytest.fixture
def scene(tmp_path: Path) -> None:
    """A config, a finished run and a data file, in the current folder; names that ASCII does not have in the data."""
    lines = (Path(__file__).parents[2] / "datasets" / "iris.csv").read_text().replace("setosa", "Bärenklau λ")
    Path("flowers.csv").write_text(lines, encoding="utf-8")
    write_config(data__train="flowers.csv")
    rig.run_ok("train", "config.yaml", "--out", "done", "--set", "training.epochs=2")


def bpcli(arguments: list[str], **options: Any) -> tuple[int, str]:
    """The exit code, and what came on stdout and stderr where these are not somebody else's."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    command = [sys.executable, "-m", "bpcli", *arguments]
    done = subprocess.run(command, check=False, timeout=rig.SECONDS, **options)
    return done.returncode, ((done.stdout or b"") + (done.stderr or b"")).decode(errors="replace")


@pytest.mark.parametrize(
    "cases", [pytest.param(sorted(FEW), id="some"), pytest.param(ALL, id="all", marks=pytest.mark.faults)]
)
def test_no_traceback_wherever_it_writes_to(cases: list[tuple[str, str]], scene: None, figure) -> None:
    wrong = []
    for where, name in cases:
        context, codes = SURROUNDINGS[where]
        for folder in ("run", "configs", "datasets"):
            subprocess.run(["rm", "-rf", folder], check=True)
        with context() as options:
            code, said = bpcli(COMMANDS[name], **options)
        expected = {GOOD_ENDS[name]} if name in GOOD_ENDS else codes
        if code not in expected or "Traceback" in said or "Exception ignored" in said or "\r" in said:
            wrong.append(f"{name}, {where}: exit code {code}: {said[-400:]}")
        if name == "train" and code == 0 and not Path("run/summary.json").exists():
            wrong.append(f"{name}, {where}: success without a summary")
    what = f"{len(SURROUNDINGS)} surroundings"
    figure("24", what, f"{len(cases) - len(wrong)} / {len(cases)} commands clean")
    assert wrong == []


@pytest.mark.parametrize("name", ["with blanks", "käse λ 日本", "-dash", "quote'\"", "a\nline", "%s{}", "x" * 200])
def test_a_folder_of_any_name(name: str, figure) -> None:
    home = Path(f"./{name}")
    home.mkdir()
    os.chdir(home)
    write_config()
    rig.run_ok("train", "config.yaml", "--out", "./a run")
    rig.run_ok("resume", "./a run", "--set", "training.epochs=9")
    assert rig.run_ok("eval", "./a run").out
    figure("24", f"a folder named {ascii(name)[:20]}", "trains, goes on, evaluates")


@pytest.mark.parametrize("where", ["runs", "run", "checkpoints"])
def test_nothing_can_be_written(where: str, figure) -> None:
    """A read-only file system, for root too: told before the first epoch; reading still works."""
    config = write_config()
    with rig.small_disk(Path("disk").absolute(), 2000) as disk:
        rig.run_ok("train", config, "--out", disk / "run", "--set", "training.epochs=2")
        rig.mount("-o", "remount,ro", str(disk))
        arguments = {
            "runs": ["train", config, "--set", f"output.dir={disk / 'runs'}"],
            "run": ["train", config, "--out", disk / "new"],
            "checkpoints": ["resume", disk / "run", "--set", "training.epochs=3"],
        }[where]
        result = rig.run(*arguments)
        assert result.code == 6, result.err
        assert "Read-only file system" in result.err
        assert "epoch 1/" not in result.err
        assert rig.run_ok("eval", disk / "run").out
    figure("24", f"read-only {where}", "exit 6 before the first epoch; eval works")
