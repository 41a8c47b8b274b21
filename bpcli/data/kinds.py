"""Kinds of columns in a table: what the cells of a column hold, and the number that stands for each.

number: a number, perhaps with a percent sign, a sign of a currency or marks between thousands.
category: one of a few texts; the number is the place of the text among the column's different texts.
yes_no: yes or no in one of the usual spellings; 1 or 0.
date: a day, perhaps with a time; days since 1970-01-01, UTC where the cell names an offset.

A missing value is NaN. What a network gets of these numbers is made by `bpcli.data.transforms`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Literal, TypeAlias

from bpcli.data.csv_cells import is_missing, is_missing_label, number
from bpcli.data.types import ColumnKind, Missing, Scaling
from bpcli.engine.registry import Registry, part_of
from bpcli.text import shown

DatePart: TypeAlias = Literal["year", "month", "day", "weekday", "hour", "yearday", "elapsed"]

YES, NO = frozenset({"true", "t", "yes", "y", "1", "on"}), frozenset({"false", "f", "no", "n", "0", "off"})
_EPOCH = datetime(1970, 1, 1)
_DAY = timedelta(days=1)
_ISO_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_BLANKS = " \u00a0\u202f"  # what may stand between thousands where a blank does


kinds: Registry[ColumnKind] = Registry("kind of column", "bpcli.data.kinds", key="kind")


@part_of(kinds, "number", elsewhere="numeric float int integer continuous real quantitative")
class Number:
    """Numbers, perhaps with a percent sign, a sign of a currency or marks between thousands.

    indicator: gives the network a further input, 1 where the value is missing and 0 elsewhere.
    percent: each cell ends with a percent sign; 12% is 12. thousands: the mark that may stand between thousands.
    currency: a sign or word before or after the number, such as $ or EUR.
    """

    missing: Literal["error", "drop", "mean", "median"] | None = None
    indicator: bool = False
    scale: Scaling | None = None
    percent: bool = False
    thousands: Literal["", ",", ".", "'", " "] = ""
    currency: str = ""

    expected: ClassVar[str] = "a number"

    def value(self, cell: str, decimal: str) -> float | None:
        """See `ColumnKind`."""
        if is_missing(cell):
            return math.nan
        text = cell.strip()
        if self.currency:
            text = _without(text, self.currency)
        if self.percent:
            if not text.endswith("%"):
                return None
            text = text[:-1]
        if self.thousands:
            joined = _joined(text, self.thousands, decimal)
            if joined is None:
                return None
            text = joined
        return number(text, decimal)

    @property
    def is_plain(self) -> bool:
        """Whether cells are numbers without signs or marks."""
        return not (self.percent or self.thousands or self.currency)


@part_of(kinds, "category", elsewhere="categorical nominal factor text string enum one_hot onehot label")
class Category:
    """One of a few texts: an input for each, 1 for the text and 0 for the others; a single one, -1 or 1, for two texts.

    categories: the texts, in the order of the inputs; None: those of the training part, in alphabetical order.
    unknown: a text that is none of them has 0 in all inputs and is counted (`ignore`), or is an error.
    missing: `zeros` is 0 in all inputs; `category` is a category of its own.
    """

    categories: tuple[str, ...] | None = None
    unknown: Literal["ignore", "error"] = "ignore"
    missing: Literal["error", "drop", "zeros", "category"] | None = None
    scale: Scaling | None = "none"

    expected: ClassVar[str] = "one of its categories"

    def __post_init__(self) -> None:
        names = self.categories
        if names is not None and not 0 < len(names) == len(set(names)):
            raise ValueError(
                f"categories: {'a category twice' if names else 'expected a list of categories, got none'}"
            )

    def value(self, cell: str, decimal: str) -> float | None:
        """NaN for a missing value; another text has its place among the texts, see `bpcli.data.input_columns`."""
        return math.nan if is_missing_label(cell) else None


@part_of(kinds, "yes_no", elsewhere="bool boolean binary flag logical true_false")
class YesNo:
    """Yes or no, as an input of 1 or -1: true and false, yes and no, t and f, y and n, 1 and 0, on and off.

    missing: `zeros` is an input of 0.
    """

    missing: Literal["error", "drop", "zeros"] | None = None
    scale: Scaling | None = "none"

    expected: ClassVar[str] = "yes or no (true/false, yes/no, y/n, t/f, on/off, 1/0)"

    def value(self, cell: str, decimal: str) -> float | None:
        """See `ColumnKind`."""
        word = cell.strip().lower()
        if word in YES:
            return 1.0
        if word in NO:
            return 0.0
        return math.nan if is_missing(cell) else None


@part_of(kinds, "date", elsewhere="datetime timestamp time day")
class Date:
    """A day, with or without a time of day: 2024-05-31, 2024-05-31 14:30, 20240531, or as `format` says.

    parts: the inputs made of it. `year` and `elapsed` (days since 1970-01-01) are numbers; `month`, `day` (of the
    month), `weekday`, `yearday` and `hour` come round again, so each is two inputs, its sine and cosine.
    format: as of Python's strptime, such as "%d/%m/%Y"; empty: ISO 8601. Dates such as 2024-05-31 are read beside it.
    """

    parts: tuple[DatePart, ...] = ("year", "month", "weekday")
    format: str = ""
    missing: Literal["error", "drop", "mean", "median"] | None = None
    indicator: bool = False
    scale: Scaling | None = None

    expected: ClassVar[str] = "a date such as 2024-05-31"

    def __post_init__(self) -> None:
        if not 0 < len(self.parts) == len(set(self.parts)):
            raise ValueError(f"parts: {'a part twice' if self.parts else 'expected a list of parts, got none'}")
        if self.format and not _is_format(self.format):
            raise ValueError(
                f"format: expected directives as in %d/%m/%Y (day/month/year), see Python's strptime, "
                f"got {shown(self.format)}"
            )

    def value(self, cell: str, decimal: str) -> float | None:
        """See `ColumnKind`."""
        if is_missing(cell):
            return math.nan
        text = cell.strip()
        try:
            moment = datetime.strptime(text, self.format) if self.format else datetime.fromisoformat(text)
        except ValueError:
            return None
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC).replace(tzinfo=None)
        return (moment - _EPOCH) / _DAY

    def stored_value(self, cell: str) -> float | None:
        """The number for a date as Parquet and Excel have it, 2024-05-31; None where `format` might mean it as well."""
        if not self.format or self.format.startswith("%Y") or not _ISO_DAY.match(cell.strip()):
            return None
        return Date().value(cell, ".")


def _is_format(form: str) -> bool:
    """Whether strptime can read a date by it: it has a directive, and none that strptime does not know."""
    a_day = datetime(2024, 5, 31)
    try:
        datetime.strptime(a_day.strftime(form), form)
    except ValueError:
        return False
    return a_day.strftime(form) != form.replace("%%", "%")


def missing_rule(kind: ColumnKind, of_all: Missing) -> str:
    """What becomes of a column's missing values: as its kind says, or else data.missing.

    No mean can be filled in for a category, nor for yes or no: where the others have one, these are zeros.
    """
    if kind.missing is not None:
        return kind.missing
    can_be_filled = isinstance(kind, (Number, Date))
    return of_all if can_be_filled or of_all in ("error", "drop") else "zeros"


def kinds_of(names: tuple[str, ...], given: Mapping[str, ColumnKind]) -> tuple[ColumnKind, ...]:
    """The kind of each of these columns; what has none given holds numbers."""
    return tuple(given.get(name) or Number() for name in names)


def _without(text: str, sign: str) -> str:
    """The number without the sign of a currency before it, behind a minus or not, or after it."""
    minus = text[:1] if text[:1] in ("-", "+") else ""
    bare = text[len(minus) :].strip()
    if bare.startswith(sign):
        return minus + bare[len(sign) :].strip()
    return minus + bare[: -len(sign)].strip() if bare.endswith(sign) else text


def _joined(text: str, mark: str, decimal: str) -> str | None:
    """The number without the marks between its thousands; None where they stand elsewhere."""
    marks = _BLANKS if mark == " " else "'\u2019" if mark == "'" else mark
    if not any(one in text for one in marks):
        return text
    whole, point, rest = text.partition(decimal)
    if not re.fullmatch(rf"[+-]?\d{{1,3}}(?:[{re.escape(marks)}]\d{{3}})+", whole):
        return None
    return re.sub(f"[{re.escape(marks)}]", "", whole) + point + rest
