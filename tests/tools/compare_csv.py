"""Time and memory of reading a numeric CSV of 200 MB, compared with pandas' default C reader.

    python tests/tools/compare_csv.py --pandas PYTHON
    python tests/tools/compare_csv.py --digits

PYTHON is an interpreter that has pandas; default: this one. With --digits the other reader is bpcli itself without
`csv_fast.read_digits`. The two readers take turns, each in a process of its own on one core. Seconds are CPU time,
ratios are medians over the turns, memory is the growth of the peak divided by the size of the array.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

OURS = """
import sys, time, resource
from pathlib import Path
import numpy
from bpcli.data import csv_fast, csv_file
from bpcli.data.types import Source
from bpcli.data.read import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
data = read(Source(Path(sys.argv[1])))
seconds = time.process_time() - start
size = data.x.nbytes + data.y.nbytes
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / size)
"""
WITHOUT_DIGITS = OURS.replace("before =", "csv_fast.read_digits = lambda *_: None\nbefore =")
PANDAS = """
import sys, time, resource
import pandas
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.process_time()
data = pandas.read_csv(sys.argv[1]).to_numpy(float)
seconds = time.process_time() - start
print(seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / data.nbytes)
"""
FORMS = {
    "2 decimals": lambda value: f"{value:.2f}",
    "6 digits": lambda value: f"{value:.6g}",
    "17 digits": lambda value: repr(float(value)),
    "small integers": lambda value: str(int(abs(value) * 50)),
}
COLUMNS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pandas", default=sys.executable, help="a Python that has pandas")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--digits", action="store_true", help="compare with bpcli without read_digits, not with pandas")
    options = parser.parse_args()
    other = (sys.executable, WITHOUT_DIGITS) if options.digits else (options.pandas, PANDAS)
    name = "without" if options.digits else "pandas"
    print(f"| numbers | seconds | {name} | ratio | memory / array | {name} |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, form in FORMS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            write(path, form, options.megabytes)
            turns = [(measured(sys.executable, OURS, path), measured(*other, path)) for _ in range(options.turns)]
        ours, theirs = (np.median([turn[who] for turn in turns], axis=0) for who in (0, 1))
        ratio = median(own[0] / other[0] for own, other in turns)
        print(
            f"| {name} | {ours[0]:.2f} | {theirs[0]:.2f} | {ratio:.2f} | {ours[1]:.2f} | {theirs[1]:.2f} |", flush=True
        )


def write(path: Path, form, megabytes: int) -> None:
    values = np.random.default_rng(0).normal(size=(20000, COLUMNS))
    block = "".join(",".join(map(form, row)) + "\n" for row in values)
    with path.open("w") as file:
        file.write(",".join(f"c{k}" for k in range(COLUMNS)) + "\n")
        for _ in range(max(1, (megabytes << 20) // len(block))):
            file.write(block)


def measured(python: str, code: str, path: Path) -> list[float]:
    done = subprocess.run([python, "-c", code, path], capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


if __name__ == "__main__":
    main()
