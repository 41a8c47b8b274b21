"""The file of results: one line for each table, method and seed, appended as it is measured."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One training. `error` is None where the method failed, and `note` says how."""

    table: str
    task: str
    method: str
    seed: int
    train_rows: int
    inputs: int
    error: float | None
    seconds: float  # wall clock of the training alone
    cpu_seconds: float
    threads: int
    version: str
    date: str
    note: str = ""

    @property
    def key(self) -> tuple[str, str, int]:
        return self.table, self.method, self.seed


def read(paths: Iterable[Path]) -> list[Result]:
    """The results of all files, in order; a later one replaces an earlier one of the same table, method and seed."""
    found: dict[tuple[str, str, int], Result] = {}
    for path in paths:
        with path.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                result = _result(row)
                if result.error is not None or result.key not in found:
                    found[result.key] = result
    return list(found.values())


def _result(row: dict[str, str]) -> Result:
    return Result(
        table=row["table"],
        task=row["task"],
        method=row["method"],
        seed=int(row["seed"]),
        train_rows=int(row["train_rows"]),
        inputs=int(row["inputs"]),
        error=float(row["error"]) if row["error"] else None,
        seconds=float(row["seconds"]),
        cpu_seconds=float(row["cpu_seconds"]),
        threads=int(row["threads"]),
        version=row["version"],
        date=row["date"],
        note=row["note"],
    )


def append(path: Path, result: Result) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, [field.name for field in fields(Result)], lineterminator="\n")
        if new:
            writer.writeheader()
        row = asdict(result)
        row["error"] = "" if result.error is None else f"{result.error:.6g}"
        row["seconds"], row["cpu_seconds"] = f"{result.seconds:.2f}", f"{result.cpu_seconds:.2f}"
        writer.writerow(row)
