"""What to make of a table whose columns nobody has described: target and task, inputs and what is left out, the split.

Each rule is a function of a `Survey`, with its limits at the top, and each choice has the reason in words: `bpcli init
--data` writes both into a config, where they can be changed.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bpcli.data.csv_cells import place_of
from bpcli.data.input_columns import MOST_CATEGORIES
from bpcli.data.kinds import Category, Date, DatePart, Number, YesNo
from bpcli.data.survey import ColumnSurvey, Survey
from bpcli.data.types import ColumnKind
from bpcli.errors import DataError
from bpcli.text import did_you_mean, listed, plural, shown

TARGET_NAMES = ("target", "label", "labels", "class", "y", "outcome", "response")
MOST_CLASSES_OF_NUMBERS = 10
ROWS_OF_A_CLASS = 10
MOST_CLASSES = 1000
ROWS_OF_A_CATEGORY = 10
"""On average, for a column of more than 50 categories; 2 for one of fewer."""
FEWEST_COUNTED = 10
"""Rows from which on numbers that rise by 1 count the rows, or texts all different are ids, and not by chance."""
FEWEST_OTHERS = 3
"""Rows with another value than the most frequent one."""
ROWS_OF_A_GROUP, MOST_ROWS_OF_A_GROUP, FEWEST_GROUPS = 2, 50, 20
"""On average; a column of larger groups is one of categories, which new rows have too."""
FEWEST_VALUES, FEWEST_VALUES_SHARE = 10, 0.1
"""Values of a column, or their share of its rows, below which it is left out: validation alone might have them all."""
INDICATOR_FROM = 0.05
"""Share of missing values from which on the network is told that a number is missing."""
GIVES_AWAY = {True: 0.98, False: 0.998}
FOLLOWS_CLOSELY = {True: 0.95, False: 0.95}
"""See `Survey.tells`; True: classes, False: numbers."""

_ID_WORDS = frozenset(
    {"id", "ids", "uuid", "guid", "key", "index", "idx", "rowname", "rownames", "row", "nr", "no", "number"}
)
_GROUP_WORDS = frozenset(
    {"patient", "subject", "person", "user", "customer", "client", "member", "family", "household", "group", "session"}
)
_CODE_WORDS = frozenset(
    {
        "id",
        "code",
        "type",
        "kind",
        "category",
        "cat",
        "class",
        "region",
        "zone",
        "district",
        "zip",
        "zipcode",
        "postcode",
    }
    | {"postal", "origin", "month", "weekday"}
)
_DAYS_OF_A_YEAR, _DAYS_OF_A_WEEK = 366, 7

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class InputChoice:
    """An input: its kind, and remarks for whoever reads the config."""

    name: str
    kind: ColumnKind
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choices:
    """What to make of a table.

    targets, task: with target_reason and task_reason. classes: of a classification with one target the count of each
        class, by its text; several targets are 0 or 1 each. target_kind: where the target's numbers have signs or
        marks. target_gaps: rows without a target.
    inputs: the columns used. left_out: (name, reason) of the others. group: the column whose rows stay together.
    in_order: the last rows validate. order_reason: why, or why not.
    """

    targets: tuple[str, ...]
    target_reason: str
    task: Task
    task_reason: str
    classes: dict[str, int]
    target_kind: ColumnKind | None
    target_gaps: int
    inputs: tuple[InputChoice, ...]
    left_out: tuple[tuple[str, str], ...]
    group: str | None
    group_reason: str
    in_order: bool
    order_reason: str

    @property
    def is_unbalanced(self) -> bool:
        """Whether more than 4 of 5 rows are of one class."""
        return bool(self.classes) and max(self.classes.values()) > 0.8 * sum(self.classes.values())


def choose(survey: Survey, targets: Sequence[str] = (), task: Task | None = None) -> Choices:
    """The choices for a table. targets, task: as the user has named them.

    Raises:
        DataError: there is no such column, or it cannot be a target; no column is left as an input.
    """
    names, reason = _targets(survey, targets)
    columns = [survey[name] for name in names]
    for column in columns:
        _check_target(survey, column, several=len(columns) > 1)
    task, task_reason = _task(survey, columns, task)
    classes = _classes(survey, columns[0]) if task == "classification" and len(columns) == 1 else {}
    group, group_reason = _group(survey, names)
    rising = [c for c in survey.columns if isinstance(c.kind, Date) and c.order == "rising" and c.name not in names]
    in_order = bool(rising) and _every_class_comes_early(columns, task)
    order_reason = _order_reason(survey, rising, names, in_order=in_order)
    inputs, left_out = list[InputChoice](), list[tuple[str, str]]()
    for column in survey.columns:
        if column.name in names or column.name == group:
            continue
        told = _tells(survey, column, names, task)
        why = _why_left_out(survey, column, names, task, told) or _why_too_few(column, in_order=in_order)
        kind, remarks = (None, ()) if why else _kind(survey, column, in_order=in_order)
        if kind is None:
            left_out.append((column.name, why or " ".join(remarks)))
        else:
            close = _closeness(task, told)
            inputs.append(InputChoice(column.name, kind, (*remarks, *close)))
    if not inputs:
        raise DataError(
            f"{survey.table.path}: no column is left as an input beside the target {listed(names)}"
            + "".join(f"; {shown(name)} is left out: {why}" for name, why in left_out[:5])
            + ": name another target with --target, or add columns to the file"
        )
    plain = isinstance(columns[0].kind, Number) and columns[0].kind.is_plain
    return Choices(
        targets=names,
        target_reason=reason,
        task=task,
        task_reason=task_reason,
        classes=classes,
        target_kind=columns[0].kind if isinstance(columns[0].kind, Number) and not plain else None,
        target_gaps=int(np.isnan(np.column_stack([c.values for c in columns])).any(axis=1).sum()) * survey.step,
        inputs=tuple(inputs),
        left_out=tuple(left_out),
        group=group,
        group_reason=group_reason,
        in_order=in_order,
        order_reason=order_reason,
    )


def _targets(survey: Survey, wanted: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The targets' names, and why these."""
    names = survey.table.names
    if len(names) < 2:
        raise DataError(
            f"{survey.table.path}: has only the column {listed(names)}; a target and at least one column to predict it "
            "from are needed: is another character than , ; or tab between the cells?"
        )
    if wanted:
        found: list[str] = []
        for name in wanted:
            found += [name] if name in names else [part.strip() for part in name.split(",")]
        missing = [name for name in found if name not in names]
        if missing:
            guesses = ", ".join(shown(name) + did_you_mean(name, names) for name in missing)
            no_header = (
                "" if survey.table.has_header else "; line 1 of the file holds no names, so they are c1, c2, ..."
            )
            raise DataError(
                f"{survey.table.path}: no column {guesses}, named in --target; it has {listed(names)}{no_header}"
            )
        if len(set(found)) < len(found):
            raise DataError(f"{survey.table.path}: --target names a column twice")
        return tuple(found), "as given with --target"
    for word in TARGET_NAMES:
        named = [name for name in names if name.casefold() == word]
        if named:
            return (named[0],), "no --target was given, and this name says so"
    return (names[-1],), "no --target was given: the last column; another one with --target COLUMN"


