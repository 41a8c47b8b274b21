"""Writes down a run as it goes: the loss log and checkpoints by the clock, the summary at the end."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from bpcli.data.preparation import Preparation
from bpcli.engine.network import Network
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import Report
from bpcli.errors import DiskError, RunError
from bpcli.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from bpcli.runs.files import disk_errors
from bpcli.runs.folder import RunFolder
from bpcli.runs.held import HeldFolder
from bpcli.runs.loss_log import LossLog
from bpcli.text import typed

CHECKPOINT_SECONDS = 5.0
_NUMBERED = re.compile(r"last-[1-9][0-9]*\.npz")  # others are copies that somebody made


@dataclass(frozen=True, eq=False)
class RunContents:
    """What of a run does not change while it trains, and is stored with it.

    config: plain values. metrics: the loss log's columns between val_loss and learning_rate. hashes: of the data files.
    checkpoint_every: epochs, or None for by the clock.
    """

    network: Network
    preparation: Preparation
    config: Mapping[str, Any]
    hashes: Mapping[str, str]
    metrics: tuple[str, ...]
    log_every: int
    checkpoint_every: int | None
    keep: int


class Recorder:
    """Takes a run's reports and keeps its folder up to date."""

    def __init__(self, folder: RunFolder, held: HeldFolder, contents: RunContents, state: TrainState) -> None:
        self.folder, self.held, self.contents, self.state = folder, held, contents, state
        self.log = LossLog(held, folder.loss_log, contents.metrics, log_every=contents.log_every)
        self.saved_at = time.monotonic()
        self.saved_best = -1
        self.is_read_back = False

    def begin(self, *, earlier: bool = False) -> str | None:
        """Makes loss.csv ready, with the rows up to the state; gives a note where it is not as it was left.

        earlier: the run had come further than the state. Then the state takes the place of last.npz first, and later
        checkpoints are removed, so that a run killed in between, or with a damaged checkpoint, never goes on from what
        was given up. Nothing is renamed: the state may be that of last-2.npz, and stays there if a write fails.

        Raises:
            DiskError: something could not be written.
        """
        if earlier:
            self._save(self.folder.checkpoints / "last.npz", self.state, None)
            if self.state.best is not None:
                self.save_best()
            self._remove_later()
        return self.log.start(epoch=self.state.epoch)

    def take(self, report: Report) -> None:
        """Notes a report; saves if a checkpoint is due, or training has come to its end.

        Raises:
            DiskError: something could not be written.
        """
        if report.complete:
            self.log.add(report)
        if report.stop or self._is_due(report):
            self.save(report.stop)

    def _is_due(self, report: Report) -> bool:
        every = self.contents.checkpoint_every
        if every is not None:
            return report.complete and report.epoch % every == 0
        return time.monotonic() - self.saved_at > CHECKPOINT_SECONDS

    def save(self, stop: str | None = None) -> None:
        """Writes loss.csv, best.npz if the best has changed, and last.npz, in this order, each safely on the disk.

        Raises:
            DiskError: something could not be written; what was there before still is, if only as last-2.npz. Or all
                is written, but the run's folder has been renamed. RunInUseError: the lock is gone.
        """
        folder = self.folder.checkpoints
        self.held.check_lock()
        self.log.flush(sync=True)
        try:
            self._save_checkpoints(folder, stop)
        except DiskError:
            if self.held.has(folder):
                raise
            self.held.notify(f"{folder}: is missing; made anew, with the state as it is now")
            self.held.make_folder(folder)
            self.saved_best = -1
            self._save_checkpoints(folder, stop)
        self.held.check()
        self.saved_at = time.monotonic()

    def _save_checkpoints(self, folder: Path, stop: str | None) -> None:
        best = self.state.best
        if best is not None and best.epoch != self.saved_best:
            self.save_best()
        self._rotate(folder)
        self._save(folder / "last.npz", self.state, stop)

    def save_best(self) -> None:
        """Writes best.npz; the state has a best.

        Raises:
            DiskError: it could not be written; what was there before still is.
        """
        state = self.state.at_best()
        self._save(self.folder.checkpoints / "best.npz", state, None)
        self.saved_best = state.epoch

    def go_back(self) -> None:
        """The state has gone back to an earlier epoch: saves it, then drops what loss.csv has from later ones.

        In this order a run killed in between finds a checkpoint whose rows are all there.

        Raises:
            DiskError: something could not be written.
        """
        self.saved_best = -1
        self.save()
        self.log.start(epoch=self.state.epoch)

    def _save(self, path: Path, state: TrainState, stop: str | None) -> None:
        """A checkpoint that was renamed to make room hands its permissions on to the new one."""
        renamed = path.name == "last.npz" and not self.held.has(path)
        save_checkpoint(
            path,
            self.contents.network,
            state,
            config=self.contents.config,
            preparation=self.contents.preparation,
            info={"data": dict(self.contents.hashes), "stop": stop},
            write=partial(self.held.write, like=path.with_name("last-2.npz") if renamed else None),
        )
        if not self.is_read_back:
            self._read_back(path)
            self.is_read_back = True

    def _read_back(self, path: Path) -> None:
        """Reads a run's first checkpoint as whoever uses it will: better now than when the run is over.

        Raises:
            RunError: it cannot be read, or its weights are not the network's.
        """
        try:
            with suppress(MemoryError):  # training holds more than a reader will
                load_checkpoint(path).weights(self.contents.network)
        except RunError as error:
            message = (
                "read back after it was saved, it cannot be used, so training stops: the disk is damaged, or bpcli"
            )
            raise RunError(f"{error}\n{path}: {message} is at fault") from error

    def _rotate(self, folder: Path) -> None:
        """last.npz becomes last-2.npz, that one last-3.npz, up to `keep`; a new last.npz comes after."""
        names = ["last.npz"]
        while len(names) < self.contents.keep and self.held.has(folder / names[-1]):
            names.append(f"last-{len(names) + 1}.npz")
        for newer, older in reversed(list(pairwise(names))):
            self.held.rename(folder / newer, folder / older)

    def _remove_later(self) -> None:
        for path in _last_files(self.folder):
            with suppress(RunError):  # one that is damaged leads nobody on
                if load_checkpoint(path).state["step"] > self.state.step:
                    self.held.remove(path)


