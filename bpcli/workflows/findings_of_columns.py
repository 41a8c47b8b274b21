"""What is noticed about a table's columns: holes, ids, constants, copies, outliers, what gives the target away."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bpcli.data.choices import GIVES_AWAY, has_few_values, why_an_id
from bpcli.data.kinds import Category, Date, Number, YesNo, kinds, missing_rule
from bpcli.data.survey import ColumnSurvey, Survey
from bpcli.data.types import ColumnKind, Missing, Scaling
from bpcli.text import shown
from bpcli.workflows.findings import MOST_ROWS, Finding, Mend

FEW_ROWS = 20  # of so few, all may well be different or in order
TOY = 10  # rows; a column of fewer may well be constant
FAR, FAR_AWAY = 5.0, 30.0
"""Interquartile ranges beyond a quartile, where values of skewed columns lie, and where hardly any does by nature."""
MOSTLY = 0.5  # share of missing values from which on it is told even where they are filled in
_CODES = (9.0, 99.0, 999.0, 9999.0, 99999.0)  # often written for a missing value, also with a minus


@dataclass(frozen=True)
class Use:
    """How the columns of a table are used.

    left_out: columns that are neither inputs nor targets; excluded: those of data.exclude; group: that of data.group.
    kinds: what a config says of the columns. missing, scale: as in a config; None where there is none. classes: the
    target holds classes.
    """

    target: tuple[str, ...]
    left_out: frozenset[str] = frozenset()
    kinds: Mapping[str, ColumnKind] = field(default_factory=dict)
    missing: Missing | None = None
    scale: Scaling | None = None
    in_order: bool = False
    classes: bool = False
    excluded: tuple[str, ...] = ()
    group: str | None = None

    def is_input(self, name: str) -> bool:
        """Whether the network sees the column."""
        return name not in self.left_out and name not in self.target


def column_findings(survey: Survey, use: Use) -> list[Finding]:
    """Everything that is noticed about the columns."""
    inputs = [column for column in survey.columns if use.is_input(column.name)]
    found = [finding for name in use.target for finding in _target(survey, survey[name], use)]
    for column in inputs:
        found += _input(survey, column, use)
    return found


def to_leave_out(findings: list[Finding]) -> frozenset[str]:
    """The columns that a warning says to leave out."""
    return frozenset(
        name for finding in findings if finding.level == "warning" for name in finding.mend.get("data.exclude", ())
    )


def kind_of(column: ColumnSurvey, use: Use) -> ColumnKind:
    """What the column is taken as."""
    return use.kinds.get(column.name) or column.kind or Category()


def kind_in_config(kind: ColumnKind) -> Any:
    """The kind as a config has it: its name, or a mapping where it says more."""
    assert dataclasses.is_dataclass(kind)
    name = kinds.name_of(kind)
    own = {f.name: getattr(kind, f.name) for f in dataclasses.fields(kind) if getattr(kind, f.name) != f.default}
    return {"kind": name, **own} if own else name


def _kind_to_write(survey: Survey, column: ColumnSurvey, use: Use) -> Any:
    """The kind that a config should give the column; with its rule for missing values where data.missing is taken."""
    kind = kind_of(column, use)
    if column.missing and kind.missing is None and _target_has_gaps(survey, use):
        rule = "median" if isinstance(kind, (Number, Date)) else "zeros"
        assert isinstance(kind, (Number, Date, YesNo, Category))
        kind = dataclasses.replace(kind, missing=rule)  # type: ignore[arg-type]  # each rule is one of the kind's
    return kind_in_config(kind)


def _target_has_gaps(survey: Survey, use: Use) -> bool:
    """Whether rows lack the target, so that data.missing has to be `drop`."""
    return any(survey[name].missing for name in use.target)


def _target(survey: Survey, column: ColumnSurvey, use: Use) -> Iterator[Finding]:
    gaps = column.missing
    if gaps and use.missing != "drop":
        yield Finding(
            "warning",
            "empty_target",
            f"{gaps:,} of {survey.rows:,} rows lack the target, which is never filled in",
            (column.name,),
            rows=gaps,
            first_rows=_first_gaps(survey, column),
            mend={"data.missing": "drop"},
        )
    if column.is_constant and survey.rows >= TOY:
        what = f"the target is {shown(column.common)} in all rows: there is nothing to learn; name another column"
        yield Finding("warning", "one_class", what, (column.name,), rows=survey.rows, mend={"data.target": "COLUMN"})


def _input(survey: Survey, column: ColumnSurvey, use: Use) -> Iterator[Finding]:
    """The first thing that is a reason to leave a column out; otherwise all that may be mended in it."""
    for check in _REASONS_TO_LEAVE_OUT:
        if finding := check(survey, column, use):
            yield finding
            return
    for check in (_kind_to_say, _words_among_numbers, _missing_values, _outliers):
        if finding := check(survey, column, use):
            yield finding


def _left_out(code: str, what: str, column: ColumnSurvey, rows: int) -> Finding:
    return Finding("warning", code, what, (column.name,), rows=rows, mend={"data.exclude": [column.name]})


def _no_values(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    return None if column.present else _left_out("no_values", "no row has a value", column, survey.rows)


def _constant(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    if not column.is_constant or column.missing or survey.rows < TOY:
        return None
    what = f"is {shown(column.common)} in all rows: it tells nothing"
    return Finding("note", "constant", what, (column.name,), rows=survey.rows, mend={"data.exclude": [column.name]})


def _copy(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    other = survey.copies.get(column.name)
    if other is None or not use.is_input(other):
        return None
    return _left_out("doubled_columns", f"holds what {shown(other)} holds, in every row", column, survey.rows)


def _identifier(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    why = why_an_id(column)
    if not why or column.kept < FEW_ROWS or column.name in use.kinds or (use.in_order and column.order):
        return None
    return _left_out("identifiers", f"{why}. What is learnt from it does not hold for other rows", column, survey.rows)


def _many_categories(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    if column.kind is not None or column.name in use.kinds or has_few_values(column):
        return None
    what = f"has {column.different:,} different texts in {column.kept:,} rows, too few for each to be an input"
    return _left_out("many_categories", what, column, column.present)


def _gives_target_away(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    if len(use.target) != 1:
        return None
    told = survey.tells(column.name, use.target[0], classes=use.classes)
    if told < GIVES_AWAY[use.classes]:
        return None
    errors = "of the errors of the best constant guess are avoided"
    share = errors if use.classes else "of its variance is explained"
    what = f"tells {shown(use.target[0])} by itself ({100 * told:.4g} % {share}): is it known before the target is?"
    return _left_out("gives_target_away", what, column, survey.rows)


_Check = Callable[[Survey, ColumnSurvey, Use], Finding | None]
_REASONS_TO_LEAVE_OUT: tuple[_Check, ...] = (
    _no_values,
    _constant,
    _identifier,
    _gives_target_away,
    _copy,
    _many_categories,
)


def _kind_to_say(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    """Cells that are neither plain numbers nor categories: training refuses them where no kind is given."""
    kind = column.kind
    if column.name in use.kinds or kind is None or (isinstance(kind, Number) and kind.is_plain):
        return None
    word = {YesNo: "yes or no", Date: "dates", Number: "numbers with signs or marks"}[type(kind)]
    is_number = column.example.isdigit()  # 20240531 may be a date, and is read as a number
    what = f"holds {word}, such as {shown(column.example)}"
    if isinstance(kind, Date) and column.other_format:
        what += f"; or is it {shown(column.other_format)}?"
    mend: Mend = {"data.columns": {column.name: _kind_to_write(survey, column, use)}}
    return Finding("note" if is_number else "warning", "kinds", what, (column.name,), rows=column.present, mend=mend)


def _words_among_numbers(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    if not column.wrong or column.first_wrong is None or isinstance(use.kinds.get(column.name), Category):
        return None
    line, text = column.first_wrong
    what = f"{column.wrong:,} cells are no numbers, the first is {shown(text)} in line {line}: correct them"
    step = 1 if survey.table.has_header else 0
    return Finding(
        "warning",
        "words_among_numbers",
        what,
        (column.name,),
        rows=column.wrong,
        first_rows=(line - step,),
        mend={"data.exclude": [column.name]},
    )


def _missing_values(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    if not column.missing:
        return None
    share = column.missing / survey.rows
    kind = kind_of(column, use)
    is_error = use.missing is None and kind.missing is None
    is_error = is_error or (use.missing is not None and missing_rule(kind, use.missing) == "error")
    if not is_error and share < MOSTLY:
        return None
    what = f"{column.missing:,} of {survey.rows:,} rows lack a value ({100 * share:.3g} %)"
    mend: Mend = {"data.missing": "median"} if is_error else {"data.exclude": [column.name]}
    if is_error and _target_has_gaps(survey, use):
        mend = {"data.columns": {column.name: _kind_to_write(survey, column, use)}}
    return Finding(
        "warning" if is_error else "note",
        "missing_values",
        what,
        (column.name,),
        rows=column.missing,
        first_rows=_first_gaps(survey, column),
        mend=mend,
    )


def _first_gaps(survey: Survey, column: ColumnSurvey) -> tuple[int, ...]:
    gaps = np.flatnonzero(np.isnan(column.values))[:MOST_ROWS].tolist()
    return tuple(1 + survey.step * row for row in gaps)


def _outliers(survey: Survey, column: ColumnSurvey, use: Use) -> Finding | None:
    first, _, third = column.quartiles
    spread = third - first
    if not isinstance(column.kind, Number) or not spread > 0:
        return None
    below, above = (first - column.minimum) / spread, (column.maximum - third) / spread
    if max(below, above) < FAR:
        return None
    extreme = column.maximum if above > below else column.minimum
    far = np.flatnonzero((column.values < first - FAR * spread) | (column.values > third + FAR * spread))
    rows = far[np.argsort(np.abs(column.values[far] - extreme), kind="stable")][:MOST_ROWS]
    values = "1 value lies" if len(far) == 1 else f"{len(far):,} values lie"
    what = f"{values} far from the others, up to {extreme:.6g}; half of all are {first:.5g} to {third:.5g}"
    is_code = math.fabs(extreme) in _CODES and np.count_nonzero(column.values == extreme) > 1
    if is_code:
        what += "; is it written for a missing value? Leave such cells empty then"
    is_robust = _is_robust(column, use)
    mend: Mend = {} if is_robust else {"data.scale": "robust"}
    return Finding(
        "warning" if not is_robust and (is_code or max(below, above) > FAR_AWAY) else "note",
        "outliers",
        what,
        (column.name,),
        rows=len(far),
        first_rows=tuple(1 + survey.step * int(row) for row in sorted(rows.tolist())),
        mend=mend,
    )


def _is_robust(column: ColumnSurvey, use: Use) -> bool:
    given = use.kinds.get(column.name)
    return ((given.scale if given is not None else None) or use.scale) == "robust"
