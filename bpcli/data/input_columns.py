"""The input columns of a table as they are read: cells become numbers by the column's kind, or a fault to tell of.

A column without a kind in the config holds numbers. Where it turns out to hold texts, it is taken as one of categories
if there are at most 50 different ones, on average at least two rows for each, and none of the other kinds would do;
else the error says which line of a config would do.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from bpcli.data.csv_cells import Table, cell_fault, looks_numeric, names_advice, numbers, place_of
from bpcli.data.kinds import NO, YES, Category, Date, Number
from bpcli.data.types import ColumnKind
from bpcli.errors import DataError
from bpcli.text import shown

MOST_CATEGORIES = 50
_MOST_DIFFERENT = 1000  # texts of a column that are kept to be looked at
_PLAIN_NAME = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_YAML_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_CURRENCIES = "$€£¥"


@dataclass
class InputColumn:
    """A column while it is read. is_given: the config names its kind; column: its place in the table."""

    column: int
    kind: ColumnKind
    decimal: str
    is_given: bool = True
    values: array[float] = field(default_factory=lambda: array("d"))
    index: dict[str, float] = field(default_factory=dict)
    """Of each text of a category the number that stands for it, in the order of their first cells."""
    gap: tuple[int, str] | None = None
    """Line and text of the first cell with a missing value."""
    wrong: tuple[int, str] | None = None
    """Line and text of the first cell of another kind."""
    wrong_count: int = 0
    different: dict[str, None] = field(default_factory=dict)
    """The first 1,000 different texts among the cells of another kind."""

    def take(self, cells: Sequence[str], lines: Sequence[int]) -> None:
        """Takes further cells, and the lines they stand in."""
        is_plain = isinstance(self.kind, Number) and self.kind.is_plain
        found = numbers(cells, self.decimal) if is_plain else None
        if found is None:
            self.values.extend(self._values(cells, lines))
            return
        self.values.frombytes(found.tobytes())
        if self.gap is None and (gaps := np.isnan(found)).any():
            place = int(gaps.argmax())
            self.gap = lines[place], cells[place]

    def _values(self, cells: Sequence[str], lines: Sequence[int]) -> list[float]:
        is_category = isinstance(self.kind, Category)
        of_text = self.index.copy() if is_category else dict[str, float]()
        gaps, wrong = set[str](), set[str]()
        for text in dict.fromkeys(cells):
            if text in of_text:
                continue
            value = self.kind.value(text, self.decimal)
            if value is None and isinstance(self.kind, Date):
                value = self.kind.stored_value(text)
            if value is None and is_category:
                value = self.index[text] = float(len(self.index))
            elif value is None:
                wrong.add(text)
                value = math.nan
            elif math.isnan(value):
                gaps.add(text)
            of_text[text] = value
        if gaps and self.gap is None:
            self.gap = next((line, cell) for line, cell in zip(lines, cells, strict=True) if cell in gaps)
        if wrong:
            self._note(wrong, cells, lines)
        return list(map(of_text.__getitem__, cells))

    def _note(self, wrong: set[str], cells: Sequence[str], lines: Sequence[int]) -> None:
        if self.wrong is None:
            self.wrong = next((line, cell) for line, cell in zip(lines, cells, strict=True) if cell in wrong)
        self.wrong_count += sum(map(wrong.__contains__, cells))
        for text in cells:
            if len(self.different) <= _MOST_DIFFERENT and text in wrong:
                self.different[text] = None

    @property
    def number_count(self) -> int:
        """How many cells hold a number."""
        return len(self.values) - int(np.isnan(np.frombuffer(self.values)).sum())

    @property
    def gap_count(self) -> int:
        """How many values are missing."""
        return len(self.values) - self.number_count - self.wrong_count

    @property
    def holds_texts(self) -> bool:
        """Whether it holds texts rather than numbers with mistakes among them."""
        return not self.is_given and 1 < self.wrong_count > self.number_count

    @property
    def texts(self) -> tuple[str, ...] | None:
        """Of a column of categories the text that each number stands for."""
        return tuple(self.index) if isinstance(self.kind, Category) else None


class TextColumnsError(DataError):
    """Columns without a kind hold texts."""

    def __init__(self, table: Table, columns: Sequence[InputColumn]) -> None:
        self.table, self.columns = table, columns
        super().__init__(*(_advice(table, column) for column in columns))

    def categories(self) -> dict[str, ColumnKind]:
        """The columns as such of categories.

        Raises:
            DataError: some cannot be taken as such without being asked.
        """
        others = [_advice(self.table, column) for column in self.columns if not _may_be_categories(column)]
        if others:
            raise DataError(*others)
        return {self.table.names[column.column]: Category() for column in self.columns}

    def note(self) -> str:
        """Which columns were taken as categories, and what the config would say."""
        names = [self.table.names[column.column] for column in self.columns]
        counts = [f"{shown(n)} ({len(c.different)} different)" for n, c in zip(names, self.columns, strict=True)]
        keys = ", ".join(f"{yaml_name(name)}: category" for name in names)
        return f"{self.table.path}: taken as categories: {', '.join(counts)}; in the config: data.columns: {{{keys}}}"


def fault_of(table: Table, inputs: Sequence[InputColumn], *, at_once: bool = False) -> DataError | None:
    """The error for the first cell that is not of its column's kind; None if all are, or may yet turn out to be texts.

    at_once: there are further rows to judge the columns by, if need be.
    """
    found = [(column.wrong[0], place, column) for place, column in enumerate(inputs) if column.wrong]
    if not found:
        return None
    line, _, first = min(found, key=lambda item: item[:2])
    assert first.wrong is not None
    cell = first.wrong[1]
    plain = isinstance(first.kind, Number) and first.kind.is_plain
    if table.is_argument or first.is_given or looks_numeric(cell):
        if plain:
            return cell_fault(table, line, first.column, cell, _cell_advice(table, line, first))
        return DataError(
            f"{place_of(table, line, first.column)}: got {shown(cell)}, expected {_expected(first.kind, table)}"
        )
    if at_once:
        return None
    if not first.holds_texts:
        return cell_fault(table, line, first.column, cell, _cell_advice(table, line, first))
    return TextColumnsError(table, [column for column in inputs if column.holds_texts])


def _expected(kind: ColumnKind, table: Table) -> str:
    """What a cell of a column of this kind should hold, and what to do."""
    what = kind.expected
    if isinstance(kind, Number):
        marks = [f"thousands: {shown(kind.thousands)}"] if kind.thousands else []
        marks += [f"currency: {shown(kind.currency)}"] if kind.currency else []
        what += f" ({', '.join([*marks, *(['percent: true, so that % stands behind it'] if kind.percent else [])])})"
    if isinstance(kind, Date):
        if kind.format:
            what = f"a date as {shown(kind.format)} says"
        elif not table.is_argument:
            what += '; other forms with format, as in {kind: date, format: "%d/%m/%Y"}'
    if table.is_argument:
        return f"{what}, as in the training data; correct the cell"
    return f"{what}; correct the cell, or its column's kind in data.columns"


def _cell_advice(table: Table, line: int, column: InputColumn) -> str:
    """What to do about a single cell that holds text among numbers."""
    if table.is_argument:
        return "the network was trained on numbers there"
    key = _columns_key(table, column, "category")
    return f"correct the cell or drop the row; a column of texts is left out with data.exclude, or taken with {key}" + (
        names_advice(line)
    )


def _columns_key(table: Table, column: InputColumn, kind: str) -> str:
    return f"data.columns: {{{yaml_name(table.names[column.column])}: {kind}}}"


def _may_be_categories(column: InputColumn) -> bool:
    """See the module's rule."""
    few = len(column.different) <= min(MOST_CATEGORIES, column.wrong_count / 2)
    return few and _other_kind(column) is None and column.number_count == 0


