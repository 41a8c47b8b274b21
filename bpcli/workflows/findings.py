"""What is noticed about data: each finding with its columns, its rows, and the lines of a config that mend it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Level: TypeAlias = Literal["warning", "note"]
Mend: TypeAlias = Mapping[str, Any]

MOST_ROWS = 3  # whose numbers a finding names
COLUMN = "COLUMN"
"""In a mend: the name of a column that only the user knows."""

# From what makes a model worthless to what is good to know; findings are shown in this order.
IMPORTANCE = (
    "one_class",
    "empty_target",
    "gives_target_away",
    "shared_rows",
    "words_among_numbers",
    "kinds",
    "missing_values",
    "no_values",
    "identifiers",
    "many_categories",
    "class_shares",
    "target_drift",
    "drift",
    "rare_classes",
    "unbalanced",
    "missing_class",
    "blank_images",
    "unscaled_images",
    "outliers",
    "constant",
    "doubled_columns",
    "config",
    "parameters",
    "doubled_rows",
    "contradictions",
)


@dataclass(frozen=True)
class Finding:
    """Something in the data that may spoil a model, a warning, or that is good to know, a note.

    code: one of IMPORTANCE. what: a sentence without the columns' names, which stand before it. part: the part of the
    data that it is about. rows: how many rows it concerns; first_rows: the numbers of the first of them, from 1, in
    their file. mend: keys of a config and the values that mend it.
    """

    level: Level
    code: str
    what: str
    columns: tuple[str, ...] = ()
    part: str = ""
    rows: int | None = None
    first_rows: tuple[int, ...] = ()
    mend: Mend = field(default_factory=dict)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Warnings first, each level by importance."""
    return tuple(sorted(findings, key=lambda found: (found.level != "warning", IMPORTANCE.index(found.code))))


def together(findings: Sequence[Finding], exclude: Sequence[str] = ()) -> dict[str, Any]:
    """One config that mends all warnings, by keys with points between them.

    Lists are joined, and so are keys within a key; of several values the most important finding's holds. exclude: what
    the config at hand leaves out already. A mend that names no column of its own, COLUMN, is not among them.
    """
    merged: dict[str, Any] = {}
    for finding in findings:
        if finding.level != "warning":
            continue
        for key, value in finding.mend.items():
            if isinstance(value, list):
                before = merged.get(key, list(exclude) if key == "data.exclude" else [])
                merged[key] = list(dict.fromkeys([*before, *value]))
            elif isinstance(value, Mapping):
                merged[key] = merged.get(key, {}) | {
                    name: own for name, own in value.items() if name not in merged.get(key, {})
                }
            elif value != COLUMN:
                merged.setdefault(key, value)
    return merged
