"""What is shown of training while it goes on."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import pytest

from bpcli.engine.training.trainer import Report
from bpcli.views.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def reports(epochs: int, first: int = 1) -> Iterator[Report]:
    for epoch in range(first, epochs + 1):
        stop = "epochs" if epoch == epochs else None
        yield Report(epoch, epochs, 2 * epoch, 0, 2, True, 0.5, None, {}, 0.1, 0.01 * epoch, stop)  # type: ignore[arg-type]


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, *, quiet: bool = False, first: int = 1) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    with progress(quiet=quiet) as show:
        for report in reports(300, first):
            show(report)
    return stream.getvalue()


def test_lines_give_the_first_epoch_each_tenth_part_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, io.StringIO()).splitlines()
    assert [line.split()[1] for line in lines] == [f"{n}/300" for n in (1, *range(30, 301, 30))]


def test_the_bar_takes_its_length_from_the_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = shown(monkeypatch, Terminal())
    assert "1/300 epochs" in drawn
    assert "300/300 epochs  loss 0.5" in drawn.replace(", loss", "  loss")


def test_the_bar_of_a_resumed_run_begins_where_the_run_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = shown(monkeypatch, Terminal(), first=200)
    assert "200/300 epochs" in drawn
    assert " 0/300" not in drawn


def test_a_quiet_command_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, Terminal(), quiet=True) == ""
