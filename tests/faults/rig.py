"""The rig: bpcli in processes that can be killed, traced and starved, and what has to be left of a run afterwards.

A process is forked from a server that has imported bpcli already, so that it costs tens of milliseconds and not a
second; it runs the command line from its arguments to its exit code.
"""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked import bpcli_main

from bpcli.errors import RunError
from bpcli.runs.checkpoint import load_checkpoint
from bpcli.runs.folder import RunFolder
from bpcli.runs.recorder import last_checkpoint

HERE = Path(__file__).parent
SECONDS = 60.0  # nothing here takes as long

# processes


@dataclass
class Child:
    """bpcli in a process of its own, in the current folder."""

    process: Any
    out_path: Path
    err_path: Path
    gate: Connection

    @property
    def pid(self) -> int:
        return int(self.process.pid)

    def go(self) -> None:
        """Lets a process that was started with `held` begin."""
        self.gate.send(None)

    def wait(self) -> int:
        """The exit code, -N for signal N."""
        self.process.join(SECONDS)
        if self.process.exitcode is None:
            self.kill()
            raise AssertionError(f"still there after {SECONDS} seconds: {self.err}")
        return int(self.process.exitcode)

    def kill(self) -> int:
        self.process.kill()
        self.process.join()
        return int(self.process.exitcode)

    def send(self, number: int) -> None:
        if self.process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    @property
    def out(self) -> str:
        return self.out_path.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self.err_path.read_text(errors="replace")

    def acknowledged(self) -> int:
        """The last epoch that it has told of on stderr: with checkpoint_every 1 and ten epochs each one is saved."""
        told = re.findall(r"^epoch (\d+)/\d+ ", self.err, re.M)
        return int(told[-1]) if told else 0

    def wait_for_epoch(self, number: int = 1) -> None:
        end = time.monotonic() + SECONDS
        while self.acknowledged() < number:
            assert time.monotonic() < end, self.err
            assert self.process.is_alive(), self.err
            time.sleep(0.002)


