"""What the columns of a table hold, told by the cells alone: `survey` reads a CSV file once, in bounded memory.

Of every column it counts each cell: how many are missing or of another kind, the least and the largest number, whether
the numbers rise row by row. What needs all values at once (quartiles, different values, whether two columns are the
same, how well one tells another) is taken from the rows that are kept: all of them up to 16 million cells, then every
second, every fourth, and so on. Nothing is decided here: `bpcli.data.choices` does so.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bpcli.data.csv_cells import Table, is_missing, is_missing_label, label_text, number, numbers
from bpcli.data.csv_file import layout_of_file
from bpcli.data.csv_rows import blocks
from bpcli.data.kinds import Date, Number, YesNo
from bpcli.data.read import kind_of
from bpcli.data.types import ColumnKind
from bpcli.errors import DataError

Floats = npt.NDArray[np.float64]

MOST_KEPT = 1 << 24
"""Cells that are kept."""
MOST_TEXTS = 1000
"""Different texts of a column that are counted one by one."""
DATE_FORMATS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%y", "%m/%d/%y"),
    *("%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y"),
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_MONTH_FIRST = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y", "%d/%m/%y": "%m/%d/%y"}
_CURRENCIES = ("$", "€", "£", "¥", "USD", "EUR", "GBP", "CHF")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,(?:\d{1,2}|\d{4,})")
_FIRST_DATE, _LAST_DATE = 19000101, 21001231
_FAR = 3.0  # interquartile ranges beyond a quartile


@dataclass(frozen=True, eq=False)
class ColumnSurvey:
    """What a column holds.

    kind: what its cells are: numbers (with the signs and marks that they have), yes or no, dates (in the form that
        they have); None for texts, and for a column without any value.
    rows, missing: counts of all cells. wrong: of those that are not of the kind, words among numbers; first_wrong: line
        and text of the first of them.
    values: (K,) of the rows kept, NaN where missing: the number, 1 or 0, days since 1970-01-01, or for texts a number
        that is the same for the same text.
    different: how many different values are among these. common, common_count: the most frequent one of them.
    example: the first cell with a value, as it is written.
    texts: the count of each different text, the most frequent first; empty if there are more than 1,000.
    minimum, quartiles, maximum: of numbers and dates. far: values more than 3 interquartile ranges beyond a quartile,
        of those kept; 0 where the interquartile range is 0.
    is_whole: all numbers are whole. has_leading_zeros: some are written such as 007.
    order: `rising` or `falling` where no value is smaller or larger than the one before it, with at least 2 different
        ones and none missing. is_running: each number is the one before it plus 1.
    has_times: some dates have a time of day. other_format: what the dates may be as well; None: nothing else.
    """

    name: str
    place: int
    kind: ColumnKind | None
    rows: int
    missing: int
    wrong: int
    first_wrong: tuple[int, str] | None
    values: Floats = field(repr=False)
    different: int
    common: str
    common_count: int
    example: str
    texts: Mapping[str, int] = field(repr=False)
    minimum: float
    quartiles: tuple[float, float, float]
    maximum: float
    far: int
    is_whole: bool
    has_leading_zeros: bool
    order: Literal["", "rising", "falling"]
    is_running: bool
    has_times: bool
    other_format: str | None

    @property
    def present(self) -> int:
        """How many cells hold a value of the column's kind."""
        return self.rows - self.missing - self.wrong

    @property
    def kept(self) -> int:
        """How many of the rows kept have a value."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    @property
    def is_constant(self) -> bool:
        """Whether all values that there are are the same."""
        return self.different == 1 and not self.wrong

    @property
    def is_all_different(self) -> bool:
        """Whether no value comes twice; of 2 values or more."""
        return 1 < self.kept == self.different


@dataclass(frozen=True, eq=False)
class Survey:
    """What a table holds. step: every how many rows one is kept. decimal: the mark that its numbers have."""

    table: Table
    rows: int
    step: int
    columns: tuple[ColumnSurvey, ...]

    def __getitem__(self, name: str) -> ColumnSurvey:
        return self.columns[self.table.names.index(name)]

    @functools.cached_property
    def copies(self) -> Mapping[str, str]:
        """Columns that hold in every row kept what an earlier one holds: name -> the earlier one's name."""
        first: dict[tuple[bool, bytes], str] = {}
        found = {}
        for column in self.columns:
            if column.kept and column.different > 1:
                key = column.kind is None, _digest(column.values)
                if key in first:
                    found[column.name] = first[key]
                else:
                    first[key] = column.name
        return found

    def tells(self, name: str, target: str, *, classes: bool) -> float:
        """How well column `name` alone tells the target, from 0 (as well as a constant guess) to 1 (always).

        classes: the share of a constant guess's errors that is avoided by the best class for each category, or for
        numbers in each of up to 100 ranges, or by the best single threshold. Otherwise the share of the target's
        variance that is explained by a mean for each category, or for numbers by a straight line, of the values or of
        their ranks. Missing values count as a category. Categories and ranges have at least 5 rows on average, else
        nothing is told: 0. Of more than 20,000 rows only every second, third and so on is looked at.
        """
        every = -(-len(self[target].values) // _MOST_COMPARED)
        column, y = self[name], self[target].values[::every]
        known = ~np.isnan(y)
        values, y = column.values[::every][known], y[known]
        if len(y) < _FEWEST_ROWS or column.different < 1:
            return 0.0
        is_amount = column.kind is not None
        return (_tells_class if classes else _tells_number)(values, y, is_amount=is_amount)


def survey(path: Path, *, header: bool | None = None, decimal: Literal[".", ","] | None = None) -> Survey:
    """Reads the table in `path`. header: as data.header; decimal: None decides by the cells.

    Raises:
        DataError: there is no such file, or it is not a sound table: see `csv_file.layout` and `csv_rows.rows`.
    """
    if (kind := kind_of((path,), str(path), is_argument=True)) != "csv":
        if path.suffix.lower() == ".zip":
            raise DataError(f"{path}: holds no CSV file (.csv, .tsv or .txt): unpack it, and name a table")
        raise DataError(
            f"{path}: a file of arrays ({kind}); a table of columns is expected: .csv, .tsv or .txt, also .gz"
        )
    try:
        return _survey(path, header, decimal)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _survey(path: Path, header: bool | None, decimal: Literal[".", ","] | None) -> Survey:
    if decimal is None:
        decimal = "," if _has_decimal_comma(layout_of_file(path, header, ".")) else "."
    table = layout_of_file(path, header, decimal)
    readings = [_Reading(decimal) for _ in table.names]
    most = max(MOST_KEPT // len(table.names), 2)
    rows, step, kept = 0, 1, 0
    for block in blocks(table):
        if block.fault is not None:
            raise block.fault
        first = -rows % step
        for reading, cells in zip(readings, block.columns, strict=True):
            reading.take(cells, block.lines, slice(first, None, step))
        rows += len(block.lines)
        kept += len(range(first, len(block.lines), step))
        while kept > most:
            step, kept = 2 * step, (kept + 1) // 2
            for reading in readings:
                reading.thin()
    if not rows:
        raise DataError(f"{path}: no rows of data{' under the header' if table.has_header else ''}")
    columns = [readings.pop(0).column(name, place) for place, name in enumerate(table.names)]
    return Survey(table, rows, step, tuple(columns))


def _has_decimal_comma(table: Table) -> bool:
    """Whether the first rows have numbers with a decimal comma, such as 1,5, and none with a point."""
    block = next(blocks(table), None)
    if block is None or table.separator == ",":
        return False
    cells = {cell for column in block.columns for cell in column}
    commas = any(map(_DECIMAL_COMMA.fullmatch, cells))
    return commas and not any("." in cell and number(cell) is not None for cell in cells)


class _Amounts:
    """The numbers of a column, NaN where there is none, as the blocks come."""

    def __init__(self, kept: Sequence[Floats] = ()) -> None:
        self.kept = list(kept)
        self.count = self.rows = 0
        self.minimum, self.maximum = math.inf, -math.inf
        self.is_whole = self.rises = self.falls = self.runs = True
        self._last: float | None = None

    def copy(self) -> _Amounts:
        """The same, to be continued on its own."""
        other = _Amounts()
        vars(other).update(vars(self) | {"kept": list(self.kept)})
        return other

    def take(self, values: Floats, keep: slice) -> None:
        """Takes a block (N,)."""
        self.kept.append(values[keep])
        self.rows += len(values)
        there = values[~np.isnan(values)]
        if not len(there):
            return
        self.count += len(there)
        self.minimum, self.maximum = min(self.minimum, float(there.min())), max(self.maximum, float(there.max()))
        self.is_whole = self.is_whole and bool((there == np.floor(there)).all())
        if self.rises or self.falls:
            steps = np.diff(there) if self._last is None else np.diff(there, prepend=self._last)
            self.rises, self.falls = self.rises and bool((steps >= 0).all()), self.falls and bool((steps <= 0).all())
            self.runs = self.runs and bool((steps == 1).all())
        self._last = float(there[-1])

    @property
    def order(self) -> Literal["", "rising", "falling"]:
        """See `ColumnSurvey`."""
        if self.count < self.rows or self.minimum == self.maximum:
            return ""
        return "rising" if self.rises else "falling" if self.falls else ""


class _Reading:
    """A column while it is read: as numbers, as texts, and as each other kind that all cells so far may be of."""

    def __init__(self, decimal: str) -> None:
        self.decimal = decimal
        self.amounts = _Amounts()
        self.others: dict[ColumnKind, tuple[_Memo, _Amounts]] = {}
        self.hash_of, self.number_of = _Memo(_hash_of), _Memo(functools.partial(_number_of, decimal))
        self.hashes: list[npt.NDArray[np.int64]] | None = None  # of the texts kept; None: all cells were numbers so far
        self.texts: Counter[str] | None = Counter()  # of all cells; None: more than MOST_TEXTS
        self.rows = self.gaps = self.label_gaps = 0
        self.first_wrong: tuple[int, str] | None = None
        self.example: str | None = None

    def take(self, cells: Sequence[str], lines: Sequence[int], keep: slice) -> None:
        """Takes a block of cells, of which `keep` are kept."""
        self.rows += len(cells)
        self._count(cells)
        if self.example is None:
            self.example = next((cell for cell in cells if not is_missing(cell)), None)
        found = numbers(cells, self.decimal) if self.hashes is None else None
        if found is not None:
            self.amounts.take(found, keep)
            gaps = np.flatnonzero(np.isnan(found)).tolist()
            self.gaps += len(gaps)
            self.label_gaps += sum(is_missing_label(cells[place]) for place in gaps)
            return
        if self.hashes is None:
            self._begin_texts()
        assert self.hashes is not None
        hashes = self.hash_of.of_each(cells, np.int64)
        self.label_gaps += int(np.count_nonzero(hashes == _GAP))
        self.hashes.append(hashes[keep])
        if not (self.texts is None and not self.others and self.amounts.count < self.rows / 2):
            self._take_as_kinds(cells, lines, keep)
        else:
            self.amounts.rows += len(cells)

    def _count(self, cells: Sequence[str]) -> None:
        if self.texts is not None:
            self.texts.update(cells)
            if len(self.texts) > MOST_TEXTS:
                self.texts = None

    def _begin_texts(self) -> None:
        """At the first cell that is neither a plain number nor missing."""
        before = np.concatenate([np.empty(0), *self.amounts.kept]).tolist()
        hashes = [_GAP if math.isnan(value) else hash(label_text(value)) >> 1 for value in before]
        self.hashes = [np.array(hashes, np.int64)]
        takes_numbers = self.amounts.count > 0
        self.others = {
            kind: (_Memo(functools.partial(_value_of, kind, self.decimal)), self.amounts.copy())
            for kind in _other_kinds(self.decimal)
            if not takes_numbers or (isinstance(kind, Number) and not kind.percent)
        }

    def _take_as_kinds(self, cells: Sequence[str], lines: Sequence[int], keep: slice) -> None:
        values = self.number_of.of_each(cells, np.float64)
        self.gaps += int(np.count_nonzero(np.isnan(values)))
        wrong = np.isinf(values)
        self.amounts.take(np.where(wrong, math.nan, values), keep)
        doubtful: list[str] = []
        if wrong.any():
            place = int(wrong.argmax())
            self.first_wrong = self.first_wrong or (lines[place], cells[place])
            doubtful = [cells[place]]  # what few kinds take first
        for kind, (value_of, amounts) in list(self.others.items()):
            try:
                value_of.of_each(doubtful, np.float64)
                amounts.take(value_of.of_each(cells, np.float64), keep)
            except _OfAnotherKindError:
                del self.others[kind]

    def thin(self) -> None:
        """Keeps every second of the rows kept."""
        for amounts in (self.amounts, *(amounts for _, amounts in self.others.values())):
            amounts.kept = [np.concatenate([np.empty(0), *amounts.kept])[::2].copy()]
        if self.hashes is not None:
            self.hashes = [np.concatenate(self.hashes)[::2].copy()]

    def column(self, name: str, place: int) -> ColumnSurvey:
        """What was found, at the end."""
        kind, other_format = self._kind()
        amounts = None if kind is None else self.others[kind][1] if kind in self.others else self.amounts
        wrong = self.rows - self.gaps - self.amounts.count if kind == Number() and self.hashes is not None else 0
        if amounts is None:
            amounts = _Amounts([_places(self.hashes)] if self.hashes else self.amounts.kept)
            amounts.rises = amounts.falls = amounts.is_whole = amounts.runs = False
        values = np.concatenate([np.empty(0), *amounts.kept])
        if kind == Date() and self.hashes is None:
            amounts, values = self.amounts, _days(values)
            amounts.minimum, amounts.maximum = float(np.nanmin(values)), float(np.nanmax(values))
        there = np.sort(values[~np.isnan(values)])
        starts = np.flatnonzero(np.diff(there, prepend=math.nan))
        counts = np.diff(starts, append=len(there))
        quartiles = _quartiles(there) if kind is not None else (math.nan,) * 3
        texts = {} if self.texts is None else self._texts(as_labels=kind is None)
        common, common_count = "", 0
        if len(counts):
            common, common_count = _written(kind, float(there[starts[counts.argmax()]])), int(counts.max())
        if kind is None:
            common, common_count = next(iter(texts.items()), (self.example or "", common_count))
        return ColumnSurvey(
            name=name,
            place=place,
            kind=kind,
            rows=self.rows,
            missing=self.label_gaps if kind is None else self.gaps,
            wrong=wrong,
            first_wrong=self.first_wrong if wrong else None,
            values=values,
            different=len(starts),
            common=common,
            common_count=common_count,
            example=self.example or "",
            texts=texts,
            minimum=amounts.minimum if kind is not None else math.nan,
            quartiles=quartiles,
            maximum=amounts.maximum if kind is not None else math.nan,
            far=_far(there, quartiles) if kind is not None else 0,
            is_whole=isinstance(kind, Number) and amounts.is_whole,
            has_leading_zeros=isinstance(kind, Number) and any(map(_LEADING_ZERO.fullmatch, texts)),
            order=amounts.order,
            is_running=isinstance(kind, Number) and amounts.order == "rising" and amounts.runs,
            has_times=isinstance(kind, Date) and not amounts.is_whole,
            other_format=other_format,
        )

    def _texts(self, *, as_labels: bool) -> dict[str, int]:
        assert self.texts is not None
        is_gap = is_missing_label if as_labels else is_missing
        return {text: count for text, count in self.texts.most_common() if not is_gap(text)}

    def _kind(self) -> tuple[ColumnKind | None, str | None]:
        """The kind, and what the form of its dates may be as well."""
        if self.hashes is None:
            amounts = self.amounts
            if not amounts.count:
                return None, None
            may_be_dates = amounts.is_whole and _FIRST_DATE <= amounts.minimum <= amounts.maximum <= _LAST_DATE
            kept = np.concatenate([np.empty(0), *amounts.kept])
            return (Date() if may_be_dates and _are_dates(kept) else Number()), None
        if self.first_wrong is None and self.amounts.count:
            return Number(), None
        if not self.others or self.gaps == self.rows:
            return (Number() if 2 * self.amounts.count > self.rows - self.gaps else None), None
        for day_first, month_first in _MONTH_FIRST.items():
            for time in _TIMES:
                forms = [Date(format=day_first + time), Date(format=month_first + time)]
                if set(forms) <= set(self.others):
                    ordered = [form for form in forms if self.others[form][1].order]
                    return (ordered[0], None) if len(ordered) == 1 else (forms[0], forms[1].format)
        return next(iter(self.others)), None


_GAP = -1 << 63
_MOST_REMEMBERED = 10_000
_LEADING_ZERO = re.compile(r"0\d+")


class _Memo(dict[str, float]):
    """The values of a function of texts, remembered for those that came last, up to about 10,000."""

    def __init__(self, function: Callable[[str], float]) -> None:
        super().__init__()
        self.function = function

    def __missing__(self, text: str) -> float:
        value = self[text] = self.function(text)
        return value

    def of_each(self, cells: Sequence[str], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """The value of each cell, (N,)."""
        if len(self) > _MOST_REMEMBERED:
            self.clear()
        return np.fromiter(map(self.__getitem__, cells), dtype, len(cells))


class _OfAnotherKindError(Exception):
    """A text is not of a kind."""


def _hash_of(text: str) -> int:
    return _GAP if is_missing_label(text) else hash(text) >> 1


def _number_of(decimal: str, text: str) -> float:
    """The number in a cell, NaN if it is missing, infinity for a word."""
    if is_missing(text):
        return math.nan
    value = number(text, decimal)
    return math.inf if value is None else value


def _value_of(kind: ColumnKind, decimal: str, text: str) -> float:
    value = kind.value(text, decimal)
    if value is None:
        raise _OfAnotherKindError
    return value


@functools.cache
def _other_kinds(decimal: str) -> tuple[ColumnKind, ...]:
    """What a column of texts may be other than categories, the likelier first."""
    mark: Literal[".", ","] = "." if decimal == "," else ","
    marks: tuple[Literal[",", ".", "'", " "], ...] = (mark, "'", " ")
    return (
        YesNo(),
        Date(),
        *(Date(format=day + time) for day in DATE_FORMATS for time in _TIMES),
        Number(percent=True),
        Number(percent=True, thousands=mark),
        *(Number(thousands=mark) for mark in marks),
        *(Number(currency=sign) for sign in _CURRENCIES),
        *(Number(currency=sign, thousands=mark) for sign in _CURRENCIES for mark in marks),
    )


def _are_dates(values: Floats) -> bool:
    """Whether whole numbers are dates such as 20240531, each of them."""
    there = np.unique(values[~np.isnan(values)])
    return all(Date().value(str(int(value)), ".") is not None for value in there.tolist())


def _days(values: Floats) -> Floats:
    """Days since 1970-01-01 of dates such as 20240531."""
    there, inverse = np.unique(values, return_inverse=True)
    days = [math.nan if math.isnan(value) else Date().value(str(int(value)), ".") for value in there.tolist()]
    return np.array(days, np.float64)[inverse]


def _places(hashes: Sequence[npt.NDArray[np.int64]]) -> Floats:
    """A number for each text kept, the same for the same text; NaN where it is missing."""
    every = np.concatenate(hashes)
    _, places = np.unique(every, return_inverse=True)
    return np.where(every == _GAP, math.nan, places.astype(np.float64))


def _quartiles(there: Floats) -> tuple[float, float, float]:
    if not len(there):
        return (math.nan,) * 3
    first, median, third = np.quantile(there, [0.25, 0.5, 0.75]).tolist()
    return first, median, third


def _far(there: Floats, quartiles: tuple[float, float, float]) -> int:
    """See `ColumnSurvey`."""
    first, _, third = quartiles
    reach = _FAR * (third - first)
    return int(np.count_nonzero((there < first - reach) | (there > third + reach))) if reach > 0 else 0


def _written(kind: ColumnKind | None, value: float) -> str:
    """A value as text."""
    if isinstance(kind, Date):
        moment = datetime(1970, 1, 1) + timedelta(days=value)
        return moment.date().isoformat() if value.is_integer() else moment.isoformat(" ", "seconds")
    if isinstance(kind, YesNo):
        return "yes" if value else "no"
    return label_text(value)


def _digest(values: Floats) -> bytes:
    """The same for the same numbers; for numbers that stand for texts, for the same texts in the same places."""
    import hashlib

    return hashlib.blake2b(np.ascontiguousarray(values + 0.0).tobytes()).digest()


# how well a column tells another

_FEWEST_ROWS = 20
_FEWEST_ERRORS = 10  # of a constant guess: with fewer, chance does
_RANGES = 100
_MOST_COMPARED = 20_000
_ROWS_IN_GROUP = 5


def _tells_class(values: Floats, y: Floats, *, is_amount: bool) -> float:
    """See `Survey.tells`."""
    _, classes = np.unique(y, return_inverse=True)
    shares = np.bincount(classes)
    errors = len(y) - int(shares.max())
    if errors < _FEWEST_ERRORS:
        return 0.0
    found = [0]
    groups = _groups(values, is_amount=is_amount)
    if groups is not None:
        found.append(_most_in_groups(groups, classes))
    if is_amount and len(shares) == 2:
        found.append(_best_threshold(values, classes))
    return max(0.0, (max(found) - int(shares.max())) / errors)


def _tells_number(values: Floats, y: Floats, *, is_amount: bool) -> float:
    """See `Survey.tells`."""
    found = [0.0]
    groups = None if is_amount else _groups(values, is_amount=False)
    if groups is not None and (total := float(((y - y.mean()) ** 2).sum())) > 0:
        counts = np.bincount(groups)
        means = np.bincount(groups, y) / np.maximum(counts, 1)
        found.append(1.0 - float(((y - means[groups]) ** 2).sum()) / total)
    there = ~np.isnan(values)
    if is_amount and there.sum() > max(_FEWEST_ROWS, len(y) / 2):
        found += [_squared_correlation(values[there], y[there])]
        found += [_squared_correlation(_ranks(values[there]), _ranks(y[there]))]
    return max(found)


def _groups(values: Floats, *, is_amount: bool) -> npt.NDArray[np.int64] | None:
    """The number of each row's category or range; None if these would have fewer than 5 rows on average."""
    there = ~np.isnan(values)
    different, places = np.unique(values[there], return_inverse=True)
    if len(different) * _ROWS_IN_GROUP > there.sum():
        if not is_amount or there.sum() < _FEWEST_ROWS:
            return None
        count = min(_RANGES, int(there.sum()) // _ROWS_IN_GROUP)
        edges = np.unique(np.quantile(different, np.arange(1, count) / count))
        places = np.searchsorted(edges, values[there])
    groups = np.zeros(len(values), np.int64)
    groups[there] = places + 1
    return groups


def _most_in_groups(groups: npt.NDArray[np.int64], classes: npt.NDArray[np.int64]) -> int:
    """How many rows are of their group's most frequent class."""
    width = int(classes.max()) + 1
    pairs, counts = np.unique(groups * width + classes, return_counts=True)
    owners = pairs // width
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    return int(np.maximum.reduceat(counts, starts).sum())


def _best_threshold(values: Floats, classes: npt.NDArray[np.int64]) -> int:
    """How many of the rows the best threshold between two classes tells, and the better class for missing values."""
    there = ~np.isnan(values)
    x, y = values[there], classes[there]
    if not len(x):
        return 0
    order = np.argsort(x, kind="stable")
    x, ones = x[order], np.cumsum(y[order])
    ends = np.flatnonzero(np.diff(x, append=math.inf))
    below = ends + 1
    right = (below - ones[ends]) + (ones[-1] - ones[ends])  # class 0 up to the threshold, class 1 above it
    best = int(np.maximum(right, len(x) - right).max())
    gaps = classes[~there]
    return best + max(int(gaps.sum()), len(gaps) - int(gaps.sum()))


def _ranks(values: Floats) -> Floats:
    """The place of each value in the order of the different ones."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[places])


def _squared_correlation(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(), y - y.mean()
    norm = float((x @ x) * (y @ y))
    return float(x @ y) ** 2 / norm if 0 < norm < math.inf else 0.0
