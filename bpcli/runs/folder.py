"""The run folder: where a run's files lie, who may write there, and which run is the newest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import IO

from bpcli.errors import DiskError, RunError, RunInUseError, UsageError
from bpcli.runs.files import disk_errors, make_folder, put_aside, sync_folder


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
            RunInUseError: another process holds it. DiskError: the file system does not let itself be locked.
        """
        with disk_errors(f"cannot write in {self.path}"):
            file = (self.path / ".lock").open("a+b")
        with file:
            with disk_errors(f"cannot lock {self.path}"):
                held = _try_lock(file)
            if not held:
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
    except (BlockingIOError, PermissionError):  # the latter on Windows
        return False
    return True


def new_run(parent: Path, name: str) -> RunFolder:
    """Makes parent/name, or parent/name-2, ...: whichever is the first that does not exist; see `make_ready`.

    Raises:
        DiskError: the folder cannot be made.
    """
    if parent.exists() and not parent.is_dir():
        raise DiskError(f"cannot make a run folder in {parent}: this is a file, not a folder; set output.dir")
    with disk_errors(f"cannot make a run folder in {parent}"):
        make_folder(parent)
        for number in count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            sync_folder(parent)
            return RunFolder(folder)
    raise AssertionError("count() never ends")


def run_at(folder: Path) -> RunFolder:
    """Makes that very folder for a new run; it may exist if it holds no run. See `make_ready`.

    Raises:
        UsageError: it holds a run, or is a file. DiskError: it cannot be made.
    """
    with disk_errors(f"cannot make the run folder {folder}"):
        if folder.is_file():
            raise UsageError(f"--out {folder}: this is a file, not a folder")
        run = RunFolder(folder)
        _refuse_a_run(run)
        make_folder(folder)
        return run


def make_ready(run: RunFolder) -> None:
    """Gives a new run its folder of checkpoints, empty. The run's folder has to be locked.

    Another process may have begun a run there before the lock was had, even ended it: so this looks once more.

    Raises:
        UsageError: it holds a run. DiskError: something cannot be made.
    """
    with disk_errors(f"cannot make the run folder {run.path}"):
        _refuse_a_run(run)
        _put_aside(run)
        make_folder(run.checkpoints)


def _refuse_a_run(run: RunFolder) -> None:
    if run.config.exists():
        raise UsageError(
            f"--out {run.path}: holds a run already; choose another folder, or go on with it: bpcli resume {run.path}"
        )


def _put_aside(run: RunFolder) -> None:
    """Renames what an older run, or somebody else, has left under the names that a new run writes to."""
    if run.checkpoints.is_dir() and any(run.checkpoints.iterdir()):
        put_aside(run.checkpoints, "checkpoints-old-{}")
    for file in (run.loss_log, run.summary):
        if file.exists():
            put_aside(file, f"{file.stem}-old-{{}}{file.suffix}")


def find_run(folder: Path) -> RunFolder:
    """The run in a folder.

    Raises:
        RunError: there is none.
    """
    with disk_errors(f"cannot read {folder}"):
        if (folder / "config.yaml").is_file():
            return RunFolder(folder)
        run = folder.absolute().parent
        if folder.absolute().name == "checkpoints" and (run / "config.yaml").is_file():
            raise RunError(
                f"{folder}: these are a run's checkpoints; name the run, {folder.parent}, or one of the files"
            )
        what = "holds no run (no config.yaml)" if folder.is_dir() else "there is no such run folder"
        beside = folder.parent.glob("*/config.yaml") if folder.parent.is_dir() else ()
        near = sorted(str(path.parent) for path in beside)
    hint = f"; runs beside it: {', '.join(near[:5])}" if near else "; train one first: bpcli train CONFIG"
    raise RunError(f"{folder}: {what}{hint}")


def run_of(path: Path) -> RunFolder:
    """The run that a run folder is, or that one of its checkpoint files belongs to.

    Raises:
        RunError: there is none.
    """
    with disk_errors(f"cannot read {path}"):
        is_file = path.is_file()
    if is_file:
        refuse_other_files(path)
    return find_run(folder_of(path) if is_file else path)


def refuse_other_files(path: Path) -> None:
    """Raises a RunError for a file that is no checkpoint by its name, such as a config."""
    if path.suffix != ".npz":
        run = path.parent if path.name == "config.yaml" else f"runs/{path.stem}"
        raise RunError(f"{path}: is no run: name a run folder, such as {run}, or a checkpoint (.npz) in one")


def folder_of(checkpoint: Path) -> Path:
    """The run folder that a checkpoint file lies in, also for a path that starts inside of it, as last.npz."""
    return Path(os.path.normpath(checkpoint / ".." / ".."))


def newest_run(parent: Path) -> RunFolder:
    """The run under `parent` that was started or resumed last.

    Raises:
        RunError: there is none.
    """
    with disk_errors(f"cannot read {parent}"):
        configs = [path for path in parent.glob("*/config.yaml") if path.is_file()]
        if not configs:
            raise RunError(f"{parent}: no runs there yet; train one first: bpcli train CONFIG")
        return RunFolder(max(configs, key=lambda path: (path.stat().st_mtime_ns, path.parent.name)).parent)