@cache
def _context() -> Any:
    """The server that forks: it has run bpcli once (warm.py), so that nothing is left to import; and has no threads."""
    paths = [str(HERE), str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    before = dict(os.environ)
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm"])
    forkserver.ensure_running()
    os.environ.clear()
    os.environ.update(before)
    return context


_numbers = iter(range(10**9))


def start(*arguments: object, held: bool = False, cpus: Sequence[int] = (), fixed_names: bool = False) -> Child:
    """Starts `bpcli ARGUMENTS`; `held` only once `go` is called; on those processors where some are given.

    fixed_names: of temporary files.
    """
    number = next(_numbers)
    out, err = Path(f"out-{number}.txt").absolute(), Path(f"err-{number}.txt").absolute()
    out.touch()
    err.touch()
    here, there = _context().Pipe()
    process = _context().Process(
        target=bpcli_main, args=([*map(str, arguments)], out, err, there if held else None, cpus, fixed_names)
    )
    process.start()
    if held:
        assert here.poll(SECONDS), "the process never got ready"
        here.recv()
    return Child(process, out, err, here)


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str
    acknowledged: int


def ended(child: Child) -> Ended:
    return Ended(child.wait(), child.out, child.err, child.acknowledged())


def run(*arguments: object, **options: Any) -> Ended:
    """Starts `bpcli ARGUMENTS` and waits for its end."""
    return ended(start(*arguments, **options))


def run_ok(*arguments: object, **options: Any) -> Ended:
    result = run(*arguments, **options)
    assert result.code == 0, result.err
    return result


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """That many other processes that do nothing but compute."""
    loads = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for load in loads:
            load.kill()
            load.wait()


# what has to be left of a run


@dataclass(frozen=True)
class Outcome:
    """All of a run that must not depend on what happened to it: everything but the clock."""

    log: list[list[str]]
    last: dict[str, bytes]
    state: Mapping[str, Any] = field(repr=False)
    best: Any = field(repr=False)
    summary: Mapping[str, Any] = field(repr=False)


def outcome(folder: Path) -> Outcome:
    with (folder / "loss.csv").open(newline="") as file:
        log = [row[:-1] for row in csv.reader(file)]
    last, state = contents(folder / "checkpoints" / "last.npz")
    state.pop("seconds")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    summary.pop("seconds")
    return Outcome(log, last, state, contents(folder / "checkpoints" / "best.npz"), summary)


def contents(path: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The arrays and the state of a checkpoint; its config has the data's path as seen from the run's folder."""
    checkpoint = load_checkpoint(path)
    with np.load(path) as arrays:
        members = {name: arrays[name].tobytes() for name in arrays.files if name not in ("meta", "sha256")}
    return members, dict(checkpoint.state)


def saved_epoch(folder: Path) -> int:
    """The epoch of the newest whole checkpoint, 0 without one; best.npz, where there is one, has to be whole too.

    Raises:
        RunError: what there is of checkpoints cannot be used.
    """
    best = folder / "checkpoints" / "best.npz"
    if best.exists():
        load_checkpoint(best)
    checkpoint, _ = last_checkpoint(RunFolder(folder))
    return 0 if checkpoint is None else int(checkpoint.state["epoch"])


def go_on(folder: Path, config: Path, *settings: object) -> Ended:
    """`bpcli resume`, or `bpcli train` where not even the config had been written."""
    if (folder / "config.yaml").exists():
        return run("resume", folder, *settings)
    return run("train", config, "--out", folder, *settings)


def faults_of(folder: Path, config: Path, whole: Outcome, stopped: Ended, *settings: object) -> list[str]:
    """What is wrong with a run after its process was stopped by a fault: nothing, if all is well."""
    wrong = []
    if "Traceback" in stopped.err:
        wrong.append(f"a traceback: {stopped.err}")
    try:
        epoch = saved_epoch(folder)
    except RunError as error:
        return [*wrong, f"no checkpoint loads: {error}"]
    if epoch < stopped.acknowledged:
        wrong.append(f"epoch {stopped.acknowledged} was told to be done, the checkpoint is of epoch {epoch}")
    result = go_on(folder, config, *settings)
    if result.code != 0:
        return [*wrong, f"resume ends with {result.code}: {result.err}"]
    if outcome(folder) != whole:
        wrong.append("after the resume it is not the unbroken run")
    wrong += [f"{path} is left" for path in folder.rglob("*.tmp")]
    return wrong


# what this machine lets a test do


def needs_strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed (Debian: apt-get install strace)")
    child = start("--version", held=True)
    try:
        with _strace(child, Path("probe.txt"), []):
            child.go()
            child.wait()
    except PermissionError as error:
        pytest.skip(f"strace may not trace here: {error}")
    finally:
        child.kill()


@contextmanager
def _strace(child: Child, log: Path, options: Sequence[str]) -> Iterator[None]:
    """Traces a held process; follows its threads.

    Raises:
        PermissionError: the system forbids it.
    """
    command = ["strace", "-f", "-y", "-s", "200", "-o", str(log), "-p", str(child.pid), *options]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        if "attached" not in line:
            raise PermissionError(line.strip())
        yield
    finally:
        with suppress(subprocess.TimeoutExpired):
            tracer.wait(SECONDS)
        tracer.kill()
        tracer.communicate()


def traced(*arguments: object, log: Path, options: Sequence[str] = ()) -> Ended:
    """Runs bpcli under strace, which writes its log."""
    child = start(*arguments, held=True, fixed_names=True)
    with _strace(child, log, options):
        child.go()
        return ended(child)


@contextmanager
def small_disk(path: Path, kilobytes: int) -> Iterator[Path]:
    """A file system in memory of that size."""
    path.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(path))
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def mount(*arguments: str) -> None:
    """Mounts, or skips the test that needs it."""
    if shutil.which("mount") is None or os.name == "nt":
        pytest.skip("there is no mount here")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mount needs root: {done.stderr.strip()}")
