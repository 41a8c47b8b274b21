"""What one cell of a CSV file says: a number, that there is none, or text; and the error for one that cannot be taken.

A number is what Python's float() reads, surrounding blanks allowed, but finite and without underscores; with
a decimal comma the same with `,` in place of `.`, and no point in it. Thousands separators are never read.

A missing number is an empty cell, or one of the words in MISSING, in capitals or not. Among text labels most
of these words may be names of classes, so that only those of MISSING_LABELS stand for a missing one, and
only where the user has said what is to become of it. Infinity is never a missing value.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bpcli.data.columns import numbers_rows, remedy
from bpcli.data.stored import counted
from bpcli.data.types import Missing
from bpcli.engine.arrays import Array
from bpcli.errors import DataError
from bpcli.text import listed, shown

Gap = tuple[int, int, str]
"""Where a value is missing: line, column, and the cell as it is written."""

MISSING = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan", "+nan", "-nan", "null", "none", "missing", "?", "-", "."})
_ROUNDED_FROM = 2.0**53  # it may have been 2^53 + 1 in the file
_MINUS_SIGN = "\u2212"  # of typesetting; not the hyphen that programs write
MISSING_LABELS = frozenset({"", "na", "n/a", "#n/a", "<na>", "nan"})
_TRUE, _FALSE = frozenset({"true", "yes"}), frozenset({"false", "no"})
_PERCENT = re.compile(r"\s*([+-]?[\d.,]*\d)\s*%\s*")
_MONEY = re.compile(r"\s*(?:[$€£¥]\s*([+-]?\d[\d.,]*)|([+-]?\d[\d.,]*)\s*[$€£¥])\s*")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
_THOUSANDS = re.compile(r"\s*[+-]?\d{1,3}([.,' \u00a0\u202f\u2019])\d{3}(\1\d{3})*((?!\1)[.,]\d*)?\s*")
_MOST_LISTED = 20
_PLAIN_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Table:
    """How a CSV file is laid out."""

    path: Path
    separator: str
    names: tuple[str, ...]  # one for each column
    has_header: bool  # line 1 holds the names
    decimal: str = "."  # or a comma
    is_argument: bool = False  # of eval or predict, where messages may name no key of a config


def number(cell: str, decimal: str = ".") -> float | None:
    """The number a cell holds, with this decimal mark, or None."""
    if decimal == ",":
        if "." in cell:
            return None
        cell = cell.replace(",", ".")
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


def is_plain_label(cell: str, decimal: str = ".") -> bool:
    """Whether a class's label is a number, written as its value alone would be: 3 or 0.5, not 03, 3.0, +3 or 5e-1.

    From 2^53 on several whole numbers are read as the same float64, so that no label there is plain.
    """
    value = number(cell, decimal)
    return value is not None and abs(value) < _ROUNDED_FROM and cell.strip() == label_text(value)


def label_text(value: float) -> str:
    """A number as the name of a class: 3.0 is "3"."""
    return str(int(value)) if value.is_integer() else repr(value)


def is_missing(cell: str) -> bool:
    """Whether a cell where a number belongs says that there is none."""
    return cell.strip().lower() in MISSING


def is_missing_label(cell: str) -> bool:
    """The same among text labels."""
    return cell.strip().lower() in MISSING_LABELS


def looks_numeric(cell: str) -> bool:
    """Whether a cell is a number, or a way of writing one that may not be taken.

    Such as `nan`, `inf`, `1_000`, `1,5`, and U+2212 for a minus.
    """
    cell = cell.replace(_MINUS_SIGN, "-")
    try:
        float(cell)
    except ValueError:
        return bool(_DECIMAL_COMMA.fullmatch(cell) or _THOUSANDS.fullmatch(cell))
    return True


def how_to_write(cell: str, decimal: str, *, comma_is_free: bool) -> str:
    """What to do about a cell that may be meant as a number and is not taken; empty if there is nothing to say.

    comma_is_free: commas do not separate the cells.
    """
    word = cell.strip().lower()
    if word in _TRUE | _FALSE:
        return f"write {int(word in _TRUE)} for {cell.strip()}"
    if word.lstrip("+-") in ("inf", "infinity"):
        return "a number must be finite: correct the cell or drop the row"
    if found := _PERCENT.fullmatch(cell):
        return f"write {found[1]}, without the percent sign"
    if found := _MONEY.fullmatch(cell):
        return f"write {found[1] or found[2]}, without the sign of the currency"
    advice = []
    if _MINUS_SIGN in cell and looks_numeric(cell):
        cell = cell.replace(_MINUS_SIGN, "-")
        advice.append(f"the minus sign U+2212 is not read, write {cell.strip()}")
    plain = cell.strip()
    if "_" in cell and looks_numeric(cell):
        advice.append(f"write {plain.replace('_', '')}")
    elif decimal == "." and _DECIMAL_COMMA.fullmatch(cell):
        by_key = 'set data.decimal: ",", or ' if comma_is_free else ""
        advice.append(f"decimal comma? {by_key}write {plain.replace(',', '.')}")
    elif decimal == "," and number(cell) is not None:
        advice.append(f'data.decimal is ",": write {plain.replace(".", ",")}')
    if _THOUSANDS.fullmatch(cell):
        advice.append("thousands separators are not read, leave them out")
    return "; ".join(advice)


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