def _check_target(survey: Survey, column: ColumnSurvey, *, several: bool) -> None:
    """DataError if nothing can be learnt of it."""
    where = f"{survey.table.path}: the target {shown(column.name)}"
    other = "name another column with --target"
    if not column.present:
        raise DataError(f"{where} has no value in any row: fill it, or {other}")
    if column.is_constant:
        raise DataError(
            f"{where} is {shown(column.common)} in every row that has a value, so there is nothing to predict: {other}"
        )
    if isinstance(column.kind, Date):
        raise DataError(f"{where} holds dates, such as {column.example}; classes or numbers are predicted: {other}")
    if column.wrong and not 0 < len(column.texts) <= MOST_CATEGORIES:
        assert column.first_wrong is not None
        line, cell = column.first_wrong
        raise DataError(
            f"{place_of(survey.table, line, column.place)}: got {shown(cell)}, expected a number as in most rows of "
            f"this target ({column.wrong} cells hold words): correct these cells, empty them, or {other}"
        )
    many = column.different * 2 > column.kept and column.different > MOST_CATEGORIES
    if column.kind is None and (many or (column.is_all_different and column.kept >= FEWEST_COUNTED)):
        raise DataError(
            f"{where} has {column.different:,} different texts in {column.kept:,} rows, such as "
            f"{shown(column.example)}: an id or free text, not a class: {other}"
        )
    if several and not (isinstance(column.kind, Number) and not column.wrong):
        raise DataError(
            f"{where} holds {shown(column.example)}; several targets must all be numbers: train a network for each, or "
            "write 0 and 1"
        )


