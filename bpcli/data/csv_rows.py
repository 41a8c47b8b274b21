"""The exact way through a CSV file: one row at a time, every fault with its line and column.

It decides what is a sound file. `csv_fast` only takes over what it can read to the same numbers.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
import math
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bpcli.data.csv_cells import (
    Gap,
    Table,
    cell_fault,
    is_missing,
    is_missing_label,
    is_plain_label,
    label_fault,
    looks_numeric,
    missing_fault,
    names_advice,
    number,
)
from bpcli.data.csv_lines import LONGEST_LINE
from bpcli.data.input_columns import InputColumn, fault_of, matrix, texts_of
from bpcli.data.kinds import Category, Number, kinds_of, missing_rule
from bpcli.data.stored import opened
from bpcli.data.types import ColumnKind, Missing, Targets
from bpcli.errors import DataError

BLOCK_ROWS = 4096
_BLOCK_CELLS = 1 << 15  # of wide tables: more would not stay in the processor's cache until they are read
_ZIP = "PK\x03\x04"
_UTF_16_MARKS = ("\udcff\udcfe", "\udcfe\udcff", "\0\0\udcfe\udcff")  # as surrogateescape reads the bytes
_MAY_GO_ON = "expected after"  # in the message of csv.Error: what follows a closing quote; its row is read past
_LONGEST_LABEL = 200  # each label takes the longest one's room in the array of labels


@dataclass(frozen=True, eq=False)
class Columns:
    """What the columns asked for hold.

    x: (N, D) float64. y: (N, M) float64, or text labels of dtype `U` if M is 1. texts, groups: as in `RawData`.
    """

    x: np.ndarray[Any, Any]
    y: np.ndarray[Any, Any]
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: np.ndarray[Any, Any] | None = None


def read_exactly(
    table: Table,
    x_columns: Sequence[int],
    y_columns: Sequence[int],
    missing: Missing = "error",
    targets: Targets = "any",
    *,
    given: Mapping[str, ColumnKind] | None = None,
    group: int | None = None,
) -> Columns:
    """The columns, each cell of x by the kind that is given for its column, a number where none is.

    A target column in which every cell is a number, or says that it is missing, is numeric. Otherwise it holds
    labels; but a column in which all that is not a number was meant to be one (`inf`, `1,5`) is an error. Where
    `targets` says numbers, so is a column of fewer texts than numbers; where it says labels, all cells are such; where
    it says classes, numbers are labels if one is not plain: 01 and 1 are two classes, and 1.0 is named so.

    missing: `error` refuses missing values. Otherwise a missing input is NaN; so is, with `drop`, a missing target, an
        empty text among labels. A column's kind may say otherwise for it.
    group: the column of the samples' groups.

    Raises:
        TextColumnsError: columns of x without a kind hold texts.
        DataError: any fault of `rows`; no rows; an input that is not of its column's kind; a missing value that is not
            allowed; a label longer than 200 characters; text in one of several targets.
    """
    given = {} if given is None else given
    kinds = kinds_of(tuple(table.names[column] for column in x_columns), given)
    inputs = [
        InputColumn(column, kind, table.decimal, is_given=table.names[column] in given)
        for column, kind in zip(x_columns, kinds, strict=True)
    ]
    groups = [] if group is None else [InputColumn(group, Category(missing="error"), table.decimal)]
    y_cells: list[list[str]] = [[] for _ in y_columns]
    lines = array("q")
    known: dict[str, str] = {}  # equal labels share one string
    for block in blocks(table):
        for read in (*inputs, *groups):
            read.take(block.columns[read.column], block.lines)
        lines.extend(block.lines)
        for position, column in enumerate(y_columns):
            y_cells[position].extend(known.setdefault(cell, cell) for cell in block.columns[column])
        if fault := fault_of(table, inputs, at_once=block.fault is None):
            raise fault
        if block.fault is not None:
            raise block.fault
    if not lines:
        raise DataError(f"{table.path}: no rows of data{' under the header' if table.has_header else ''}")
    if fault := fault_of(table, inputs):
        raise fault
    y_cells = [
        _written_plainly(cells, given.get(table.names[column]), table.decimal)
        for column, cells in zip(y_columns, y_cells, strict=True)
    ]
    y, y_gaps = _targets(table, y_columns, y_cells, lines, missing, targets)
    _refuse_gaps(table, [*inputs, *groups], y_columns, y, y_gaps, missing)
    codes = np.frombuffer(groups[0].values).astype(np.int64) if groups else None
    return Columns(matrix(inputs), y, texts_of(table.names, inputs), codes)


def _refuse_gaps(
    table: Table,
    inputs: Sequence[InputColumn],
    y_columns: Sequence[int],
    y: np.ndarray[Any, Any],
    y_gaps: list[Gap],
    missing: Missing,
) -> None:
    """DataError for the first missing value that is not allowed."""
    refused = [column for column in inputs if column.gap and missing_rule(column.kind, missing) == "error"]
    gaps = [(column.gap[0], column.column, column.gap[1]) for column in refused if column.gap]
    gaps += y_gaps if missing != "drop" else []
    if gaps:
        counts = {column.column: column.gap_count for column in inputs if refused}
        counts |= {column: _gap_count(y[:, k]) for k, column in enumerate(y_columns)}
        raise missing_fault(table, min(gaps), counts, len(y), missing, is_target=min(gaps)[1] in y_columns)


def _written_plainly(cells: list[str], kind: ColumnKind | None, decimal: str) -> list[str]:
    """Targets with signs or marks that their kind allows as plain numbers."""
    if not isinstance(kind, Number) or kind.is_plain:
        return cells
    plain = {}
    for text in set(cells):
        value = kind.value(text, decimal)
        plain[text] = text if value is None or math.isnan(value) else repr(value).replace(".", decimal)
    return list(map(plain.__getitem__, cells))


@dataclass(frozen=True)
class Block:
    """Some rows: the lines they stand in, and the cells by column. fault: why there are no further ones."""

    lines: Sequence[int]
    columns: Sequence[Sequence[str]]
    fault: DataError | None = None


def blocks(table: Table) -> Iterator[Block]:
    """The rows of the file, without the header."""
    numbered = rows(table.path, table.separator, len(table.names))
    if table.has_header:
        next(numbered, None)
    size = max(1, min(BLOCK_ROWS, _BLOCK_CELLS // len(table.names)))
    fault: DataError | None = None
    while fault is None:
        found: list[tuple[int, list[str]]] = []
        try:
            found.extend(itertools.islice(numbered, size))
        except DataError as error:
            fault = error
        if not found and fault is None:
            return
        lines = [line for line, _ in found]
        yield Block(lines, list(zip(*(row for _, row in found), strict=True)) or [()] * len(table.names), fault)


def _targets(
    table: Table,
    columns: Sequence[int],
    y_cells: list[list[str]],
    lines: array[int],
    missing: Missing,
    targets: Targets,
) -> tuple[np.ndarray[Any, Any], list[Gap]]:
    """y (N, M), and the first missing value of each column."""
    y = np.empty((len(lines), len(columns)))
    as_classes = targets == "classes" and len(columns) == 1
    gaps: list[Gap] = []
    for position, (column, cells) in enumerate(zip(columns, y_cells, strict=True)):
        if targets == "labels" and len(columns) == 1:
            return _labels(table, column, cells, lines, missing)
        of_cell = {cell: number(cell, table.decimal) for cell in dict.fromkeys(cells)}
        wrong = [cell for cell, value in of_cell.items() if value is None and not is_missing(cell)]
        most_are_text = sum(map(set(wrong).__contains__, cells)) > len(cells) / 2
        may_be_labels = len(columns) == 1 and (targets in ("any", "classes") or most_are_text)
        if wrong and may_be_labels and not all(map(looks_numeric, wrong)):
            return _labels(table, column, cells, lines, missing)
        if wrong:
            line = lines[cells.index(wrong[0])]
            whose = "several targets" if len(columns) > 1 else "a regression's targets"
            raise cell_fault(table, line, column, wrong[0], f"{whose} must all be numbers{names_advice(line)}")
        empty = next((cell for cell, value in of_cell.items() if value is None), None)
        if empty is not None:
            gaps.append((lines[cells.index(empty)], column, empty))
        if as_classes and not all(
            is_plain_label(cell, table.decimal) for cell, value in of_cell.items() if value is not None
        ):
            return np.array([[cell if of_cell[cell] is not None else ""] for cell in cells]), gaps
        y[:, position] = [math.nan if (value := of_cell[cell]) is None else value for cell in cells]
    return y, gaps


def _labels(
    table: Table, column: int, cells: list[str], lines: array[int], missing: Missing
) -> tuple[np.ndarray[Any, Any], list[Gap]]:
    """y (N, 1), a missing label an empty text, and the first missing one."""
    gaps: list[Gap] = []
    of_cell: dict[str, str] = {}
    for cell in dict.fromkeys(cells):
        is_gap = not cell.strip() if missing == "error" else is_missing_label(cell)
        if is_gap and not gaps:
            gaps = [(lines[cells.index(cell)], column, cell)]
        if len(cell) > _LONGEST_LABEL:
            raise label_fault(table, lines[cells.index(cell)], column, cell, _LONGEST_LABEL)
        of_cell[cell] = "" if is_gap else cell
    return np.array([of_cell[cell] for cell in cells]).reshape(-1, 1), gaps


def _gap_count(y: np.ndarray[Any, Any]) -> int:
    return int((y == "").sum() if y.dtype.kind == "U" else np.isnan(y).sum())


class Lines(Protocol):
    """Text, line by line."""

    def readline(self, most: int, /) -> str:
        """The next line with its end, at most so many characters of it; empty at the end."""
        ...


OnFault = Callable[[int, DataError], None]


def refuse(line: int, fault: DataError) -> None:
    """Ends the reading at the first row that cannot be read."""
    raise fault


def rows(path: Path, separator: str, width: int = 0) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file, see `rows_of`."""
    with opened(path) as file, io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="") as text:
        yield from rows_of(text, path, separator, width)


