"""Training on the terminal: on stderr a bar, or plain lines elsewhere, and at the end the table of results."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bpcli.engine.training.trainer import Report
from bpcli.text import printable, typed
from bpcli.views.tables import duration, number, plural, table
from bpcli.workflows.train import Run

if TYPE_CHECKING:
    from tqdm import tqdm

BAR_SECONDS = 0.1
LINE_SECONDS = 10.0
LINES = 10


@contextmanager
def progress(*, quiet: bool) -> Iterator[Callable[[Report], None]]:
    """Yields the function that shows a report."""
    if quiet:
        yield lambda report: None
    elif sys.stderr.isatty():
        bar = _Bar()
        try:
            yield _while_read(bar)
        finally:
            bar.close()
    else:
        yield _while_read(_Lines())


def _while_read(on_report: Callable[[Report], None]) -> Callable[[Report], None]:
    """Shows reports until writing fails, as behind `| head`; training then continues without progress."""
    readers = [on_report]

    def shown(report: Report) -> None:
        for reader in readers:
            try:
                reader(report)
            except OSError:
                readers.clear()

    return shown


def losses(report: Report) -> str:
    """`loss 0.123  val_loss 0.2  val_accuracy 0.9`."""
    parts = [f"loss {number(report.train_loss)}"]
    if report.val_loss is not None:
        parts.append(f"val_loss {number(report.val_loss)}")
    parts += [f"{name} {number(value)}" for name, value in report.metrics.items()]
    return "  ".join(parts)


class _Bar:
    """Epoch, losses, epochs per second, time left. Updated by the clock: an epoch can be shorter than a print."""

    def __init__(self) -> None:
        from tqdm import tqdm

        self.make = tqdm  # imported here, as the first report comes while training's time is taken
        self.bar: tqdm[Any] | None = None
        self.shown = 0.0

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now - self.shown < BAR_SECONDS and not report.stop:
            return
        self.shown = now
        done = report.epoch + (report.position / report.iterations if not report.complete else 0)
        if self.bar is None:
            self.bar = self._started(report.epochs, done)
        self.bar.set_postfix_str(losses(report), refresh=False)
        self.bar.n = done
        self.bar.refresh()

    def _started(self, epochs: int, done: float) -> tqdm[Any]:
        """Its rate counts from here: what is done already was done in a time that it does not know."""
        return self.make(
            total=epochs,
            initial=done,
            unit="epoch",
            file=sys.stderr,
            ncols=max(20, shutil.get_terminal_size().columns - 1),
            nrows=20,
            leave=False,
            mininterval=0,
            miniters=1,
            bar_format="{percentage:3.0f}%|{bar}| {n:.4g}/{total} epochs{postfix}  [{rate_fmt}, {remaining} left]",
        )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


class _Lines:
    """Lines for the first epoch, about ten more and the last; at least one every ten seconds."""

    def __init__(self) -> None:
        self.shown = time.monotonic()
        self.first = True

    def __call__(self, report: Report) -> None:
        if not report.complete:
            return
        every = max(1, -(-report.epochs // LINES))
        milestone = self.first or report.epoch % every == 0 or report.stop
        if milestone or time.monotonic() - self.shown >= LINE_SECONDS:
            print(
                f"epoch {report.epoch}/{report.epochs}  {losses(report)}  {duration(report.seconds)}",
                file=sys.stderr,
                flush=True,
            )
            self.shown = time.monotonic()
            self.first = False


REASONS = {
    "epochs": "all epochs done",
    "goal": "the training loss reached training.goal",
    "early_stopping": "no improvement for training.early_stopping.patience epochs",
    "min_change": "no weight changed by training.min_change or more",
    "no_descent": "the optimizer found no lower loss",
    "max_seconds": "training.max_seconds had passed",
}


def run_table(run: Run) -> str:
    """The text that `bpcli train` prints at the end."""
    names = list(next(iter(run.last.values())))
    rows = [["weights", "split", *names]]
    for which, scores in (("last", run.last), (f"best (epoch {run.best_epoch})", run.best)):
        for split, values in scores.items():
            rows.append([which, split, *(number(values[name]) for name in names)])
    folder = printable(str(run.folder))
    return "\n".join(
        [
            table(rows, left=2),
            *(
                [f"penalty  {number(run.penalty)} by weight_decay and l1, not part of the losses"]
                if run.penalty
                else []
            ),
            *([f"rate     halved {plural(run.halvings, 'time')} after training diverged"] if run.halvings else []),
            "",
            f"stopped  {REASONS[run.stop]}: {plural(run.epochs, 'epoch')}, {plural(run.iterations, 'iteration')}, "
            f"{duration(run.seconds)}",
            f"files    {folder}/: config.yaml, loss.csv, summary.json, checkpoints/",
            f"next     bpcli eval {typed(folder)}    bpcli predict {typed(folder)} FILE",
        ]
    )
