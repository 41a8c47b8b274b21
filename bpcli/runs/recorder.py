"""Writes down a run as it goes: the loss log and checkpoints by the clock, the summary at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bpcli.data.preparation import Preparation
from bpcli.engine.network import Network
from bpcli.engine.state import TrainState
from bpcli.engine.trainer import Report
from bpcli.errors import RunError
from bpcli.runs.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from bpcli.runs.files import disk_errors
from bpcli.runs.folder import RunFolder
from bpcli.runs.loss_log import LossLog

CHECKPOINT_SECONDS = 5.0


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

    def __init__(self, folder: RunFolder, contents: RunContents, state: TrainState) -> None:
        self.folder, self.contents, self.state = folder, contents, state
        self.log = LossLog(folder.loss_log, contents.metrics, log_every=contents.log_every)
        self.log.start(epoch=state.epoch)
        self.saved_at = time.monotonic()
        self.saved_best = -1

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
            DiskError: something could not be written; what was there before still is.
        """
        self.log.flush(sync=True)
        best, folder = self.state.best, self.folder.checkpoints
        if best is not None and best.epoch != self.saved_best:
            self._save(folder / "best.npz", self.state.at_best(), None)
            self.saved_best = best.epoch
        self._rotate(folder)
        self._save(folder / "last.npz", self.state, stop)
        self.saved_at = time.monotonic()

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
        save_checkpoint(
            path,
            self.contents.network,
            state,
            config=self.contents.config,
            preparation=self.contents.preparation,
            info={"data": dict(self.contents.hashes), "stop": stop},
        )

    def _rotate(self, folder: Path) -> None:
        """last.npz becomes last-2.npz, that one last-3.npz, up to `keep`; a new last.npz comes after."""
        with disk_errors(f"cannot rename a checkpoint in {folder}"):
            kept = min(self.contents.keep, 1 + len(list(folder.glob("last*.npz"))))
            names = ["last.npz", *(f"last-{number}.npz" for number in range(2, kept + 1))]
            for older, newer in reversed(list(zip(names[1:], names, strict=False))):
                if (folder / newer).exists():
                    (folder / newer).replace(folder / older)


def last_checkpoint(folder: RunFolder) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and a note for each newer one that is not; None where there is none at all.

    Raises:
        RunError: there are checkpoints, but none is whole.
    """
    with disk_errors(f"cannot read {folder.checkpoints}"):
        numbered = sorted(folder.checkpoints.glob("last-*.npz"), key=lambda path: (len(path.name), path.name))
        found = [path for path in (folder.checkpoints / "last.npz", *numbered) if path.exists()]
    notes: list[str] = []
    for path in found:
        try:
            return load_checkpoint(path), notes
        except RunError as error:
            notes.append(str(error))
    if notes:
        raise RunError("no checkpoint of this run can be used:\n" + "\n".join(notes))
    return None, notes
