"""The run folder: where a run's files lie, who may write there, and which run is the newest."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

from bpcli.errors import DiskError, RunError, RunInUseError, UsageError
from bpcli.runs.files import disk_errors


@dataclass(frozen=True)
class RunFolder:
    """A run's folder and the names of what lies in it."""

    path: Path

    @property
    def config(self) -> Path:
        """The config as it was used."""
        return self.path / "config.yaml"

    @property
    def loss_log(self) -> Path:
        """A row for each epoch."""
        return self.path / "loss.csv"

    @property
    def summary(self) -> Path:
        """How the run ended."""
        return self.path / "summary.json"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder for this process alone; the operating system lets go of it when the process ends.

        Raises:
            RunInUseError: another process holds it.
        """
        with disk_errors(f"cannot write in {self.path}"):
            file = (self.path / ".lock").open("a+b")
        with file:
            if not _try_lock(file):
                raise RunInUseError(f"{self.path}: another process is training in this run folder")
            yield


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def new_run(parent: Path, name: str) -> RunFolder:
    """Makes parent/name, or parent/name-2, ...: whichever is the first that does not exist.

    Raises:
        DiskError: the folder cannot be made.
    """
    if parent.exists() and not parent.is_dir():
        raise DiskError(f"cannot make a run folder in {parent}: this is a file, not a folder; set output.dir")
    with disk_errors(f"cannot make a run folder in {parent}"):
        parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return _with_checkpoints(folder)
    raise AssertionError("count() never ends")


def run_at(folder: Path) -> RunFolder:
    """A new run in that very folder, which may exist if it holds no run.

    Raises:
        UsageError: it holds a run, or is a file. DiskError: it cannot be made.
    """
    if folder.is_file():
        raise UsageError(f"--out {folder}: this is a file, not a folder")
    if (folder / "config.yaml").exists():
        raise UsageError(
            f"--out {folder}: holds a run already; choose another folder, or go on with it: bpcli resume {folder}"
        )
    with disk_errors(f"cannot make the run folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        _put_aside(folder / "checkpoints")
        return _with_checkpoints(folder)


def _put_aside(checkpoints: Path) -> None:
    """Renames a folder of checkpoints that an older run has left, so that none is taken for the new run's."""
    if checkpoints.is_dir() and any(checkpoints.iterdir()):
        for number in count(1):
            aside = checkpoints.with_name(f"checkpoints-old-{number}")
            if not aside.exists():
                checkpoints.rename(aside)
                return


def _with_checkpoints(folder: Path) -> RunFolder:
    run = RunFolder(folder)
    run.checkpoints.mkdir(exist_ok=True)
    return run


def find_run(folder: Path) -> RunFolder:
    """The run in a folder.

    Raises:
        RunError: there is none.
    """
    if not (folder / "config.yaml").is_file():
        what = "holds no run (no config.yaml)" if folder.is_dir() else "there is no such run folder"
        near = (
            sorted(str(path.parent) for path in folder.parent.glob("*/config.yaml")) if folder.parent.is_dir() else []
        )
        hint = f"; runs beside it: {', '.join(near[:5])}" if near else "; train one first: bpcli train CONFIG"
        raise RunError(f"{folder}: {what}{hint}")
    return RunFolder(folder)


def run_of(path: Path) -> RunFolder:
    """The run that a run folder is, or that one of its checkpoint files belongs to.

    Raises:
        RunError: there is none.
    """
    if path.is_file() and path.suffix != ".npz":
        raise RunError(f"{path}: is no run: name a run folder, such as runs/{path.stem}, or a checkpoint (.npz) in one")
    return find_run(path.parent.parent if path.is_file() else path)


def newest_run(parent: Path) -> RunFolder:
    """The run under `parent` that was started or resumed last.

    Raises:
        RunError: there is none.
    """
    configs = [path for path in parent.glob("*/config.yaml") if path.is_file()]
    if not configs:
        raise RunError(f"{parent}: no runs there yet; train one first: bpcli train CONFIG")
    return RunFolder(max(configs, key=lambda path: (path.stat().st_mtime_ns, path.parent.name)).parent)
