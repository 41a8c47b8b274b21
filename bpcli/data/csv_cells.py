"""What one cell of a CSV file says: a number, that there is none, or text; and the error for one that cannot be taken.

A number is what Python's float() reads, surrounding blanks allowed, but finite and without underscores; with
a decimal comma the same with `,` in place of `.`, and no point in it. Thousands separators are never read.

A missing number is an empty cell, or one of the words in MISSING, in capitals or not. Among text labels most
of these words may be names of classes, so that only those of MISSING_LABELS stand for a missing one, and
only where the user has said what is to become of it. Infinity is never a missing value.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from bpcli.data.columns import remedy
from bpcli.data.stored import counted
from bpcli.data.types import Missing
from bpcli.errors import DataError
from bpcli.text import shown

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
    return DataError(f"{place_of(table, line, column)}: got {shown(cell)}, expected a number{shown_advice}")


def missing_fault(
    table: Table, gap: Gap, counts: dict[int, int], rows: int, missing: Missing, *, is_target: bool
) -> DataError:
    """The error for the first missing value that is not allowed. counts: of missing values, by column."""
    line, column, cell = gap
    what = f"got {shown(cell)}, expected a number" if cell.strip() else "missing value"
    fix = "fill it or drop the row" if table.is_argument else remedy(missing, is_target=is_target)
    named = {shown(table.names[column]): count for column, count in counts.items()}
    return DataError(f"{place_of(table, line, column)}: {what}; {fix} ({counted(named, rows)})")


def place_of(table: Table, line: int, column: int) -> str:
    """Where a cell stands, for messages."""
    return f"{table.path}:{line}: column {shown(table.names[column])}"


def names_advice(line: int) -> str:
    """What else may be wrong with a cell of line 1 that is read as data."""
    return "; or, if line 1 holds the columns' names, set data.header: true" if line == 1 else ""


def label_fault(table: Table, line: int, column: int, cell: str, longest: int) -> DataError:
    """The error for a label of more than `longest` characters."""
    return DataError(
        f"{place_of(table, line, column)}: a label of {len(cell)} characters; "
        f"at most {longest} are taken for a class's name"
    )
