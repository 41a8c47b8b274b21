"""The exact way through a CSV file: one row at a time, every fault with its line and column.

It decides what is a sound file. `csv_fast` only takes over what it can read to the same numbers.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from bpcli.data.csv_cells import is_missing, is_missing_label, is_plain_label, looks_numeric, number
from bpcli.data.csv_faults import Gap, cell_fault, feature_fault, label_fault, missing_fault, names_advice
from bpcli.data.csv_lines import Table, rows
from bpcli.data.types import Missing, Targets
from bpcli.errors import DataError

_LONGEST_LABEL = 200  # each label takes the longest one's room in the array of labels


def read_exactly(
    table: Table,
    x_columns: Sequence[int],
    y_columns: Sequence[int],
    missing: Missing = "error",
    targets: Targets = "any",
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """x (N, D) float64 and y (N, M): float64, or text labels of dtype `U` if M is 1.

    A target column in which every cell is a number, or says that it is missing, is numeric. Otherwise it holds
    labels; but a column in which all that is not a number was meant to be one (`inf`, `1,5`) is an error. Where
    `targets` says numbers, so is a column of fewer texts than numbers; where it says labels, all cells are such; where
    it says classes, numbers are labels if one is not plain: 01 and 1 are two classes, and 1.0 is named so.

    missing: `error` refuses missing values. Otherwise a missing input is NaN; so is, with `drop`, a missing target, an
        empty text among labels.

    Raises:
        DataError: any fault of `rows`; no rows; a feature that is not a number; a missing value that is not
            allowed; a label longer than 200 characters; text in one of several targets.
    """
    values = array("d")
    y_cells: list[list[str]] = [[] for _ in y_columns]
    lines = array("q")
    known: dict[str, str] = {}  # equal labels share one string
    gap: Gap | None = None
    numbered = rows(table.path, table.separator, len(table.names))
    if table.has_header:
        next(numbered, None)
    for line, row in numbered:
        cells = [row[column] for column in x_columns]
        found = _plain_numbers(cells, table.decimal)
        if found is None:
            found, empty = _numbers_and_gaps(cells, table.decimal)
            if found is None:
                read = np.frombuffer(values).reshape(len(lines), len(x_columns))
                raise feature_fault(table, numbered, line, row, x_columns, read)
            if empty and gap is None:
                gap = (line, x_columns[empty[0]], cells[empty[0]])
        values.extend(found)
        lines.append(line)
        for column, labels in zip(y_columns, y_cells, strict=True):
            labels.append(known.setdefault(row[column], row[column]))
    if not lines:
        raise DataError(f"{table.path}: no rows of data{' under the header' if table.has_header else ''}")
    x = np.frombuffer(values).reshape(len(lines), len(x_columns))
    y, y_gaps = _targets(table, y_columns, y_cells, lines, missing, targets)
    if missing == "error":
        y_gaps = ([gap] if gap else []) + y_gaps
    if y_gaps and missing != "drop":
        counts = {column: int(np.isnan(x[:, k]).sum()) for k, column in enumerate(x_columns)} if gap else {}
        counts |= {column: _gap_count(y[:, k]) for k, column in enumerate(y_columns)}
        raise missing_fault(table, min(y_gaps), counts, len(lines), missing, is_target=min(y_gaps)[1] in y_columns)
    return x, y


def _plain_numbers(cells: list[str], decimal: str) -> list[float] | None:
    """The numbers of a row, or None if it is not plain that there is one in each cell."""
    if decimal == ",":
        if any("." in cell for cell in cells):
            return None
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        found = list(map(float, cells))
    except ValueError:
        return None
    return None if "_" in "".join(cells) or not math.isfinite(sum(found)) else found  # or a sum of large numbers


def _numbers_and_gaps(cells: list[str], decimal: str) -> tuple[list[float] | None, list[int]]:
    """The numbers of a row, NaN where one is missing, None if a cell holds something else; and where one is missing."""
    found: list[float] = []
    empty: list[int] = []
    for position, cell in enumerate(cells):
        value = number(cell, decimal)
        if value is None:
            if not is_missing(cell):
                return None, []
            empty.append(position)
            value = math.nan
        found.append(value)
    return found, empty


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
