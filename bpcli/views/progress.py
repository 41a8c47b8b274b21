"""The progress of training on stderr: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bpcli.engine.training.trainer import Report
from bpcli.views.tables import duration, number

BAR_SECONDS = 0.1
LINE_SECONDS = 10.0
LINES = 10


@contextmanager
def progress(epochs: int, *, quiet: bool) -> Iterator[Callable[[Report], None]]:
    """Yields the function that shows a report."""
    if quiet:
        yield lambda report: None
    elif sys.stderr.isatty():
        bar = _Bar(epochs)
        try:
            yield _while_read(bar)
        finally:
            bar.close()
    else:
        yield _while_read(_Lines(epochs))


def _while_read(show: Callable[[Report], None]) -> Callable[[Report], None]:
    """Shows reports until writing fails, as behind `| head`; training then continues without progress."""
    readers = [show]

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

    def __init__(self, epochs: int) -> None:
        from tqdm import tqdm

        self.bar = tqdm(
            total=epochs,
            unit="epoch",
            file=sys.stderr,
            ncols=max(20, shutil.get_terminal_size().columns - 1),
            nrows=20,
            leave=False,
            mininterval=0,
            miniters=1,
            bar_format="{percentage:3.0f}%|{bar}| {n:.4g}/{total} epochs{postfix}  [{rate_fmt}, {remaining} left]",
        )
        self.started = False
        self.shown = 0.0

    def __call__(self, report: Report) -> None:
        now = time.monotonic()
        if now - self.shown < BAR_SECONDS and not report.stop:
            return
        self.shown = now
        done = report.epoch + (report.position / report.iterations if not report.complete else 0)
        if not self.started:
            self.started = True
            self.bar.initial = report.epoch - 1 if report.complete else report.epoch
        self.bar.set_postfix_str(losses(report), refresh=False)
        self.bar.n = done
        self.bar.refresh()

    def close(self) -> None:
        self.bar.close()


class _Lines:
    """Lines for the first epoch, about ten more and the last; at least one every ten seconds."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.every = max(1, -(-epochs // LINES))
        self.shown = time.monotonic()
        self.first = True

    def __call__(self, report: Report) -> None:
        if not report.complete:
            return
        milestone = self.first or report.epoch % self.every == 0 or report.stop
        if milestone or time.monotonic() - self.shown >= LINE_SECONDS:
            print(
                f"epoch {report.epoch}/{self.epochs}  {losses(report)}  {duration(report.seconds)}",
                file=sys.stderr,
                flush=True,
            )
            self.shown = time.monotonic()
            self.first = False
