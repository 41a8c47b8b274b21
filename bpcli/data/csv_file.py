"""CSV files: a table of numbers, with a column or more for the target, which may hold text labels.

The separator is a tab in .tsv files. Elsewhere it is, of tab, semicolon and comma in this order, the first
that splits each of the first ten rows into the same number (2 or more) of cells; if none does so, the first
that splits the first row at all; a file without any has one column. So `1,5;2,5` is two cells. Where the comma
is the decimal mark it separates nothing.

Line 1 is a header if no cell of it reads as a number (`nan`, `1,5` and the like count as numbers here, an
empty cell does not); `header` overrules. Names lose surrounding blanks. Without a header the columns are c1,
c2, ...

A file is UTF-8, with or without byte order mark, with any line end. Cells may be quoted with `"`; those that
are not lose the blanks around them; `#` means nothing. `csv_cells` says what is a number, and which cells are
missing values.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.data.csv_cells import Table, looks_numeric, number
from bpcli.data.csv_fast import read_fast
from bpcli.data.csv_lines import HEAD_BYTES, LineBlocks
from bpcli.data.csv_rows import Columns, read_exactly, rows_of
from bpcli.data.csv_stream import Wanted
from bpcli.data.kinds import kinds_of
from bpcli.data.stored import opened
from bpcli.data.types import ColumnKind, Missing, Names, RawData, Targets
from bpcli.errors import ConfigError, DataError, collected, together
from bpcli.text import did_you_mean, listed, shown

_SAMPLE_ROWS = 10
_OTHERS: tuple[tuple[str, str | None], ...] = (('"|"', "|"), ('":"', ":"), ("blanks", None))


def read_csv(
    path: Path,
    label: str,
    features: Names,
    target: Names,
    *,
    header: bool | None,
    need_target: bool,
    missing: Missing,
    decimal: str,
    targets: Targets = "any",
    is_argument: bool = False,
    exclude: Sequence[str] = (),
    columns: Mapping[str, ColumnKind] | None = None,
    group: str | None = None,
) -> RawData:
    """x (N, D) float64 from the columns `features`, y (N,) or (N, M) from `target`; see `read`.

    y is (N,) for one target column, numbers or text labels. Of columns that are neither feature nor target
    only the cells are counted.

    Raises:
        DataError: a column is missing, or a line is wrong: see `csv_rows.read_exactly`.
    """
    table = dataclasses.replace(layout_of_file(path, header, decimal), is_argument=is_argument)
    by_kind = columns is not None
    given = dict(columns or {})
    x_columns, y_columns, group_column = _choose(table, features, target, need_target, exclude, given, group)
    read = None
    if not (by_kind or group) and not (y_columns and targets == "labels"):
        fast = read_fast(table, x_columns, y_columns, missing, targets)
        read = fast and Columns(*fast)
    read = read or read_exactly(table, x_columns, y_columns, missing, targets, given=given, group=group_column)
    y = read.y
    return RawData(
        label,
        read.x,
        None if not y_columns else y[:, 0].copy() if len(y_columns) == 1 else y,
        tuple(table.names[column] for column in x_columns),
        tuple(table.names[column] for column in y_columns) or None,
        (path,),
        _label_numbers(y, decimal) if targets == "classes" and y.dtype.kind == "U" else None,
        kinds_of(tuple(table.names[column] for column in x_columns), given) if by_kind else None,
        read.texts,
        read.groups,
    )


def chosen_for_stream(
    path: Path,
    head: bytes,
    features: Names,
    *,
    header: bool | None,
    missing: Missing,
    decimal: str,
    columns: Mapping[str, ColumnKind] | None,
    keep: Sequence[str] = (),
    skips_bad: bool = False,
) -> tuple[Table, Wanted]:
    """How a table is laid out whose first bytes are `head`, and what is read of it by `csv_stream.read_blocks`.

    Raises:
        DataError: line 1 is wrong, or a column is missing.
    """
    table = dataclasses.replace(layout(path, head, header, decimal), is_argument=True)
    given = dict(columns or {})
    x_columns, _, _ = _choose(table, features, None, False, (), given, None)
    kept = _find(table, keep, "--keep") if keep else ()
    kinds = kinds_of(tuple(table.names[column] for column in x_columns), given)
    return table, Wanted(x_columns, kinds, columns is not None, missing, kept, skips_bad)


def _label_numbers(labels: np.ndarray[Any, Any], decimal: str) -> dict[str, float] | None:
    """Each of the labels (N, 1) as a number; None if one is not."""
    numbers = {text: number(text, decimal) for text in set(labels[:, 0].tolist()) - {""}}
    found = {text: value for text, value in numbers.items() if value is not None}
    return found if len(found) == len(numbers) else None


def layout_of_file(path: Path, header: bool | None, decimal: str) -> Table:
    """How a file is laid out; see `layout`."""
    with opened(path) as file:
        head = LineBlocks(file).head()
    return layout(path, head, header, decimal)


def layout(path: Path, head: bytes, header: bool | None, decimal: str) -> Table:
    """How a file is laid out, by the bytes it begins with.

    Raises:
        DataError: it is empty, or line 1 is wrong.
    """
    sample = head[:HEAD_BYTES].decode("utf-8", "replace")
    separator = _separator(path, sample, decimal)
    text = io.StringIO(head.decode("utf-8", "surrogateescape"), newline="")
    line, first = next(rows_of(text, path, separator), (0, []))
    if not first:
        raise DataError(f"{path}: the file is empty")
    if len(first) == 1 and (mark := _other_separator(sample)):
        raise DataError(
            f"{path}:{line}: the cells are separated by {mark}, and commas, semicolons or tabs are expected: "
            "save the file with one of these between them"
        )
    if header is None:
        header = not any(map(looks_numeric, first))
    if not header:
        return Table(path, separator, tuple(f"c{index + 1}" for index in range(len(first))), False, decimal)
    names = tuple(name.strip() for name in first)
    if not any(names[1:]) and (below := _line_of_names(sample)):
        what = f"line {line}" if below == line + 1 else f"what comes before line {below}"
        raise DataError(f"{path}:{line}: a title, with the columns' names in line {below}: delete {what}")
    if "" in names:
        raise DataError(
            f"{path}:{line}: column {names.index('') + 1} has no name{_what_of_it(sample, separator, names)}"
        )
    if len(set(names)) < len(names):
        name = next(name for name, count in Counter(names).items() if count > 1)
        one = names.index(name)
        other = names.index(name, one + 1)
        raise DataError(f"{path}:{line}: columns {one + 1} and {other + 1} are both {shown(name)}; rename one")
    if decimal == "," and len(names) == 1 and "," in names[0]:
        raise DataError(
            f'{path}:{line}: data.decimal is ",", but the cells are separated by commas: save the file with ; or tab '
            'between them, or set data.decimal: "."'
        )
    return Table(path, separator, names, True, decimal)


def _line_of_names(sample: str) -> int | None:
    """The line below the first that has names, several and no numbers, if the next row has as many cells."""
    for separator in "\t;,":
        found = [(line, cells) for line, cells in _numbered_rows(sample, separator) if any(cells)][1:3]
        if len(found) == 2:
            (line, names), (_, cells) = found
            if len(names) == len(cells) > 1 and all(names) and not any(map(looks_numeric, names)):
                return line
    return None


def _what_of_it(sample: str, separator: str, names: Sequence[str]) -> str:
    """What to do about the first column without a name."""
    start = names.index("")
    second = _sample_rows(sample, separator)[1:2]
    if second and len(second[0]) == len(names) and not any(names[start:]) and not any(second[0][start:]):
        return " and is empty in line 2: delete the separators at the ends of the lines"
    return "; give it one"


def _separator(path: Path, sample: str, decimal: str) -> str:
    """See the module's rule."""
    if path.name.lower().removesuffix(".gz").endswith(".tsv"):
        return "\t"
    widths = {separator: _widths(sample, separator) for separator in ("\t;" if decimal == "," else "\t;,")}
    even = (separator for separator, found in widths.items() if found[0] > 1 and len(set(found)) == 1)
    splits = (separator for separator, found in widths.items() if found[0] > 1)
    return next(even, None) or next(splits, ";" if decimal == "," else ",")


