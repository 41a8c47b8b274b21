"""The command line of the benchmark: which tables, which methods, how many seeds, and the report."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tabular.commands import bpcli_version, fit_bpcli, write_files
from tabular.peers import MODELS, Fit, fit_peer, peer_version
from tabular.report import report
from tabular.results import Result, append, read
from tabular.splits import misclassified, nrmse, split
from tabular.tables import GROUPS, HELD_OUT, TABLES, Table, load

if TYPE_CHECKING:
    from pandas import DataFrame

METHODS = ("bpcli", *MODELS)
KNOWN = {table.name: table for table in (*TABLES, *HELD_OUT)}


def main(arguments: list[str] | None = None) -> None:
    """Measures what is not yet in the file of results, or prints the report of such files."""
    given = _parser().parse_args(arguments)
    if given.report:
        print(report(read(given.report)))
        return
    done = {result.key for result in read([given.out] if given.out.exists() else []) if result.error is not None}
    failed = False
    for table in given.tables:
        for seed in range(given.seeds):
            for method in given.methods:
                if (table.name, method, seed) in done:
                    continue
                result = measured(table, method, seed, given.threads, shlex.split(given.bpcli))
                append(given.out, result)
                failed = failed or result.error is None
                print(_line(result), flush=True)
    sys.exit(failed)


def measured(table: Table, method: str, seed: int, threads: int, bpcli: list[str]) -> Result:
    """One training and its error on the test rows; a method that fails gives a result that says why."""
    frame = load(table)
    classes = table.task == "classification"
    train_rows, test_rows = split(frame[table.target].to_list(), seed, stratified=classes)
    train, test = frame.iloc[train_rows], frame.iloc[test_rows]
    version = bpcli_version(bpcli) if method == "bpcli" else peer_version(method)
    began = time.perf_counter()
    error, note = None, ""
    try:
        fit = _fit(table, method, train, test, seed, threads, bpcli)
        error = (misclassified if classes else nrmse)(fit.predicted, test[table.target].to_list())
    except Exception as problem:  # a table that one method cannot take must not end the others' night
        note = f"{type(problem).__name__}: {problem}"
        fit = Fit(test_rows[:0], time.perf_counter() - began, 0.0)
    return Result(
        table=table.name,
        task=table.task,
        method=method,
        seed=seed,
        train_rows=len(train),
        inputs=frame.shape[1] - 1,
        error=error,
        seconds=fit.seconds,
        cpu_seconds=fit.cpu_seconds,
        threads=threads,
        version=version,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        note=note,
    )


def _fit(
    table: Table, method: str, train: DataFrame, test: DataFrame, seed: int, threads: int, bpcli: list[str]
) -> Fit:
    if method == "bpcli":
        with tempfile.TemporaryDirectory(prefix="tabular-") as folder:
            write_files(Path(folder), table, train, test)
            return fit_bpcli(bpcli, Path(folder), table, seed, threads)
    left_out = [table.target, *table.clutter]
    x_train, x_test = train.drop(columns=left_out), test.drop(columns=left_out)
    return fit_peer(method, x_train, train[table.target], x_test, table.task, seed, threads)


def _line(result: Result) -> str:
    outcome = result.note if result.error is None else f"{result.error:.4f}"
    return f"{result.table:12} {result.method:8} seed {result.seed}  {outcome}  {result.seconds:.1f} s"


def _parser() -> argparse.ArgumentParser:
    listed = "\n".join(
        [
            "tables:",
            *(f"  {name:12} {', '.join(table.name for table in tables)}" for name, tables in GROUPS.items()),
        ]
    )
    parser = argparse.ArgumentParser(
        prog="python tests/tabular",
        description="Trains bpcli and its peers on real tables and compares their errors.",
        epilog=listed,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tables", type=_tables, default=TABLES, help="names or groups, with commas (main)")
    parser.add_argument("--methods", type=_methods, default=METHODS, help=f"of {','.join(METHODS)} (all)")
    parser.add_argument("--seeds", type=int, default=5, help="splits of each table (5)")
    parser.add_argument("--threads", type=int, default=1, help="threads of each method (1)")
    parser.add_argument("--bpcli", default="bpcli", metavar="COMMAND", help="how bpcli is called (bpcli)")
    parser.add_argument("--out", type=Path, default=Path("results.csv"), help="results; what is there is not repeated")
    parser.add_argument("--report", type=Path, nargs="+", metavar="FILE", help="print the report of these results")
    return parser


def _tables(text: str) -> tuple[Table, ...]:
    found: dict[str, Table] = {}
    for word in text.split(","):
        if word not in KNOWN and word not in GROUPS:
            raise argparse.ArgumentTypeError(f"{word!r} is none of {', '.join([*GROUPS, *KNOWN])}")
        found |= {table.name: table for table in GROUPS.get(word) or (KNOWN[word],)}
    return tuple(found.values())


def _methods(text: str) -> tuple[str, ...]:
    methods = tuple(text.split(","))
    if unknown := set(methods) - set(METHODS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: the methods are {', '.join(METHODS)}")
    return methods
