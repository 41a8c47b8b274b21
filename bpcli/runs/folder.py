"""The run folder: where a run's files lie, who may write there, and which run is the newest."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bpcli.errors import DiskError, RunError, UsageError
from bpcli.runs import lock
from bpcli.runs.files import disk_errors
from bpcli.runs.held import HeldFolder, Notify, make_folder, sync_folder
from bpcli.text import typed

CLOCKS_DIFFER = 60.0  # seconds, between this machine and a file server


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

    @property
    def is_there(self) -> bool:
        """Whether the folder holds a run: a config alone may be anybody's, beside these only bpcli writes one."""
        return self.config.is_file() and (self.checkpoints.is_dir() or (self.path / lock.NAME).is_file())

    def files(self) -> list[Path]:
        """Where bpcli keeps something of the run; of checkpoints and what was put aside, those that are there."""
        checkpoints = self.checkpoints.glob("*.npz") if self.checkpoints.is_dir() else ()
        aside = self.path.glob("*-old-*")
        return [self.config, self.loss_log, self.summary, self.path / lock.NAME, *checkpoints, *aside]

    @contextmanager
    def locked(self, notify: Notify = lambda text: None) -> Iterator[HeldFolder]:
        """Holds the folder for this process alone, by its descriptor: what is written goes through that.

        notify: called with a warning where the file system lacks a guarantee.

        Raises:
            RunInUseError: another process holds it. DiskError: nothing can be written in it.
        """
        with HeldFolder.opened(self.path, notify) as held, lock.hold_lock(held):
            if held.is_locked:  # else they may be of a process that is at work
                held.clear_leftovers(self.path)
                if self.checkpoints.is_dir() and not self.checkpoints.is_symlink():
                    held.clear_leftovers(self.checkpoints)
            yield held


def new_run(parent: Path, name: str) -> RunFolder:
    """Makes parent/name, or parent/name-2, ...: whichever is the first that does not exist; see `make_ready`.

    Raises:
        DiskError: the folder cannot be made.
    """
    if parent.exists() and not parent.is_dir():
        raise DiskError(f"cannot make a run folder in {parent}: this is a file, not a folder; set output.dir")
    if leads_nowhere(parent):
        raise DiskError(f"cannot make a run folder in {parent}: this is a link that leads nowhere; set output.dir")
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


def leads_nowhere(path: Path) -> bool:
    """Whether it is a symbolic link to what is not there."""
    return path.is_symlink() and not path.exists()


def run_at(folder: Path) -> RunFolder:
    """Makes that very folder for a new run; it may exist if it holds no run. See `make_ready`.

    Raises:
        UsageError: it holds a run, or is a file. DiskError: it cannot be made.
    """
    with disk_errors(f"cannot make the run folder {folder}"):
        if folder.is_file():
            raise UsageError(f"--out {folder}: this is a file, not a folder")
        if leads_nowhere(folder):
            raise UsageError(f"--out {folder}: this is a link that leads nowhere; make the folder that it names first")
        run, above = RunFolder(folder), RunFolder(folder.absolute().parent)
        if folder.absolute().name == above.checkpoints.name and above.is_there:
            raise UsageError(f"--out {folder}: holds the checkpoints of a run; choose another folder")
        _refuse_a_run(run)
        make_folder(folder)
        return run


def make_ready(run: RunFolder, held: HeldFolder) -> None:
    """Gives a new run its folder of checkpoints, empty.

    Another process may have begun a run there before the lock was had, even ended it: so this looks once more.

    Raises:
        UsageError: it holds a run. DiskError: something cannot be made.
    """
    with disk_errors(f"cannot make the run folder {run.path}"):
        _refuse_a_run(run)
        _put_aside(run, held)
        held.make_folder(run.checkpoints)


def _refuse_a_run(run: RunFolder) -> None:
    if run.is_there:
        raise UsageError(
            f"--out {run.path}: holds a run already; choose another folder, or go on with it: "
            f"bpcli resume {typed(run.path)}"
        )
    if os.path.lexists(run.config):
        raise UsageError(f"--out {run.path}: holds a config.yaml, which is not overwritten; choose another folder")