def rows_of(
    text: Lines, path: Path, separator: str, width: int = 0, *, before: int = 0, on_fault: OnFault = refuse
) -> Iterator[tuple[int, list[str]]]:
    """Each row as (its first line, from 1; its cells: `width`, or as many as the first row has).

    Cells without quotes lose the blanks around them, quoted ones the quotes alone. Blank lines at the end are left out.

    before: how many lines were read before these. on_fault: called with the line of a row that cannot be read, and the
    fault; if it returns, the row comes with empty cells.

    Raises:
        DataError: a row with more or fewer cells, a blank line between rows, a line that is not UTF-8, text behind a
            closing quote, all of which `on_fault` may let pass; an open quote, NUL, a line or cell that is too long.
    """
    taken: list[str] = []
    reader = csv.reader(_lines(text, path, taken, before), delimiter=separator, strict=True, skipinitialspace=True)
    blank = 0
    while True:
        line = before + reader.line_num + 1
        taken.clear()
        fault = None
        row: list[str] = []
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = _wrong_byte(taken, path, before + reader.line_num)
            fault = fault or DataError(f"{path}:{line}: {_quoting_fault(error)}")
            if _MAY_GO_ON not in str(error):
                raise fault from error
        written = taken[0] if len(taken) == 1 else "".join(taken)
        quoted = '"' in written
        if fault is None and (not row or (len(row) == 1 and not quoted and not row[0].strip())):
            blank = blank or line
            continue
        for empty in range(blank, line) if blank else ():
            on_fault(empty, DataError(f"{path}:{empty}: blank line between rows; delete it"))
            yield empty, [""] * width
        blank = 0
        width = width or len(row)
        if fault is None and not written.isascii():
            fault = _wrong_byte(taken, path, before + reader.line_num)
        if fault is None and len(row) != width:
            fault = DataError(
                f"{path}:{line}: got {_cells(len(row))}, expected {width} as in line 1; "
                "a separator is missing or one too many"
            )
        if fault is not None:
            on_fault(line, fault)
            yield line, [""] * width
            continue
        if quoted:
            row = _trimmed(row, written, separator)
        elif _may_have_blanks(written):
            row = [cell.strip() for cell in row]
        yield line, row