def _other_separator(sample: str) -> str | None:
    """What splits each of the first rows of a file of one column into as many cells, 2 or more; None for nothing."""
    lines = sample.splitlines()
    for name, mark in _OTHERS:
        counts = {len(line.split(mark)) for line in lines[:_SAMPLE_ROWS] if line}
        if len(counts) == 1 and counts != {1}:
            return name
    return None


def _widths(sample: str, separator: str) -> list[int]:
    """The number of cells in each of the sample's first rows."""
    return [len(row) for row in _sample_rows(sample, separator)] or [0]


def _sample_rows(sample: str, separator: str) -> list[list[str]]:
    """The sample's first rows."""
    return [cells for _, cells in _numbered_rows(sample, separator)]


def _numbered_rows(sample: str, separator: str) -> list[tuple[int, list[str]]]:
    """The sample's first rows that are not blank, each with the line in which it ends."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator, skipinitialspace=True)
    found: list[tuple[int, list[str]]] = []
    with suppress(csv.Error):  # an open quote; what was read before it must do
        for row in itertools.islice(reader, _SAMPLE_ROWS):
            if row:
                found.append((reader.line_num, [cell.strip() for cell in row]))
    return found


def _choose(
    table: Table,
    features: Names,
    target: Names,
    need_target: bool,
    exclude: Sequence[str],
    given: Mapping[str, ColumnKind],
    group: str | None,
) -> tuple[Sequence[int], Sequence[int], int | None]:
    """The columns of x and of y, and that of the groups."""
    names, errors = table.names, list[ConfigError | DataError]()
    y_columns: list[int] = []
    x_columns: list[int] = []
    left_out: set[int] = set()
    group_column: int | None = None
    with collected(errors):
        if target is not None:
            wanted = [target] if isinstance(target, str) else list(target)
            if need_target or set(wanted) <= set(names):
                y_columns = _find(table, wanted, "data.target")
        elif need_target:
            y_columns = [len(names) - 1]
    if exclude:
        with collected(errors):
            left_out |= set(_find(table, exclude, "data.exclude"))
    if group is not None:
        with collected(errors):
            (group_column,) = _find(table, [group], "data.group")
            left_out.add(group_column)
            if group_column in y_columns:
                raise DataError(
                    f"{table.path}: data.group names {shown(group)}, the target: name the column whose rows belong "
                    "together, such as a person's"
                )
    if given and not table.is_argument:
        with collected(errors):
            further = [name for name in given if features is None or name not in features]
            if further:
                _find(table, further, "data.columns")
    with collected(errors):
        if features is not None:
            x_columns = _find(table, [features] if isinstance(features, str) else list(features), "data.features")
        else:
            x_columns = [column for column in range(len(names)) if column not in y_columns]
        x_columns = [column for column in x_columns if column not in left_out]
    if errors:
        raise together(errors)
    both = [names[column] for column in y_columns if column in x_columns]
    if both:
        raise DataError(f"{table.path}: column {shown(both[0])} is both a feature and the target; name data.target")
    if not x_columns:
        if exclude:
            raise DataError(f"{table.path}: data.exclude leaves no column beside the target; it has {listed(names)}")
        raise DataError(f"{table.path}: has only the column {listed(names)}; no feature is left beside the target")
    return x_columns, y_columns, group_column


def _find(table: Table, wanted: Sequence[str], key: str) -> list[int]:
    """The columns named in the config under `key`, in that order."""
    place = {name: column for column, name in enumerate(table.names)}
    missing = [name for name in wanted if name not in place]
    if missing:
        _check_header(table, wanted, missing)
        guesses = ", ".join(shown(name) + did_you_mean(name, table.names) for name in missing[:20])
        by_user = key.startswith("--") or not table.is_argument
        whose = f"named in {key}" if by_user else "which the network was trained on"
        if table.is_argument and key == "data.target":
            whose = "the target to compare predictions with; bpcli predict needs none"
        raise DataError(f"{table.path}: no column {guesses}, {whose}; it has {listed(table.names)}")
    if not wanted or len(set(wanted)) < len(wanted):
        raise DataError(f"{table.path}: {key} names {'a column twice' if wanted else 'no column'}")
    return [place[name] for name in wanted]


def _check_header(table: Table, wanted: Sequence[str], missing: Sequence[str]) -> None:
    """DataError if the columns are not found for want of the names in line 1, or because there are names in it."""
    by_number = [re.fullmatch(r"c\d+", name) is not None for name in wanted]
    if all(map(looks_numeric, table.names)) or not (table.has_header or any(by_number)):
        more = len(table.names) - len(wanted)
        header = table.separator.join((*(f"x{index + 1}" for index in range(more)), *wanted))
        is_sure = len(table.names) <= 20 and (more == 0 or len(wanted) == 1)  # else which are they?
        example = f"such as {header}" if is_sure else f"one for each of the {len(table.names)} columns, in their order"
        raise DataError(
            f"{table.path}:1: holds numbers where the columns' names are expected, to find {listed(missing)} by: "
            f"put them into a line above the first, {example}"
        )
    if table.has_header and all(by_number):
        raise DataError(
            f"{table.path}:1: holds names, {listed(table.names)}, but the columns are to be found by their numbers, "
            f"{listed(wanted)}, as in a file without a header: delete line 1, or train with names in line 1"
        )