def _advice(table: Table, column: InputColumn) -> str:
    """What to do about a column of texts that no kind is given for."""
    assert column.wrong is not None
    line, cell = column.wrong
    name = yaml_name(table.names[column.column])
    what = f"{place_of(table, line, column.column)} holds text, such as {shown(cell)}"
    if kind := _other_kind(column):
        return f"{what}, expected numbers: to take it as {kind[0]}, set {_columns_key(table, column, kind[1])}"
    count = len(column.different)
    many = f"{'more than ' if count > _MOST_DIFFERENT else ''}{min(count, _MOST_DIFFERENT):,}"
    return (
        f"{what}, expected numbers; it has {many} different texts in {len(column.values):,} rows, which are not taken "
        f"as categories unasked: leave it out with data.exclude: [{name}], or set "
        f"{_columns_key(table, column, 'category')}{names_advice(line)}"
    )


def _other_kind(column: InputColumn) -> tuple[str, str] | None:
    """(in words, as in a config) of the kind other than a category that all of the column's texts are of."""
    texts = list(column.different)
    if {text.strip().lower() for text in texts} <= YES | NO:
        return "yes or no", "yes_no"
    mark: Literal[".", ","] = "." if column.decimal == "," else ","
    thousands = f'thousands: "{mark}"'
    candidates: list[tuple[str, str, ColumnKind]] = [
        ("dates", "date", Date()),
        ("percentages", "{kind: number, percent: true}", Number(percent=True)),
        ("numbers", f"{{kind: number, {thousands}}}", Number(thousands=mark)),
    ]
    for sign in _CURRENCIES:
        words, key = f"amounts of {sign}", f'kind: number, currency: "{sign}"'
        candidates.append((words, f"{{{key}}}", Number(currency=sign)))
        candidates.append((words, f"{{{key}, {thousands}}}", Number(currency=sign, thousands=mark)))
    for words, key, kind in candidates:
        if all(kind.value(text, column.decimal) is not None for text in texts):
            return words, key
    return None


def yaml_name(name: str) -> str:
    """A column's name as a key or item of YAML on one line."""
    return (
        name
        if _PLAIN_NAME.fullmatch(name) and name.lower() not in _YAML_WORDS
        else json.dumps(name, ensure_ascii=not name.isprintable())
    )


def matrix(inputs: Sequence[InputColumn]) -> npt.NDArray[np.float64]:
    """The columns' numbers, (N, D)."""
    return np.column_stack([np.frombuffer(column.values) for column in inputs])


def texts_of(names: Sequence[str], inputs: Sequence[InputColumn]) -> Mapping[str, tuple[str, ...]]:
    """Of each column of categories the texts that its numbers stand for."""
    return {names[column.column]: texts for column in inputs if (texts := column.texts) is not None}