def _task(survey: Survey, columns: Sequence[ColumnSurvey], wanted: Task | None) -> tuple[Task, str]:
    """The task, and why."""
    first = columns[0]
    numbers = isinstance(first.kind, Number) and not first.wrong
    if wanted == "regression" and not numbers:
        raise DataError(
            f"{survey.table.path}: --task regression needs numbers, and the target {shown(first.name)} holds "
            f"{shown(first.example)}: leave --task out, or name another column with --target"
        )
    if len(columns) > 1:
        return _task_of_several(survey, columns, wanted)
    if wanted == "classification" and not 0 < len(first.texts) <= MOST_CLASSES:
        raise DataError(
            f"{survey.table.path}: the target {shown(first.name)} has {first.different:,} different values, more than "
            f"{MOST_CLASSES} classes: --task regression, or put the values into ranges"
        )
    if wanted is not None:
        return wanted, "as given with --task"
    if not numbers:
        return "classification", "the target holds texts"
    few = first.different <= MOST_CLASSES_OF_NUMBERS and first.kept >= ROWS_OF_A_CLASS * first.different
    if first.is_whole and few:
        return "classification", (
            f"whole numbers of up to {MOST_CLASSES_OF_NUMBERS} different values, {ROWS_OF_A_CLASS} rows for each on "
            "average, are taken as classes; --task regression takes them as numbers"
        )
    return "regression", "the target holds numbers"


def _task_of_several(survey: Survey, columns: Sequence[ColumnSurvey], wanted: Task | None) -> tuple[Task, str]:
    are_flags = all(column.is_whole and (column.minimum, column.maximum) == (0, 1) for column in columns)
    if wanted == "classification" and not are_flags:
        raise DataError(
            f"{survey.table.path}: --task classification takes several targets only if each is 0 or 1: train a network "
            "for each of the others"
        )
    if wanted is not None:
        return wanted, "as given with --task"
    if are_flags:
        return "classification", "each target is 0 or 1: the network gives a probability for each"
    return "regression", "several targets of numbers"


def _classes(survey: Survey, column: ColumnSurvey) -> dict[str, int]:
    """The count of each class. Raises: DataError for a class of a single row, which cannot be split."""
    if len(column.texts) < 2:
        raise DataError(
            f"{survey.table.path}: the target {shown(column.name)} has {column.different:,} different texts, more than "
            f"{MOST_CLASSES} classes: name another column with --target"
        )
    return dict(column.texts)