def last_checkpoint(folder: RunFolder) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and a note for each newer one that is not; None where there is none at all.

    Raises:
        RunError: there are checkpoints, but none is whole.
    """
    notes: list[str] = []
    for path in _last_files(folder):
        try:
            return load_checkpoint(path), notes
        except RunError as error:
            notes.append(str(error))
    if notes:
        best = folder.checkpoints / "best.npz"
        fix = [f"To go on from the best epoch: bpcli resume {typed(best)}"] if best.exists() else []
        raise RunError("no checkpoint of this run can be used:", *notes, *fix)
    return None, notes


def put_damaged_aside(folder: RunFolder, held: HeldFolder) -> list[str]:
    """Renames checkpoints newer than the newest whole one, which the next save would rename over that one.

    Gives a note for each.

    Raises:
        DiskError: one cannot be renamed.
    """
    notes: list[str] = []
    for path in _last_files(folder):
        try:
            load_checkpoint(path)
        except RunError:
            aside = held.put_aside(path, "damaged-{}.npz")
            notes.append(f"{path}: put aside as {aside.name}")
        else:
            break
    return notes


def _last_files(folder: RunFolder) -> list[Path]:
    """last.npz, last-2.npz, ..., those that are there."""
    with disk_errors(f"cannot read {folder.checkpoints}"):
        named = (path for path in folder.checkpoints.glob("last-*.npz") if _NUMBERED.fullmatch(path.name))
        numbered = sorted(named, key=lambda path: (len(path.name), path.name))
        return [path for path in (folder.checkpoints / "last.npz", *numbered) if path.exists()]