def _may_have_blanks(text: str) -> bool:
    """Whether there is anything in a row that `strip` takes away: no character that is printable, but the blank."""
    return " " in text or not text.rstrip("\r\n").isprintable()


def _trimmed(row: list[str], text: str, separator: str) -> list[str]:
    """The cells of a row with quotes in its text: those without quotes lose the blanks around them."""
    quoted = (found[1] is not None for found in _cell_pattern(separator).finditer(text))
    return [cell if is_quoted else cell.strip() for cell, is_quoted in zip(row, quoted, strict=False)]


@functools.cache
def _cell_pattern(separator: str) -> re.Pattern[str]:
    """A cell and the separator after it; group 1 is what stands in quotes. The end of the text counts as a last one."""
    return re.compile(rf' *("(?:[^"]|"")*")?[^{separator}]*(?:{separator}|\Z)')


def _lines(text: Lines, path: Path, taken: list[str], before: int) -> Iterator[str]:
    """The physical lines, line ends and all, without the byte order mark; each also goes to the end of `taken`."""
    count = before
    while line := text.readline(LONGEST_LINE):
        count += 1
        if count == 1 and line.startswith(_ZIP):
            raise DataError(
                f"{path}:1: a zip archive or an Excel workbook, not a CSV text file; unpack it, or save the sheet "
                "as CSV"
            )
        if count == 1 and _is_utf_16(line):
            raise DataError(
                f"{path}:1: saved as UTF-16 or UTF-32; save the file as UTF-8 (in Excel: CSV UTF-8), or convert it: "
                "iconv -f UTF-16 -t UTF-8 OLD.csv > NEW.csv"
            )
        if "\0" in line:
            raise _wrong_byte(taken, path, count - 1) or DataError(
                f"{path}:{count}: holds a NUL byte; not a CSV text file, or not saved as UTF-8"
            )
        if len(line) == LONGEST_LINE:
            raise DataError(f"{path}:{count}: the line is longer than {LONGEST_LINE} characters")
        if count == 1:
            line = line.removeprefix("\ufeff")
        taken.append(line)
        yield line


def _wrong_byte(lines: Sequence[str], path: Path, last: int) -> DataError | None:
    """The fault of a row whose lines, up to the one numbered `last`, are not all UTF-8; None if they are."""
    for place, line in enumerate(lines, start=last - len(lines) + 1):
        if line.isascii():
            continue
        try:
            line.encode()
        except UnicodeEncodeError as error:  # surrogateescape let the wrong byte through until here
            byte = ord(line[error.start]) - 0xDC00
            return DataError(f"{path}:{place}: not UTF-8 (byte 0x{byte:02x}, as in Latin-1); save the file as UTF-8")
    return None


def _is_utf_16(line: str) -> bool:
    """Whether line 1, read as UTF-8, starts with a byte order mark of UTF-16 or 32, or has every other byte 0."""
    return line.startswith(_UTF_16_MARKS) or line.count("\0") >= len(line) // 2 > 1


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
