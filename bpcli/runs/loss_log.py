"""loss.csv: a row for each logged epoch, kept in memory and written by the clock."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from bpcli.engine.training.trainer import Report
from bpcli.runs.files import disk_errors, opened
from bpcli.runs.held import HeldFolder

FLUSH_SECONDS = 1.0
LONGEST_ROW = 1 << 16  # bytes; what is longer is none, and nothing after it is read


class LossLog:
    """Appends rows to loss.csv.

    A resumed run starts from the rows up to its checkpoint: those after it will be made again, and the checkpoint's own
    row goes if it is there for a former last epoch alone, and `log_every` would not have logged it.
    """

    def __init__(self, held: HeldFolder, path: Path, metrics: Sequence[str], *, log_every: int) -> None:
        self.held, self.path, self.metrics, self.log_every = held, path, tuple(metrics), log_every
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
        kept, note = list[str](), None
        if epoch:
            with disk_errors(f"cannot read {self.path}"):
                kept, note = self._former_rows(epoch)
        self.held.write_text(self.path, "\n".join([",".join(self.columns), *kept]) + "\n")
        return note

    def _former_rows(self, epoch: int) -> tuple[list[str], str | None]:
        """The file's rows up to that epoch; or none, and a note."""
        try:
            header, *rows = _lines(self.path)
        except FileNotFoundError:
            return [], self._missing_note()
        if not any(map(_epoch_of, rows)) and (rows or not header.startswith("epoch,")):
            aside = self.held.put_aside(self.path, "loss-old-{}.csv")
            return [], f"{self.path}: none of its rows can be read; put aside as {aside.name}, and begun anew"
        note = self._keep_a_copy() if any(row.strip() and not _epoch_of(row) for row in rows) else None
        return [row.rstrip("\n") for row in rows if row.endswith("\n") and self._keeps(row, epoch)], note

    def _keep_a_copy(self) -> str:
        """Copies a file in which somebody wrote, whose lines would be lost; gives a note."""
        aside = self.held.free_path(self.path, "loss-old-{}.csv")
        with opened(self.path) as (file, _):
            self.held.write(aside, lambda copy: shutil.copyfileobj(file, copy), like=self.path)
        return f"{self.path}: has lines that are no rows of it; they are left out, and kept in {aside.name}"

    def _missing_note(self) -> str:
        return f"{self.path}: is missing; begun anew, without the rows of former epochs"

    def row_after(self, share: float) -> tuple[int, float] | None:
        """(epoch, training loss) of the first row that begins after that share of the file; None if it has none.

        Raises:
            DiskError: the file cannot be read.
        """
        with disk_errors(f"cannot read {self.path}"), opened(self.path) as (file, size):
            file.seek(int(share * size))
            file.readline(LONGEST_ROW)
            cells = file.readline(LONGEST_ROW).split(b",")
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
        text = "".join(map(self._line, self.rows))
        if not self.held.has(self.path):
            self.held.notify(self._missing_note())
            self.held.write_text(self.path, ",".join(self.columns) + "\n" + text)
        else:
            self.held.append(self.path, text.encode(), sync=sync)
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


def _lines(path: Path) -> list[str]:
    """The lines, each with its end, the header first; only those up to one that is too long to be a row."""
    with opened(path) as (file, _):
        lines = [file.readline(LONGEST_ROW)]
        while lines[-1].endswith(b"\n"):
            lines.append(file.readline(LONGEST_ROW))
    whole = lines if lines[-1] or len(lines) == 1 else lines[:-1]
    return [line.decode("utf-8", errors="replace") for line in whole]
