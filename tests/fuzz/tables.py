"""CSV files, plain and gzipped."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path
from random import Random

import numpy as np

from bpcli.data.csv_cells import looks_numeric
from bpcli.data.read import read as read_source
from bpcli.data.types import Source
from fuzz.mutate import bytes_changed, mostly_as_it_is

NAME = "table.csv"
CELLS = [
    "1",
    "2.5",
    "-3e-4",
    "0",
    "red",
    "blau",
    "",
    " ",
    "nan",
    "inf",
    "NA",
    "1_000",
    "1,5",
    "#",
    "#1",
    '"',
    '"1"',
    '"a""b"',
]
CELLS += [
    '"a,b"',
    '"a\nb"',
    "\0",
    "ä",
    "1e999",
    "1e-320",
    "0x10",
    "\uff17",
    "x" * 250,
    "9" * 400,
    " 7 ",
    "--1",
    "\ufeff",
    "c1",
]
LINE_ENDS = ["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\r\r\n", " \n", ""]
SEEDS = [
    b"a,b,y\n1,2,0\n3.5,-4e-3,1\n5,6,0\n",
    b"a;b;y\r\n1;2;red\r\n3;4;blue\r\n",
    b"1\t2\t3\n4\t5\t6\n7\t8\t9\n",
    b'\xef\xbb\xbf"a","b","y"\n"1","2","no"\n"3","4","yes"\n',
]


def mutated(rng: Random) -> bytes:
    """A table with cells, rows, separators and line ends changed, and sometimes bytes; some of them gzipped."""
    content = changed_table(rng) if rng.random() < 0.8 else bytes_changed(rng, rng.choice(SEEDS))
    content = mostly_as_it_is(rng, content)
    if rng.random() < 0.15:
        content = mostly_as_it_is(rng, gzip.compress(content, 1, mtime=0))
    return content


def changed_table(rng: Random) -> bytes:
    separator = rng.choice(",;\t")
    width, height = rng.randint(1, 4), rng.randint(0, 6)
    wild = rng.choice((0.0, 0.0, 0.1, 0.5))
    rows = [[rng.choice("0123456789") for _ in range(width)] for _ in range(height)]
    if rng.random() < 0.5:
        rows.insert(0, ["a", "b", "c", "y"][-width:])
    for row in rows:
        for at in range(width):
            if rng.random() < wild:
                row[at] = rng.choice(CELLS)
        if rng.random() < wild / 3:
            row.insert(rng.randint(0, width), rng.choice(CELLS))
        if rng.random() < wild / 3:
            del row[rng.randrange(len(row))]
    end = rng.choice(LINE_ENDS[:5])
    text = "".join(separator.join(row) + (end if rng.random() > wild / 3 else rng.choice(LINE_ENDS)) for row in rows)
    encoding = "utf-8" if rng.random() > 0.05 else rng.choice(("utf-8-sig", "latin-1", "utf-16"))
    return text.encode(encoding, "replace")


def read(path: Path, content: bytes) -> None:
    """Every number is finite, and there are as many rows as a plain reader of CSV finds."""
    path.write_bytes(content)
    way = zlib.crc32(content)
    header = (None, None, True, False)[way % 4]
    data = read_source(Source(path), header=header, need_target=way % 8 < 6)
    assert np.isfinite(data.x).all(), "a number that is not finite"
    assert data.y is None or data.y.dtype.kind == "U" or np.isfinite(data.y).all(), "a target that is not finite"
    assert data.y is None or len(data.y) == len(data.x), "x and y of other lengths"
    assert len(data.x) == rows_in(content, data.x.shape[1], header), "another number of rows"


def rows_in(content: bytes, least_width: int, header: bool | None) -> int:
    """Rows of data by Python's own csv module, for the separator that gives rows of one and the same width."""
    text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    for separator in "\t;,":
        rows = list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline=""), delimiter=separator))
        while rows and (not rows[-1] or (len(rows[-1]) == 1 and rows[-1][0].isspace())):
            rows.pop()
        if (
            rows
            and len(rows[0]) >= least_width
            and len({len(row) for row in rows}) == 1
            and (separator == "," or len(rows[0]) > 1)
        ):
            has_header = not any(map(looks_numeric, rows[0])) if header is None else header
            return len(rows) - has_header
    return -1
