"""loss.csv: a row for each logged epoch, kept in memory and written by the clock."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from bpcli.engine.trainer import Report
from bpcli.runs.files import disk_errors, write_text

FLUSH_SECONDS = 1.0


class LossLog:
    """Appends rows to loss.csv.

    A resumed run starts from the rows up to its checkpoint: those after it will be made again, and so will the row of
    a former last epoch that `log_every` would not have logged.
    """

    def __init__(self, path: Path, metrics: Sequence[str], *, log_every: int) -> None:
        self.path, self.metrics, self.log_every = path, tuple(metrics), log_every
        self.columns = ("epoch", "iteration", "train_loss", "val_loss", *metrics, "learning_rate", "seconds")
        self.rows: list[Report] = []
        self.flushed = time.monotonic()

    def start(self, *, epoch: int) -> None:
        """Makes the file, with the rows that there already are up to that epoch.

        Raises:
            DiskError: it cannot be written.
        """
        kept = [",".join(self.columns)]
        if epoch:
            with disk_errors(f"cannot read {self.path}"):
                lines = self.path.read_text().splitlines(keepends=True) if self.path.exists() else []
            kept += [line.rstrip("\n") for line in lines[1:] if line.endswith("\n") and self._keeps(line, epoch)]
        write_text(self.path, "\n".join(kept) + "\n")

    def row_after(self, share: float) -> tuple[int, float] | None:
        """(epoch, training loss) of the first row that begins after that share of the file; None if there is none.

        Raises:
            DiskError: the file cannot be read.
        """
        with disk_errors(f"cannot read {self.path}"), self.path.open("rb") as file:
            file.seek(int(share * self.path.stat().st_size))
            file.readline()
            cells = file.readline().split(b",")
        return (int(cells[0]), float(cells[2])) if len(cells) > 2 else None

    def _keeps(self, line: str, epoch: int) -> bool:
        number = line.partition(",")[0]
        return number.isdigit() and int(number) <= epoch and int(number) % self.log_every == 0

    def add(self, report: Report) -> None:
        """Takes the report of a whole epoch; writes by the clock."""
        if report.epoch % self.log_every == 0 or report.stop:
            self.rows.append(report)
            if time.monotonic() - self.flushed > FLUSH_SECONDS:
                self.flush()

    def flush(self, *, sync: bool = False) -> None:
        """Writes the rows held in memory; `sync` has them on the disk before it returns.

        Raises:
            DiskError: they cannot be written.
        """
        with disk_errors(f"cannot write {self.path}"), self.path.open("a", newline="") as file:
            file.write("".join(map(self._line, self.rows)))
            file.flush()
            if sync:
                os.fsync(file.fileno())
        self.rows.clear()
        self.flushed = time.monotonic()

    def _line(self, report: Report) -> str:
        val_loss = "" if report.val_loss is None else repr(report.val_loss)
        metrics = "".join(f"{report.metrics[name]!r}," for name in self.metrics)
        return (
            f"{report.epoch},{report.step},{report.train_loss!r},{val_loss},{metrics}"
            f"{report.learning_rate!r},{report.seconds:.3f}\n"
        )