def _every_class_comes_early(columns: Sequence[ColumnSurvey], task: Task) -> bool:
    """Whether the first 4 of 5 rows have each class, as a split in order needs."""
    if task == "regression":
        return True
    values = columns[0].values
    early = values[: len(values) * 4 // 5]
    return len(np.unique(early[~np.isnan(early)])) == columns[0].different


def _order_reason(survey: Survey, rising: Sequence[ColumnSurvey], names: Iterable[str], *, in_order: bool) -> str:
    if in_order:
        return f"the rows are in the order of {shown(rising[0].name)}: the last ones, the newest, validate"
    if rising:
        return f"the rows are in the order of {shown(rising[0].name)}, but a class comes in the last fifth alone"
    falling = [c.name for c in survey.columns if isinstance(c.kind, Date) and c.order == "falling"]
    if falling:
        return f"the newest rows come first ({shown(falling[0])}): sort the file the other way to validate on them"
    dates = [c.name for c in survey.columns if isinstance(c.kind, Date) and c.name not in names]
    if dates:
        return (
            f"drawn at random, although there are dates ({shown(dates[0])}): to predict what comes later, sort the "
            "file by date and set in_order"
        )
    return ""


def _words(name: str) -> set[str]:
    """The words in a column's name: customerId, customer_id and Customer ID are customer and id."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def _group(survey: Survey, targets: Sequence[str]) -> tuple[str | None, str]:
    """The column whose rows belong together, and why it is one."""
    for column in survey.columns:
        words = _words(column.name)
        named = "id" in words or bool(words & _GROUP_WORDS)
        is_name = column.kind is None or column.is_whole
        rows = column.kept / max(column.different, 1)
        often = column.different >= FEWEST_GROUPS and ROWS_OF_A_GROUP <= rows <= MOST_ROWS_OF_A_GROUP
        if named and is_name and often and not column.missing and not column.wrong and column.name not in targets:
            return column.name, (
                f"{column.different:,} different values in {column.kept:,} rows: rows with the same one stay in one "
                "part, so that validation shows how the network does on new ones; it is not an input"
            )
    return None, ""


def _why_left_out(
    survey: Survey, column: ColumnSurvey, targets: Sequence[str], task: Task, told: tuple[float, str]
) -> str:
    """The reason for leaving a column out; empty if there is none."""
    if not column.present:
        return "no value in any row"
    if column.different == 1 and min(column.missing + column.wrong, column.present) < FEWEST_OTHERS:
        return f"the same in every row: {shown(column.common)}"
    others = column.kept - column.common_count
    if (
        column.kept >= 20 * FEWEST_OTHERS
        and others < FEWEST_OTHERS
        and column.missing < FEWEST_OTHERS
        and survey.step == 1
    ):
        return f"nearly constant: {shown(column.common)} in all rows but {others}"
    if why := why_an_id(column):
        return why
    if (copied := survey.copies.get(column.name)) is not None and copied not in targets:
        return f"holds in every row what {shown(copied)} does"
    score, target = told
    if score >= GIVES_AWAY[task == "classification"]:
        return (
            f"gives the target {shown(target)} away: it alone tells {_percent(score)} "
            f"{'of what the most frequent class does not' if task == 'classification' else 'of its variance'}; if it "
            "is known before the target is, take it in again"
        )
    return ""


def _why_too_few(column: ColumnSurvey, *, in_order: bool) -> str:
    """Why the training part may have no value of a column; empty if there is no such reason."""
    if column.present < max(FEWEST_OTHERS, min(FEWEST_VALUES, FEWEST_VALUES_SHARE * column.rows)) and column.missing:
        return f"only {column.present} of {column.rows:,} rows have a value"
    if in_order and np.isnan(column.values[: len(column.values) * 4 // 5]).all():
        return "no value in the first 80% of the rows, which the network is trained on"
    return ""


def why_an_id(column: ColumnSurvey) -> str:
    """Why a column names rows and describes nothing; empty if it does not."""
    words = _words(column.name)
    if column.is_running and column.rows >= FEWEST_COUNTED:
        return "a running number: it counts the rows"
    if column.kind is None and column.is_all_different:
        return "all texts are different: an id, a name or free text"
    if column.is_whole and column.is_all_different and not column.missing:
        if column.maximum - column.minimum + 1 == column.rows >= FEWEST_COUNTED:
            return "each number once, without gaps: it counts the rows"
        if words & _ID_WORDS:
            return "all numbers are different, and its name says id"
    is_named = column.is_whole and "id" in words
    if is_named and column.different > column.kept / ROWS_OF_A_GROUP:
        return f"an id by its name, with {column.different:,} different numbers in {column.kept:,} rows"
    return ""


def _tells(survey: Survey, column: ColumnSurvey, targets: Sequence[str], task: Task) -> tuple[float, str]:
    """How well the column tells the target that it tells best, and that target."""
    scores = [(survey.tells(column.name, name, classes=task == "classification"), name) for name in targets]
    return max(scores)


def _closeness(task: Task, told: tuple[float, str]) -> tuple[str, ...]:
    """A remark on an input that tells nearly all of a target."""
    score, target = told
    if score < FOLLOWS_CLOSELY[task == "classification"]:
        return ()
    return (f"follows {shown(target)} closely ({_percent(score)}): is it known before the target is?",)


def _kind(survey: Survey, column: ColumnSurvey, *, in_order: bool) -> tuple[ColumnKind | None, tuple[str, ...]]:
    """The kind of an input and remarks on it; None: left out, and the remarks say why."""
    kind = column.kind
    if isinstance(kind, YesNo):
        return (dataclasses.replace(kind, missing="zeros") if column.missing else kind), (_counts(column),)
    if isinstance(kind, Date):
        return _date(column, kind, in_order=in_order)
    codes = column.is_whole and (column.has_leading_zeros or bool(_words(column.name) & _CODE_WORDS))
    if isinstance(kind, Number) and not column.wrong:
        if codes and kind.is_plain and not column.missing and column.different > 2 and has_few_values(column):
            why = "written with leading zeros" if column.has_leading_zeros else "codes by its name"
            return Category(), (f"whole numbers, {why}: {_counts(column)}",)
        return _number(column, kind)
    if column.texts and has_few_values(column):
        remarks = (_counts(column),)
        if column.wrong:
            remarks = (
                f"numbers and words ({_words_in(column)}), so that each is a category; correct or empty such cells to "
                f"have numbers: {_counts(column)}",
            )
        return Category(missing="zeros" if column.missing else None), remarks
    if column.wrong:
        line, _ = column.first_wrong or (0, "")
        return None, (
            f"numbers with words among them ({plural(column.wrong, 'cell')}, first {_shown_cell(column)} in line "
            f"{line}): correct or empty such cells to use it",
        )
    return None, (f"{column.different:,} different texts in {column.kept:,} rows, such as {shown(column.example)}",)


def _words_in(column: ColumnSurvey) -> str:
    """How many cells hold words, and the first one."""
    such_as = ", such as" if column.wrong > 1 else ","
    return f"{plural(column.wrong, 'cell')}{such_as} {_shown_cell(column)}"


def _shown_cell(column: ColumnSurvey) -> str:
    return shown(column.first_wrong[1]) if column.first_wrong else ""


def has_few_values(column: ColumnSurvey) -> bool:
    """Whether there are few enough different values for each to have an input of its own."""
    rows_of_each = 2 if column.different <= MOST_CATEGORIES else ROWS_OF_A_CATEGORY
    return bool(column.texts) and column.different * rows_of_each <= column.kept


def _number(column: ColumnSurvey, kind: Number) -> tuple[ColumnKind, tuple[str, ...]]:
    remarks = [_range(column)]
    if column.missing:
        indicator = column.missing >= INDICATOR_FROM * column.rows
        kind = dataclasses.replace(kind, missing="median", indicator=indicator)
        remarks.append(
            f"{column.missing:,} missing ({_percent(column.missing / column.rows)}): filled with the median"
            + (", and an input says so" if indicator else "")
        )
    if column.far:
        remarks.append(f"{column.far:,} outlier{'s' * (column.far > 1)}, which scale: robust limits")
    return kind, tuple(remarks)


def _date(column: ColumnSurvey, kind: Date, *, in_order: bool) -> tuple[ColumnKind | None, tuple[str, ...]]:
    """The parts of a date that come round at least once in the data, and the day itself where it may recur."""
    span = column.maximum - column.minimum
    parts: list[DatePart] = [] if in_order else ["elapsed"]
    parts += ["month"] if span >= _DAYS_OF_A_YEAR else []
    days = np.unique(np.floor(column.values[~np.isnan(column.values)]))
    parts += ["weekday"] if span >= 2 * _DAYS_OF_A_WEEK and len(np.unique(days % _DAYS_OF_A_WEEK)) > 1 else []
    parts += ["hour"] if column.has_times else []
    if not parts:
        return None, ("a date without use: new rows come later than all of these, and no part of it comes round",)
    remarks = [f"{_day(column.minimum)} to {_day(column.maximum)}"]
    if in_order:
        remarks.append("no year, which new rows go beyond")
    if column.other_format:
        remarks.append(f'day or month first? Both fit all rows; month first: format: "{column.other_format}"')
    if column.missing:
        remarks.append(f"{column.missing:,} missing: the median day")
    return (
        Date(parts=tuple(parts), format=kind.format, missing="median" if column.missing else None),
        tuple(remarks),
    )


def _day(days: float) -> str:
    return str(np.datetime64(math.floor(days), "D"))


def _range(column: ColumnSurvey) -> str:
    if column.different == 2:
        return f"{column.minimum:g} or {column.maximum:g}"
    return f"{column.minimum:.6g} to {column.maximum:.6g}, median {column.quartiles[1]:.6g}"


def _counts(column: ColumnSurvey) -> str:
    """The categories, the most frequent first, and how many are missing."""
    counts = [f"{shown(text, 20)} {count:,}" for text, count in list(column.texts.items())[:4]]
    more = f", and {len(column.texts) - 4} more" if len(column.texts) > 4 else ""
    gaps = f"; {column.missing:,} missing: 0 in all inputs" if column.missing else ""
    return f"{', '.join(counts)}{more}{gaps}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
