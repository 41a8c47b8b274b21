"""What the tests of the fault rig share: an unbroken run to compare with, and the table of figures."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rig
from small_run import write_config


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def config() -> Path:
    return write_config()


@pytest.fixture
def whole(config: Path) -> rig.Outcome:
    """The outcome of the config's run when nothing happens to it."""
    rig.run_ok("train", config, "--out", "whole")
    return rig.outcome(Path("whole"))


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str, str, str], None]:
    """`figure("1", "SIGKILL at a random moment", "500 of 500 identical")`: a line of the table of figures."""

    def note(row: str, what: str, value: str) -> None:
        record_property("figure", (row, what, value))

    return note


class ShownAtOnce:
    """Shows each figure of the long run as it comes: a run that is cut short has not been for nothing."""

    def __init__(self, reporter: Any) -> None:
        self.reporter = reporter

    def pytest_runtest_logreport(self, report: Any) -> None:
        for name, value in report.user_properties:
            if name == "figure" and report.when == "call":
                self.reporter.write_line(f"\n{report.outcome}: {' | '.join(value)} | {report.duration:.0f} s")


def pytest_sessionstart(session: Any) -> None:
    config = session.config
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and config.option.markexpr == "faults":
        config.pluginmanager.register(ShownAtOnce(reporter))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints the figures of the tests that passed, as a table for tests/README.md."""
    figures: list[tuple[str, str, str, float]] = []
    for report in terminalreporter.getreports("passed"):
        found = [value for name, value in report.user_properties if name == "figure"]
        figures += [(*value, report.duration if value is found[0] else 0.0) for value in found]
    if figures:
        terminalreporter.section(f"figures of {datetime.date.today()}")
        terminalreporter.write_line("| row | fault | figure | seconds |\n| --- | --- | --- | --- |")
        for row, what, value, seconds in sorted(figures, key=lambda line: (float(line[0]), line[1])):
            terminalreporter.write_line(f"| {row} | {what} | {value} | {seconds:.0f} |")
