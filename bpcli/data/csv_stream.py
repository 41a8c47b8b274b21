"""The rows of a CSV file, pipe or stdin, block by block and read once: the numbers that `read_csv` gives for them all.

A block of plain numbers is read by `csv_fast`; any other by `csv_rows`, up to where a row ends with the block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from bpcli.data.csv_cells import Table, missing_fault
from bpcli.data.csv_fast import header_size, plain_lines, plain_numbers
from bpcli.data.csv_lines import LineBlocks, TextLines
from bpcli.data.csv_rows import BLOCK_ROWS, OnFault, refuse, rows_of
from bpcli.data.input_columns import InputColumn, fault_of, matrix, texts_of
from bpcli.data.kinds import missing_rule
from bpcli.data.types import ColumnKind, Missing
from bpcli.engine.arrays import Array
from bpcli.errors import DataError


@dataclass(frozen=True)
class Wanted:
    """What is read of a table. x_columns, kinds: the inputs. kept: the columns whose texts are handed through.

    skips_bad: a row that cannot be read is no error, but told in `TableBlock.faults`.
    """

    x_columns: Sequence[int]
    kinds: Sequence[ColumnKind]
    by_kind: bool
    missing: Missing
    kept: Sequence[int] = ()
    skips_bad: bool = False


@dataclass(frozen=True, eq=False)
class TableBlock:
    """Some consecutive rows.

    lines: in which each begins. x: (n, D), texts: as in `RawData`. kept: the texts of each column that is kept.
    faults: why rows cannot be read, by their places in the block; what x holds for them means nothing.
    """

    lines: Sequence[int]
    x: Array
    texts: Mapping[str, tuple[str, ...]]
    kept: Sequence[Sequence[str]]
    faults: Mapping[int, DataError]


def read_blocks(table: Table, blocks: LineBlocks, wanted: Wanted) -> Iterator[TableBlock]:
    """The rows under the header.

    Raises:
        DataError: any fault of `rows_of`; a cell that is not of its column's kind; a missing value that is not allowed.
    """
    before, has_header = 0, table.has_header
    while block := blocks.read():
        if has_header and (size := header_size(block)):
            block, before, has_header = block[size:], 1, False
            if not block:
                continue
        found = None if has_header or wanted.by_kind else _plain(table, block, wanted, before, is_last=blocks.is_at_end)
        if found is not None:
            before += len(found.lines)
            yield found
            continue
        lines = _CountedLines(block, blocks, before)
        yield from _exact(table, lines, wanted, has_header=has_header)
        before, has_header = lines.count, False


def _plain(table: Table, block: bytes, wanted: Wanted, before: int, *, is_last: bool) -> TableBlock | None:
    """A block of plain numbers; None for others."""
    text = plain_lines(block, is_last=is_last)
    if text is None:
        return None
    x = plain_numbers(text, table, list(wanted.x_columns), gaps=wanted.missing != "error")
    if x is None:
        return None
    kept: list[list[str]] = []
    if wanted.kept:
        try:
            rows = [line.split(table.separator) for line in text.decode().split("\n")]
        except UnicodeDecodeError:
            return None
        if any(len(row) != len(table.names) for row in rows):
            return None
        kept = [[row[column].strip() for row in rows] for column in wanted.kept]
    return TableBlock(range(before + 1, before + 1 + len(x)), x, {}, kept, {})


class _CountedLines(TextLines):
    """count: how many lines of the whole file were read."""

    def __init__(self, block: bytes, blocks: LineBlocks, before: int) -> None:
        super().__init__(block, blocks)
        self.count = before

    def readline(self, most: int) -> str:
        line = super().readline(most)
        self.count += bool(line)
        return line


def _exact(table: Table, text: _CountedLines, wanted: Wanted, *, has_header: bool) -> Iterator[TableBlock]:
    """The rows row by row, until one ends with a block."""
    faults: dict[int, DataError] = {}
    on_fault: OnFault = faults.__setitem__ if wanted.skips_bad else refuse
    numbered = rows_of(text, table.path, table.separator, len(table.names), before=text.count, on_fault=on_fault)
    if has_header:
        next(numbered, None)
        if text.block_is_read:
            return
    is_first = text.count <= 1
    found: list[tuple[int, list[str]]] = []
    error: DataError | None = None
    while True:
        try:
            row = next(numbered, None)
        except DataError as fault:  # what is wrong in the rows before it comes first
            row, error = None, fault
        if row is not None:
            found.append(row)
        is_end = row is None or text.block_is_read
        if found and (is_end or len(found) == BLOCK_ROWS):
            is_whole = is_first and is_end and error is None and text.is_at_end
            yield _columns(table, found, wanted, faults, is_whole=is_whole)
            found, is_first = [], False
            faults.clear()
        if error is not None:
            raise error
        if is_end:
            return


def _columns(
    table: Table,
    rows: Sequence[tuple[int, list[str]]],
    wanted: Wanted,
    faults: Mapping[int, DataError],
    *,
    is_whole: bool,
) -> TableBlock:
    """The rows as columns. faults: by line. is_whole: there are no other rows, so that all gaps can be counted."""
    lines = [line for line, _ in rows]
    cells = list(zip(*(row for _, row in rows), strict=True))
    inputs = _read(table, wanted, cells, lines)
    x = matrix(inputs)
    by_place = {place: faults[line] for place, line in enumerate(lines) if line in faults} if faults else {}
    if wanted.skips_bad:
        for place in _doubtful(inputs, wanted, x):
            if place not in by_place:
                alone = _read(table, wanted, [column[place : place + 1] for column in cells], lines[place : place + 1])
                if fault := _fault(table, alone, wanted, is_whole=False):
                    by_place[place] = fault
    elif fault := _fault(table, inputs, wanted, is_whole=is_whole):
        raise fault
    return TableBlock(lines, x, texts_of(table.names, inputs), [cells[column] for column in wanted.kept], by_place)


def _read(table: Table, wanted: Wanted, cells: Sequence[Sequence[str]], lines: Sequence[int]) -> list[InputColumn]:
    inputs = list(map(partial(InputColumn, decimal=table.decimal), wanted.x_columns, wanted.kinds))
    for column in inputs:
        column.take(cells[column.column], lines)
    return inputs


def _fault(table: Table, inputs: Sequence[InputColumn], wanted: Wanted, *, is_whole: bool) -> DataError | None:
    """The error for the first cell of another kind, or else for the first missing value that is not allowed."""
    if fault := fault_of(table, inputs):
        return fault
    gaps = [
        (column.gap[0], column.column, column.gap[1])
        for column in inputs
        if column.gap and missing_rule(column.kind, wanted.missing) == "error"
    ]
    if not gaps:
        return None
    counts = {column.column: column.gap_count for column in inputs} if is_whole else None
    return missing_fault(table, min(gaps), counts, len(inputs[0].values), wanted.missing, is_target=False)


def _doubtful(inputs: Sequence[InputColumn], wanted: Wanted, x: Array) -> list[int]:
    """The rows that may have a fault: those without a number where one has to be."""
    own = [
        place
        for place, column in enumerate(inputs)
        if column.wrong or (column.gap and missing_rule(column.kind, wanted.missing) == "error")
    ]
    doubtful: list[int] = np.flatnonzero(np.isnan(x[:, own]).any(axis=1)).tolist()
    return doubtful
