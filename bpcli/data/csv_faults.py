"""What is said of a cell that cannot be taken: its line and column, what it holds, and what to do about it."""

from __future__ import annotations

import itertools
import json
import math
import re
from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from bpcli.data.csv_cells import how_to_write, is_missing, looks_numeric, number
from bpcli.data.csv_lines import Table
from bpcli.data.missing import remedy
from bpcli.data.row_numbers import numbers_rows
from bpcli.data.stored import counted
from bpcli.data.types import Missing
from bpcli.engine.arrays import Array
from bpcli.errors import DataError
from bpcli.text import listed, shown

Gap = tuple[int, int, str]
"""Where a value is missing: line, column, and the cell as it is written."""

_MOST_LISTED = 20
_PLAIN_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


def cell_fault(table: Table, line: int, column: int, cell: str, advice: str = "") -> DataError:
    """The error for a cell that should hold a number."""
    comma_is_free = table.separator != "," and not table.is_argument
    advice = how_to_write(cell, table.decimal, comma_is_free=comma_is_free) or advice
    if looks_numeric(cell):
        advice = advice or "fill it or drop the row"
    shown_advice = f" ({advice})" if advice else ""
    return DataError(f"{_place(table, line, column)}: got {shown(cell)}, expected a number{shown_advice}")


def missing_fault(
    table: Table, gap: Gap, counts: dict[int, int], rows: int, missing: Missing, *, is_target: bool
) -> DataError:
    """The error for the first missing value that is not allowed. counts: of missing values, by column."""
    line, column, cell = gap
    what = f"got {shown(cell)}, expected a number" if cell.strip() else "missing value"
    fix = "fill it or drop the row" if table.is_argument else remedy(missing, is_target=is_target)
    named = {shown(table.names[column]): count for column, count in counts.items()}
    return DataError(f"{_place(table, line, column)}: {what}; {fix} ({counted(named, rows)})")


def _place(table: Table, line: int, column: int) -> str:
    return f"{table.path}:{line}: column {shown(table.names[column])}"


def feature_fault(
    table: Table,
    numbered: Iterator[tuple[int, list[str]]],
    line: int,
    row: list[str],
    x_columns: Sequence[int],
    read: Array,
) -> DataError:
    """The error for a row's first wrong feature; reads on to judge the columns.

    read: (n, D), the features of the rows before, NaN where one is missing.
    """
    column = next(column for column in x_columns if _is_text(row[column], table.decimal))
    fault = cell_fault(table, line, column, row[column], _cell_advice(table, line))
    if looks_numeric(row[column]):
        return fault
    texts = np.zeros(len(x_columns), int)
    values = array("d")
    try:
        for _, other in itertools.chain([(line, row)], numbered):
            cells = [other[column] for column in x_columns]
            texts += [_is_text(cell, table.decimal) for cell in cells]
            values.extend(math.nan if (value := number(cell, table.decimal)) is None else value for cell in cells)
    except DataError:
        return fault  # a later line is broken as well; one fault at a time
    x = np.concatenate([read, np.frombuffer(values).reshape(-1, len(x_columns))])
    of_text = texts > np.count_nonzero(~np.isnan(x), axis=0)
    wrong = x_columns.index(column)
    if not of_text[wrong] or texts[wrong] == 1:
        return fault
    comma_is_free = table.separator != "," and not table.is_argument
    advice = how_to_write(row[column], table.decimal, comma_is_free=comma_is_free) or _column_advice(
        table, line, x_columns, of_text, x
    )
    return DataError(
        f"{_place(table, line, column)} holds text, such as {shown(row[column])}, expected numbers ({advice})"
    )


def _cell_advice(table: Table, line: int) -> str:
    """What to do about a single cell among the inputs that holds text."""
    if table.is_argument:
        return "the network was trained on numbers there"
    return "correct the cell or drop the row; a column of text is left out with data.features" + names_advice(line)


def _column_advice(table: Table, line: int, x_columns: Sequence[int], of_text: Array, x: Array) -> str:
    """What to do about a column of text among the inputs x (N, D): a list of the others, but for row numbers."""
    if table.is_argument:
        return "the network was trained on numbers there"
    others = [k for k, is_text in enumerate(of_text) if not is_text]
    counting = [k for k in others if numbers_rows(x[:, k])]
    useful = [table.names[x_columns[k]] for k in others if k not in counting]
    advice = "leave the column out with data.features"
    if 0 < len(useful) <= _MOST_LISTED:
        advice += f", as in `features: {_yaml_list(useful)}`"
        if counting:
            names = listed(table.names[x_columns[k]] for k in counting)
            advice += f", without {names}, which only number{'s' if len(counting) == 1 else ''} the rows"
    return advice + names_advice(line)


def names_advice(line: int) -> str:
    """What else may be wrong with a cell of line 1 that is read as data."""
    return "; or, if line 1 holds the columns' names, set data.header: true" if line == 1 else ""


def label_fault(table: Table, line: int, column: int, cell: str, longest: int) -> DataError:
    """The error for a label of more than `longest` characters."""
    return DataError(
        f"{_place(table, line, column)}: a label of {len(cell)} characters; "
        f"at most {longest} are taken for a class's name"
    )


def _is_text(cell: str, decimal: str) -> bool:
    return number(cell, decimal) is None and not is_missing(cell)


def _yaml_list(names: Sequence[str]) -> str:
    """Names as a list that can be pasted into a config."""
    plain = (bool(_PLAIN_NAME.fullmatch(name)) and name.lower() not in ("true", "false", "null") for name in names)
    quoted = (name if is_plain else json.dumps(name) for name, is_plain in zip(names, plain, strict=True))
    return f"[{', '.join(quoted)}]"
