"""The long run: so many inputs in all, and a table of what became of them.

    cd tests && python -m fuzz --inputs 1000000

Inputs are made from `--seed` and their number alone: the same ones in every run. Each reader has a process of its own,
so that its peak of memory can be told. Ends with exit code 1 and the first inputs, as files, if any escaped.
"""

from __future__ import annotations

import argparse
import datetime
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from fuzz.readers import READERS
from fuzz.tally import Tally, input_of, run

# The share of the inputs that each reader gets
SHARES = {"config": 15, "csv": 25, "idx": 20, "npy": 15, "npz": 15, "checkpoint": 10}
SHOWN_ESCAPES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="in all")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--readers", nargs="*", default=list(READERS), choices=list(READERS))
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    shares = {name: SHARES[name] for name in options.readers}
    counts = {name: options.inputs * share // sum(shares.values()) for name, share in shares.items()}
    print(f"{datetime.date.today()}, seed {options.seed}\n")
    print("| reader | inputs | accepted | refused | escapes | slowest | memory grew by | CPU time |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    tallies = {}
    with ProcessPoolExecutor(options.processes, max_tasks_per_child=1) as pool:
        futures = {name: pool.submit(run, name, options.seed, count) for name, count in counts.items()}
        for name, future in futures.items():
            tallies[name] = tally = future.result()
            print(row(name, tally), flush=True)
    total = Tally(
        counts=sum((tally.counts for tally in tallies.values()), Counter()),
        slowest=max(tally.slowest for tally in tallies.values()),
        seconds=sum(tally.seconds for tally in tallies.values()),
        grown=max(tally.grown for tally in tallies.values()),
    )
    print(row("all", total))
    show_escapes(tallies, options.seed)
    raise SystemExit(1 if total.counts["escaped"] else 0)


def row(name: str, tally: Tally) -> str:
    counts = tally.counts
    return (
        f"| {name} | {counts.total():,} | {counts['accepted']:,} | {counts['refused']:,} | {counts['escaped']:,} "
        f"| {tally.slowest:.2f} s | {tally.grown >> 20} MB | {tally.seconds / 60:.1f} min |"
    )


def show_escapes(tallies: dict[str, Tally], seed: str) -> None:
    """The first inputs of each kind that escaped, in files."""
    for name, tally in tallies.items():
        seen = set[str]()
        for number, escape in tally.escapes:
            kind = escape[:40]
            if kind in seen or len(seen) == SHOWN_ESCAPES:
                continue
            seen.add(kind)
            path = Path(tempfile.gettempdir()) / f"escape-{name}-{number}"
            path.write_bytes(input_of(READERS[name], seed, number))
            same = sum(other.startswith(kind) for _, other in tally.escapes)
            print(f"\n{name} {number} ({same} alike), in {path}: {escape}")


if __name__ == "__main__":
    main()
