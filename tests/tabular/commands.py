"""bpcli, as a user types it: `bpcli init --data`, `bpcli train` with no edit, `bpcli predict`."""

from __future__ import annotations

import csv
import resource
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tabular.peers import Fit
from tabular.tables import Table

if TYPE_CHECKING:
    from pandas import DataFrame

NEW_ROWS = "new.csv"


class CommandError(Exception):
    """A command ended with another exit code than 0; the text has the command and its message."""


def write_files(folder: Path, table: Table, train: DataFrame, test: DataFrame) -> None:
    """The raw table as NAME.csv, and the test rows without their target as new.csv."""
    train.to_csv(folder / f"{table.name}.csv", index=False)
    test.drop(columns=table.target).to_csv(folder / NEW_ROWS, index=False)


def fit_bpcli(bpcli: list[str], folder: Path, table: Table, seed: int, threads: int) -> Fit:
    """Trains on NAME.csv in `folder` and predicts new.csv. The times are those of `bpcli train`, start-up included."""
    _run(bpcli, ["init", "--data", f"{table.name}.csv", "--target", table.target], folder)
    (config,) = folder.glob("*.yaml")
    train = ["train", config.name, "--out", "run", "--quiet", "--set", f"seed={seed}", "--threads", str(threads)]
    began, busy = time.perf_counter(), _children()
    _run(bpcli, train, folder)
    seconds, cpu_seconds = time.perf_counter() - began, _children() - busy
    _run(bpcli, ["predict", "run", NEW_ROWS, "-o", "out.csv"], folder)
    with (folder / "out.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    if table.task == "classification":
        predicted = np.array([row["prediction"] for row in rows], dtype=object)
    else:
        predicted = np.array([row[table.target] for row in rows], dtype=float)
    return Fit(predicted, seconds, cpu_seconds)


def bpcli_version(bpcli: list[str]) -> str:
    return _run(bpcli, ["--version"], Path.cwd()).strip()


def _run(bpcli: list[str], arguments: list[str], folder: Path) -> str:
    done = subprocess.run([*bpcli, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        called = " ".join(["bpcli", *arguments])
        *_, last = ["", *done.stderr.strip().splitlines()]  # of a traceback, what it ended with
        raise CommandError(f"`{called}` ended with exit code {done.returncode}: {last}")
    return done.stdout


def _children() -> float:
    """CPU seconds of the processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
