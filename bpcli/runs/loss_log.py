"""loss.csv: a row for each logged epoch, kept in memory and written by the clock."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from bpcli.engine.training.trainer import Report
from bpcli.runs.files import disk_errors, put_aside, write_text

FLUSH_SECONDS = 1.0


class LossLog:
    """Appends rows to loss.csv.

    A resumed run starts from the rows up to its checkpoint: those after it will be made again, and the checkpoint's own
    row goes if it is there for a former last epoch alone, and `log_every` would not have logged it.
    """

    def __init__(self, path: Path, metrics: Sequence[str], *, log_every: int) -> None:
        self.path, self.metrics, self.log_every = path, tuple(metrics), log_every
        self.columns = ("epoch", "iteration", "train_loss", "val_loss", *metrics, "learning_rate", "seconds")
        self.rows: list[Report] = []
        self.flushed = time.monotonic()

    def start(self, *, epoch: int) -> str | None:
        """Makes the file, with the rows that there already are up to that epoch.

        Gives a note for the user where rows ought to be there, and there is no file, or one of another form, as a
        spreadsheet program may leave it: that one is put aside.

        Raises:
            DiskError: it cannot be written.
        """
        rows, note = list[str](), None
        if epoch:
            with disk_errors(f"cannot read {self.path}"):
                rows, note = self._former_rows()
        kept = [row.rstrip("\n") for row in rows if row.endswith("\n") and self._keeps(row, epoch)]
        write_text(self.path, "\n".join([",".join(self.columns), *kept]) + "\n")
        return note

    def _former_rows(self) -> tuple[list[str], str | None]:
        """The file's rows; or none, and a note."""
        if not self.path.exists():
            return [], f"{self.path}: is missing; begun anew, without the rows of former epochs"
        rows = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)[1:]
        if rows and not any(_epoch_of(row) for row in rows):
            aside = put_aside(self.path, "loss-old-{}.csv")
            return [], f"{self.path}: none of its rows can be read; put aside as {aside.name}, and begun anew"
        return rows, None

    def row_after(self, share: float) -> tuple[int, float] | None:
        """(epoch, training loss) of the first row that begins after that share of the file; None if it has none.

        Raises:
            DiskError: the file cannot be read.
        """
        with disk_errors(f"cannot read {self.path}"), self.path.open("rb") as file:
            file.seek(int(share * self.path.stat().st_size))
            file.readline()
            cells = file.readline().split(b",")
        try:
            return int(cells[0]), float(cells[2])
        except (IndexError, ValueError):  # the end of the file, or a damaged row
            return None

    def _keeps(self, line: str, epoch: int) -> bool:
        number = _epoch_of(line)
        return 0 < number < epoch or (number == epoch and epoch % self.log_every == 0)

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


def _epoch_of(line: str) -> int:
    """The epoch that a row is of, 0 for a line that is none or damaged."""
    number = line.partition(",")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 20 else 0
