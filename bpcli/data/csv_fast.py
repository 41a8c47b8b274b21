"""The fast way through a CSV file: `csv_digits` or numpy.loadtxt, block by block, where it reads what `csv_rows` would.

Whatever is not plainly a table of numbers (quotes, a blank line, a ragged row, an odd line end, a cell that
is no finite number) is left to `csv_rows`, which reads it or says what is wrong. Missing values are read here
too, where they are allowed.
"""

from __future__ import annotations

import functools
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from bpcli.data.csv_cells import MISSING, is_missing, is_plain_label
from bpcli.data.csv_digits import read_digits
from bpcli.data.csv_lines import LONGEST_LINE, Table
from bpcli.data.stored import opened
from bpcli.data.types import Missing, Targets

_BLOCK = 1 << 20
_NEWLINE = ord("\n")


def read_fast(
    table: Table,
    x_columns: Sequence[int],
    y_columns: Sequence[int],
    missing: Missing = "error",
    targets: Targets = "any",
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """x (N, D) and y (N, M), float64, or None if the file needs `read_exactly`.

    A missing value, where `missing` allows it, is NaN. Takes twice the arrays' memory.

    Raises:
        DataError: the gzip file is damaged.
    """
    columns, width = [*x_columns, *y_columns], len(x_columns)
    x_blocks, y_blocks = [], []
    as_classes = targets == "classes" and len(y_columns) == 1
    with opened(table.path) as file:
        if file.read(len(BOM_UTF8)) != BOM_UTF8:
            file.seek(0)
        if table.has_header and not _skip_header(file):
            return None
        for text in _plain_blocks(file):
            block = None if text is None else _numbers(text, table, columns, gaps=missing != "error")
            if text is None or block is None or (missing in ("mean", "median") and np.isnan(block[:, width:]).any()):
                return None
            if as_classes and not _are_plain_labels(text, table, y_columns[0]):
                return None
            x_blocks.append(block[:, :width])
            y_blocks.append(block[:, width:])
    return (np.concatenate(x_blocks), np.concatenate(y_blocks)) if x_blocks else None


def _skip_header(file: BinaryIO) -> bool:
    """Past line 1; False if it is not plainly one row: a quote may hold a line end, a lone CR is one."""
    line = file.readline(LONGEST_LINE)
    return line.endswith(b"\n") and b'"' not in line and b"\r" not in line.replace(b"\r\n", b"\n")


def _plain_blocks(file: BinaryIO) -> Iterator[bytes | None]:
    """The file in blocks of whole lines, `\\n` between, none at the end; None once a block is not plain."""
    ended = False
    while block := file.read(_BLOCK):
        block += file.readline(LONGEST_LINE)
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        lines = block.rstrip(b"\n")
        if ended or not lines or any(odd in lines for odd in (b'"', b"\r", b"\0")):
            yield None
            return
        ended = len(block) - len(lines) != 1  # blank lines, or a line without an end: nothing may follow
        yield lines


def _numbers(lines: bytes, table: Table, columns: list[int], *, gaps: bool) -> np.ndarray[Any, Any] | None:
    """The cells of `columns`, float64 (rows, len(columns)); None if a row is ragged or a cell no number.

    gaps: a cell may also say that its number is missing, and is NaN then.
    """
    width = len(table.names)
    if table.decimal == "." and sorted(columns) == list(range(width)):
        numbers = read_digits(lines, table.separator, width)
        if numbers is not None:
            return numbers[:, columns]
    every = columns == list(range(width))
    if not every and not _is_even(lines, table):  # with usecols, loadtxt does not mind ragged rows
        return None
    if table.decimal == "," and b"." in lines:
        return None
    try:
        text = lines.decode()
    except UnicodeDecodeError:
        return None
    used = None if every else columns
    block = _loaded(text, table, used)
    if block is None and gaps and len(table.names) > 1:  # in a single column a gap looks like a blank line
        text = _gap_pattern(table.separator).sub(r"\1nan", "\n" + text)[1:]
        block = _loaded(text, table, used)
    if block is None:
        return None
    return None if (np.isinf(block) if gaps else ~np.isfinite(block)).any() else block


def _loaded(text: str, table: Table, used: list[int] | None) -> np.ndarray[Any, Any] | None:
    """A row for each line; None if a cell is no number."""
    lines = (text.replace(",", ".") if table.decimal == "," else text).split("\n")
    try:
        block = np.loadtxt(lines, delimiter=table.separator, comments=None, usecols=used, ndmin=2)
    except ValueError:
        return None
    return block if block.shape == (len(lines), len(used or table.names)) else None  # loadtxt skips blank lines


def _are_plain_labels(lines: bytes, table: Table, column: int) -> bool:
    """Whether the number of each label, missing ones aside, gives the label back as it is written; see `csv_cells`."""
    codes = np.frombuffer(lines + b"\n", np.uint8)
    ends = np.flatnonzero((codes == ord(table.separator)) | (codes == _NEWLINE)).reshape(-1, len(table.names))
    starts = ends[:, column - 1] + 1 if column else np.concatenate([[0], ends[:-1, -1] + 1])
    cells = {lines[start:end] for start, end in zip(starts.tolist(), ends[:, column].tolist(), strict=True)}
    return all(is_plain_label(cell, table.decimal) or is_missing(cell) for cell in map(bytes.decode, cells))


@functools.cache
def _gap_pattern(separator: str) -> re.Pattern[str]:
    """Group 1: what stands before a cell that says that its number is missing; a separator or line end follows it."""
    words = "|".join(re.escape(word) for word in sorted(MISSING))
    return re.compile(rf"([{separator}\n]) *(?:{words}) *(?=[{separator}\n]|\Z)", re.IGNORECASE | re.ASCII)


def _is_even(lines: bytes, table: Table) -> bool:
    """Whether each row has a cell for each column: then each row's last cell, and no other, ends a line."""
    codes = np.frombuffer(lines + b"\n", np.uint8)
    ends_line = codes[(codes == ord(table.separator)) | (codes == _NEWLINE)] == _NEWLINE
    rows = np.count_nonzero(ends_line)
    if ends_line.size != rows * len(table.names):
        return False
    return bool(ends_line.reshape(rows, -1)[:, -1].all())