def _put_aside(run: RunFolder, held: HeldFolder) -> None:
    """Renames what an older run, or somebody else, has left under the names that a new run writes to."""
    if not run.checkpoints.is_symlink() and run.checkpoints.is_dir() and list(run.checkpoints.iterdir()):
        _put_one_aside(run.checkpoints, held)
    for file in (run.loss_log, run.summary):
        if held.has(file):
            _put_one_aside(file, held)


def _put_one_aside(path: Path, held: HeldFolder) -> None:
    aside = held.put_aside(path, f"{path.stem}-old-{{}}{path.suffix}")
    held.notify(f"{path}: was there already; put aside as {aside.name}")


def find_run(folder: Path) -> RunFolder:
    """The run in a folder.

    Raises:
        RunError: there is none.
    """
    with disk_errors(f"cannot read {folder}"):
        run, above = RunFolder(folder), RunFolder(folder.absolute().parent)
        if run.is_there:
            return run
        if folder.absolute().name == above.checkpoints.name and above.is_there:
            raise RunError(
                f"{folder}: these are a run's checkpoints; name the run, {folder.parent}, or one of the files"
            )
        if run.config.is_file():
            raise RunError(
                f"{folder}: holds a config.yaml but no run of it (no folder checkpoints). To train it: "
                f"bpcli train {typed(run.config)}"
            )
        _refuse_missing_checkpoint(folder)
        what = "holds no run (no config.yaml)" if folder.is_dir() else "there is no such run folder"
        near = sorted(str(run.path) for run in _runs_in(folder.parent))
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


def _refuse_missing_checkpoint(path: Path) -> None:
    """Raises a RunError for a checkpoint that a run does not have."""
    run = RunFolder(folder_of(path))
    if path.suffix == ".npz" and path.absolute().parent.name == run.checkpoints.name and run.is_there:
        there = ", ".join(sorted(file.name for file in run.checkpoints.glob("*.npz")))
        what = f"it has {there}" if there else f"it has none yet; to start it anew: bpcli resume {typed(run.path)}"
        raise RunError(f"{path}: the run {run.path} has no such checkpoint; {what}")


def refuse_other_files(path: Path) -> None:
    """Raises a RunError for a file that is no checkpoint by its name, such as a config."""
    if path.suffix != ".npz":
        run = path.parent if (path.parent / "config.yaml").is_file() else f"runs/{path.stem}"
        raise RunError(f"{path}: is no run: name a run folder, such as {run}, or a checkpoint (.npz) in one")


def run_that_keeps(path: Path) -> RunFolder | None:
    """The run that has, or would have, something of its own at `path`, also by way of links; None without one."""
    place = Path(os.path.realpath(path))
    above, run = RunFolder(place.parent.parent), RunFolder(place.parent)
    if place.parent.name == above.checkpoints.name and place.suffix == ".npz" and above.is_there:
        return above
    return run if place in run.files() and run.is_there else None


def folder_of(checkpoint: Path) -> Path:
    """The run folder that a checkpoint file lies in, also for a path that starts inside of it, as last.npz."""
    return Path(os.path.normpath(checkpoint / ".." / ".."))


def newest_run(parent: Path) -> RunFolder:
    """The run under `parent` that was started or resumed last.

    Raises:
        RunError: there is none.
    """
    with disk_errors(f"cannot read {parent}"):
        runs = _runs_in(parent)
        if not runs:
            raise RunError(f"{parent}: no runs there yet; train one first: bpcli train CONFIG")
        return max(runs, key=lambda run: (run.config.stat().st_mtime_ns, run.path.name))


def future_note(run: RunFolder) -> str | None:
    """A note where the time that makes a run the newest lies in the future, as after a clock was set back."""
    with disk_errors(f"cannot read {run.path}"):
        written = run.config.stat().st_mtime
    if written <= time.time() + CLOCKS_DIFFER:
        return None
    try:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(written))
    except (OverflowError, ValueError, OSError):
        when = "beyond any calendar"
    return (
        f"warning: {run.path}: taken for the newest run, but its time lies in the future ({when}); "
        "name the run that you mean"
    )


def _runs_in(parent: Path) -> list[RunFolder]:
    return [run for path in parent.glob("*/config.yaml") if (run := RunFolder(path.parent)).is_there]
