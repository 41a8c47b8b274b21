"""The exact way through a CSV file: one row at a time, every fault with its line and column.

It decides what is a sound file. `csv_fast` only takes over what it can read to the same numbers.
"""

from __future__ import annotations

import csv
import io
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.data.source import shown
from bpcli.data.stored import opened
from bpcli.errors import DataError

LONGEST_LINE = 16 << 20
_LONGEST_LABEL = 200  # each label takes the longest one's room in the array of labels
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
_MISSING = frozenset({"na", "n/a", "null", "none", "missing", "?", "-", ".", "#n/a"})


@dataclass(frozen=True, slots=True)
class Table:
    """How a CSV file is laid out."""

    path: Path
    separator: str
    names: tuple[str, ...]  # one for each column
    has_header: bool  # line 1 holds the names


def rows(path: Path, separator: str, width: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Each row as (its first line, from 1; its cells: `width`, or as many as the first row has).

    Blank lines at the end are left out.

    Raises:
        DataError: a row with more or fewer cells, a blank line between rows, an open quote,
            NUL, a line that is not UTF-8 or is too long.
    """
    with opened(path) as file, io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="") as text:
        reader = csv.reader(_lines(text, path), delimiter=separator, strict=True)
        blank = 0
        while True:
            line = reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(f"{path}:{line}: {_quoting_fault(error)}") from error
            if not row or (len(row) == 1 and row[0].isspace()):
                blank = blank or line
                continue
            if blank:
                raise DataError(f"{path}:{blank}: blank line between rows; delete it")
            width = width or len(row)
            if len(row) != width:
                raise DataError(
                    f"{path}:{line}: got {_cells(len(row))}, expected {width} as in line 1; "
                    "a separator is missing or one too many"
                )
            yield line, row


def number(cell: str) -> float | None:
    """The number a cell holds, or None: what float() reads, but no NaN, infinity, or underscore."""
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


def looks_numeric(cell: str) -> bool:
    """Whether a cell is a number, or a way of writing one that is not taken: `nan`, `inf`, `1_000`, `1,5`."""
    try:
        float(cell)
    except ValueError:
        return _DECIMAL_COMMA.fullmatch(cell) is not None
    return True


def was_meant_as_number(cell: str) -> bool:
    """Whether a cell that is no number stands for one: looks numeric, is empty or a mark such as `NA`."""
    plain = cell.strip().lower()
    return not plain or plain in _MISSING or looks_numeric(cell)


def read_exactly(
    table: Table, x_columns: Sequence[int], y_columns: Sequence[int]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """x (N, D) float64 and y (N, M): float64, or text labels of dtype `U` if M is 1.

    A target column in which every cell is a number is numeric. Otherwise it holds labels, taken as they are
    written; but a column in which all that is not a number was meant to be one (`nan`, `NA`, `1,5`) is an
    error.

    Raises:
        DataError: any fault of `rows`; no rows; a feature that is not a number; a label that is empty or
            longer than 200 characters; text in one of several targets.
    """
    values = array("d")
    targets: list[list[str]] = [[] for _ in y_columns]
    lines = array("q")
    known: dict[str, str] = {}  # equal labels share one string
    numbered = rows(table.path, table.separator, len(table.names))
    if table.has_header:
        next(numbered, None)
    for line, row in numbered:
        cells = [row[column] for column in x_columns]
        try:
            found = list(map(float, cells))
        except ValueError:
            raise _feature_fault(table, numbered, line, row, x_columns, len(lines)) from None
        suspicious = "_" in "".join(cells) or not math.isfinite(sum(found))  # or a sum of large numbers
        if suspicious and any(number(cell) is None for cell in cells):
            raise _feature_fault(table, numbered, line, row, x_columns, len(lines))
        values.extend(found)
        lines.append(line)
        for column, labels in zip(y_columns, targets, strict=True):
            labels.append(known.setdefault(row[column], row[column]))
    if not lines:
        raise DataError(f"{table.path}: no rows of data{' under the header' if table.has_header else ''}")
    x = np.frombuffer(values).reshape(len(lines), len(x_columns))
    return x, _targets(table, y_columns, targets, lines)


def _lines(text: io.TextIOWrapper, path: Path) -> Iterator[str]:
    """The physical lines, line ends and all, without the byte order mark."""
    count = 0
    while line := text.readline(LONGEST_LINE):
        count += 1
        if "\0" in line:
            raise DataError(f"{path}:{count}: holds a NUL byte; not a CSV text file, or not saved as UTF-8")
        if len(line) == LONGEST_LINE:
            raise DataError(f"{path}:{count}: the line is longer than {LONGEST_LINE} characters")
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError as error:  # surrogateescape let the wrong byte through until here
                byte = ord(line[error.start]) - 0xDC00
                raise DataError(
                    f"{path}:{count}: not UTF-8 (byte 0x{byte:02x}, as in Latin-1); save the file as UTF-8"
                ) from error
        yield line.removeprefix("\ufeff") if count == 1 else line


def _quoting_fault(error: csv.Error) -> str:
    match str(error):
        case "unexpected end of data":
            return 'a quote opens here and is never closed; close it, or write "" for a quote inside quotes'
        case text if "field larger" in text:
            return "a cell is longer than 131072 characters; is a quote left open?"
        case text if "expected after" in text:
            return 'something follows a closing quote; write "" for a quote inside quotes'
        case text:
            return text


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def cell_fault(table: Table, line: int, column: int, cell: str, advice: str = "") -> DataError:
    """The error for a cell that should hold a number."""
    place = f"{table.path}:{line}: column {shown(table.names[column])}"
    if not cell.strip():
        return DataError(f"{place}: missing value; fill it or drop the row")
    if _DECIMAL_COMMA.fullmatch(cell):
        advice = f"decimal comma? write {cell.strip().replace(',', '.')}"
    elif "_" in cell and looks_numeric(cell):
        advice = f"write {cell.strip().replace('_', '')}"
    elif was_meant_as_number(cell):
        advice = "fill it or drop the row"
    return DataError(f"{place}: got {shown(cell)}, expected a number{f' ({advice})' if advice else ''}")


def _feature_fault(
    table: Table,
    numbered: Iterator[tuple[int, list[str]]],
    line: int,
    row: list[str],
    x_columns: Sequence[int],
    numbers: int,
) -> DataError:
    """The error for a row's first wrong feature, after `numbers` good ones; reads on to judge the column."""
    column = next(column for column in x_columns if number(row[column]) is None)
    advice = "leave the column out with data.features"
    if line == 1:
        advice += "; or, if line 1 holds the columns' names, set data.header: true"
    fault = cell_fault(table, line, column, row[column], advice)
    if was_meant_as_number(row[column]):
        return fault
    texts = 1
    try:
        for _, other in numbered:
            if number(other[column]) is None:
                texts += 1
            else:
                numbers += 1
    except DataError:
        return fault  # a later line is broken as well; one fault at a time
    if texts <= numbers or texts == 1:
        return fault
    return DataError(
        f"{table.path}:{line}: column {shown(table.names[column])} holds text, such as {shown(row[column])}, "
        f"expected numbers ({advice})"
    )


def _targets(table: Table, columns: Sequence[int], targets: list[list[str]], lines: array[int]) -> np.ndarray[Any, Any]:
    y = np.empty((len(lines), len(columns)))
    for position, (column, cells) in enumerate(zip(columns, targets, strict=True)):
        of_cell = {cell: number(cell) for cell in dict.fromkeys(cells)}
        wrong = [cell for cell, value in of_cell.items() if value is None]
        if not wrong:
            y[:, position] = [of_cell[cell] for cell in cells]
        elif len(columns) == 1 and not all(map(was_meant_as_number, wrong)):
            return _labels(table, column, cells, lines)
        else:
            line = lines[cells.index(wrong[0])]
            raise cell_fault(table, line, column, wrong[0], "several targets must all be numbers")
    return y


def _labels(table: Table, column: int, cells: list[str], lines: array[int]) -> np.ndarray[Any, Any]:
    for cell in dict.fromkeys(cells):
        fault = "" if cell.strip() else "the label is missing; fill it or drop the row"
        if len(cell) > _LONGEST_LABEL:
            fault = f"a label of {len(cell)} characters; at most {_LONGEST_LABEL} are taken for a class's name"
        if fault:
            raise DataError(f"{table.path}:{lines[cells.index(cell)]}: column {shown(table.names[column])}: {fault}")
    return np.array(cells).reshape(-1, 1)
