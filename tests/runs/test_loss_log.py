"""loss.csv: rows by the clock, whole after a resume."""

from __future__ import annotations

from pathlib import Path

import pytest

from bpcli.engine.training.trainer import Report
from bpcli.errors import DiskError
from bpcli.runs import loss_log
from bpcli.runs.held import HeldFolder
from bpcli.runs.loss_log import LossLog

PATH = Path("loss.csv")
HEADER = "epoch,iteration,train_loss,val_loss,val_accuracy,learning_rate,seconds\n"


def report(epoch, *, val_loss=0.25, stop=None):
    return Report(
        epoch=epoch,
        epochs=100,
        step=2 * epoch,
        position=0,
        iterations=2,
        complete=True,
        train_loss=0.1 + 0.2,
        val_loss=val_loss,
        metrics={"val_accuracy": 1.0},
        learning_rate=0.5,
        seconds=1.23456,
        stop=stop,
    )


@pytest.fixture
def held():
    with HeldFolder.opened(Path()) as folder:
        yield folder


@pytest.fixture
def log(held):
    def make(*, log_every=1, epoch=0):
        log = LossLog(held, PATH, ["val_accuracy"], log_every=log_every)
        log.start(epoch=epoch)
        return log

    return make


def test_starts_with_the_header(log):
    log()
    assert PATH.read_text() == HEADER


def test_numbers_read_back_as_they_were(log):
    rows = log()
    rows.add(report(1))
    rows.flush()
    assert PATH.read_text() == HEADER + "1,2,0.30000000000000004,0.25,1.0,0.5,1.235\n"


def test_rows_wait_for_the_clock(log, monkeypatch):
    rows = log()
    rows.add(report(1))
    assert PATH.read_text() == HEADER
    monkeypatch.setattr(loss_log, "FLUSH_SECONDS", -1.0)
    rows.add(report(2))
    assert PATH.read_text().count("\n") == 3


def test_only_every_nth_row_and_the_last(log):
    rows = log(log_every=3)
    for epoch in range(1, 6):
        rows.add(report(epoch, stop="epochs" if epoch == 5 else None))
    rows.flush()
    assert [line.split(",")[0] for line in PATH.read_text().splitlines()[1:]] == ["3", "5"]


@pytest.mark.parametrize(
    ("rest", "kept"),
    [
        ("", "12"),
        ("4,8,0.1", "123"),
        ("3,6,0.1", "123"),
        ("4,8,0.1,0.2,1.0,0.5,0.1\n", "123"),
        ("\x00\x00\n", "123"),
        ("five,1\n", "123"),
    ],
    ids=["nothing", "half a row", "half a row of an epoch before", "a row too many", "zeros", "junk"],
)
def test_a_resume_keeps_the_rows_up_to_its_checkpoint(log, rest, kept):
    rows = log()
    for epoch in range(1, 4):
        rows.add(report(epoch))
    rows.flush()
    with PATH.open("a") as file:
        file.write(rest)
    log(epoch=len(kept))
    assert "".join(line.split(",")[0] for line in PATH.read_text().splitlines()[1:]) == kept


def test_rows_stay_when_log_every_is_raised(log):
    rows = log()
    for epoch in range(1, 5):
        rows.add(report(epoch))
    rows.flush()
    log(epoch=5, log_every=10)
    assert [line.split(",")[0] for line in PATH.read_text().splitlines()[1:]] == ["1", "2", "3", "4"]


def test_a_resume_without_a_log_starts_one(log):
    log(epoch=3)
    assert PATH.read_text() == HEADER


def test_what_cannot_be_written_is_a_disk_error(log):
    rows = log()
    PATH.unlink()
    PATH.mkdir()
    rows.add(report(1))
    with pytest.raises(DiskError, match=r"cannot write loss\.csv"):
        rows.flush()


def test_a_disk_that_fails_to_say_whether_it_is_there_is_an_error(monkeypatch, held):
    def fail(path, **_):
        raise OSError(5, "Input/output error", str(path))

    monkeypatch.setattr(Path, "stat", fail)
    with pytest.raises(DiskError, match=r"cannot read loss\.csv: Input/output error"):
        LossLog(held, PATH, ["val_accuracy"], log_every=1).start(epoch=3)
