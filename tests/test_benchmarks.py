"""The benchmark works: a few steps of it, without the peers. It judges no speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.cases import PROCESSES, STEPS

BENCHMARKS = Path(__file__).with_name("benchmarks")


def run(*arguments: str) -> tuple[str, dict]:
    """What it prints, and the JSON that it writes."""
    command = [sys.executable, BENCHMARKS, "--quick", "--alone", "--json", "figures.json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads(Path("figures.json").read_text())


def test_every_kind_of_step_is_timed() -> None:
    out, figures = run("xor", "mnist-30", "lenet")
    assert [step["name"] for step in figures["steps"]] == ["xor", "mnist-30", "lenet"]
    for step in figures["steps"]:
        (seconds,) = step["seconds_per_step"]["bpcli"]
        assert 0 < seconds < 10
        assert step["absent"]["torch"] == "left out (--alone)"
        assert step["met"] is None
    assert "xor: 2-4-1 sigmoid, mse, batch 4" in out
    assert "In MNIST's place random data" in out


@pytest.mark.parametrize(
    ("case", "rows"),
    [
        ("xor-epochs", {"xor-epochs"}),
        ("mnist-run", {"mnist-run", "mnist-memory"}),
        ("npy", {"npy"}),
        ("csv", {"csv-time", "csv-memory"}),
    ],
)
def test_whole_processes_are_measured(case: str, rows: set[str]) -> None:
    _, figures = run(case)
    assert {row["name"] for row in figures["processes"]} == rows
    assert not any(row["failed"] for row in figures["processes"])


def test_the_tables_name_date_machine_and_goals() -> None:
    out, figures = run("xor", "help", "--markdown")
    assert figures["machine"]["date"] in out
    assert figures["machine"]["cpu"] in out
    rows = [line for line in out.splitlines() if line.startswith("| ")]
    assert any(row.startswith("| xor: 2-4-1 sigmoid") and "1.0x the best peer, 12x PyTorch" in row for row in rows)
    assert any(row.startswith("| `bpcli --help`") and "at most 1.5x" in row for row in rows)


def test_an_unknown_case_is_refused() -> None:
    done = subprocess.run([sys.executable, BENCHMARKS, "lenett"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    for name in (*PROCESSES, *(case.name for case in STEPS)):
        assert name in done.stderr
