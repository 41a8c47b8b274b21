"""What is noticed about rows and classes: the same rows in two parts, drift between parts, rare classes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bpcli.data.drift import ALPHA, Drift, drift_of_numbers, drift_of_shares
from bpcli.data.row_hashes import Hashes, Mask, contradicted, repeated
from bpcli.data.types import sample_number
from bpcli.engine.arrays import Array
from bpcli.text import listed, shown
from bpcli.workflows.findings import COLUMN, MOST_ROWS, Finding, Level, Mend

NAMES = {"train": "training", "val": "validation", "test": "test"}
BY_CHANCE = 0.1  # share of the equal rows that chance explains, from which on they mean nothing
MANY = 0.01  # share of a part's rows that is worth a warning
RARE = 0.1  # of an even share of the rows
FEWEST = 5  # rows of a class, from which on it is not rare whatever its share, in tables of so few rows
UNBALANCED = 10.0  # times as many rows in the largest class as in the smallest


@dataclass(frozen=True, eq=False)
class PartRows:
    """A part's rows as hashes (N,), of inputs alone and with targets. rows: their numbers in the file, None: all."""

    inputs: Hashes
    samples: Hashes
    rows: Array | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    def first(self, found: Mask) -> tuple[int, ...]:
        """The numbers of the first rows found, from 1."""
        return tuple(sample_number(int(row), self.rows) for row in np.flatnonzero(found)[:MOST_ROWS])


def equal_rows(
    parts: Mapping[str, PartRows], chance: Callable[[], float], own_files: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """Rows that are in training and in another part, that are in training twice, and that contradict each other.

    chance: gives the probability that two rows have equal inputs, as `row_hashes.chance_of_equal_rows` does. own_files:
    parts that are files of their own.
    """
    train = parts["train"]
    for name, part in parts.items():
        if name == "train":
            continue
        shared = np.isin(part.samples, train.samples)
        count = int(shared.sum())
        if not count:
            continue
        is_chance = chance() * len(train) * len(part) >= BY_CHANCE * count
        few = is_chance or count < max(2, MANY * len(part))
        be = "is" if count == 1 else "are"
        what = f"{count:,} of the {len(part):,} rows for {NAMES[name]} {be} in training too"
        if is_chance:
            what += ", as rows of so few different values are by chance"
        elif not few:
            fix = (
                "them from one of the files" if name in own_files else "the doubled rows, or name what such rows share"
            )
            what += f": its figures are too good. Drop {fix}"
        yield Finding(
            "note" if few else "warning",
            "shared_rows",
            what,
            part=name,
            rows=count,
            first_rows=part.first(shared),
            mend={} if few else _split_off(name) if name in own_files else {"data.group": COLUMN},
        )
    yield from _within(train, chance)


def _split_off(part: str) -> Mend:
    """Takes the part from the training file."""
    return {f"data.{part}": 0.2}


def _within(train: PartRows, chance: Callable[[], float]) -> Iterator[Finding]:
    twice = repeated(train.samples)
    count = int(twice.sum())
    if count and chance() * len(train) ** 2 / 2 < BY_CHANCE * count:
        what = f"{_count(count, len(train), 'repeats')} an earlier one, which so counts twice"
        yield Finding("note", "doubled_rows", what, part="train", rows=count, first_rows=train.first(twice))
    against = contradicted(train.inputs, train.samples)
    count = int(against.sum())
    if count >= MANY * len(train):
        what = f"{_count(count, len(train), 'has')} the inputs of another one, but another target"
        yield Finding(
            "note",
            "contradictions",
            what + ": no model can be right about all of them",
            part="train",
            rows=count,
            first_rows=train.first(against),
        )


def drift_findings(found: Iterator[Drift], part: str, rows: int) -> Iterator[Finding]:
    """Columns whose values differ between training and another part, of so many rows."""
    for drift in found:
        what = f"differs between training and {NAMES[part]}: {_distance(drift)}; {_shift(drift)}"
        yield Finding(
            "warning",
            "drift",
            what,
            columns=(drift.column,),
            part=part,
            rows=drift.new or rows,
            mend={"data.exclude": [drift.column]},
        )


def _distance(drift: Drift) -> str:
    name = {"ks": "KS distance", "tv": "TV distance", "missing": "share of missing values by"}[drift.statistic]
    return f"{name} {drift.distance:.2f}, which counts as drift from {drift.threshold:.2f} on"


def _shift(drift: Drift) -> str:
    if drift.statistic == "ks":
        a, b = drift.shifted["median"]
        return f"median {a:.5g} and {b:.5g}"
    shares = drift.shifted.items()
    names = "missing" if drift.statistic == "missing" else ""
    text = ", ".join(f"{names or shown(text)} {100 * p:.3g} % and {100 * q:.3g} %" for text, (p, q) in shares)
    return f"{text}; {drift.new} rows have a category that training lacks" if drift.new else text


def class_findings(
    counts: Mapping[str, Mapping[str, int]], target: str, *, balanced: bool, own_files: frozenset[str] = frozenset()
) -> Iterator[Finding]:
    """Rare classes, and classes whose shares differ between parts.

    counts: part -> class -> rows. balanced: classes have weights already. own_files: as for `equal_rows`.
    """
    columns = (target,) if target else ()
    train = counts["train"]
    n, even = sum(train.values()), sum(train.values()) / max(1, len(train))
    weights: dict[str, str] = {} if balanced else {"data.class_weights": "balanced"}
    rare = [name for name, count in train.items() if count < RARE * even or (count < FEWEST and even >= 2 * FEWEST)]
    level: Level = "note" if balanced else "warning"
    if rare:
        named = ", ".join(f"{shown(name)} {train[name]:,}" for name in rare[:5]) + (", ..." if len(rare) > 5 else "")
        what = f"{'a rare class' if len(rare) == 1 else 'rare classes'} in {n:,} rows: {named}"
        rows = sum(train[name] for name in rare)
        yield Finding(level, "rare_classes", what, columns, "train", rows, mend=weights)
    elif train and max(train.values()) >= UNBALANCED * min(train.values()):
        largest, least = max(train, key=lambda name: train[name]), min(train, key=lambda name: train[name])
        what = f"{train[largest]:,} rows of {shown(largest)} and {train[least]:,} of {shown(least)}"
        yield Finding(level, "unbalanced", what, columns, "train", train[least], mend=weights)
    for part, others in counts.items():
        if part != "train":
            mend = _split_off(part) if part in own_files else {"data.split": "shuffled", "data.stratify": True}
            yield from _compared(train, others, part, columns, mend)


def _compared(
    train: Mapping[str, int], others: Mapping[str, int], part: str, columns: tuple[str, ...], mend: Mend
) -> Iterator[Finding]:
    if drift := drift_of_shares("", train, others, ALPHA):
        what = f"the classes' shares differ between training and {NAMES[part]}: {_distance(drift)}; {_shift(drift)}"
        yield Finding("warning", "class_shares", what, columns, part, mend=mend)
    absent = [name for name, count in train.items() if count and not others.get(name)]
    if absent:
        what = f"no row of {listed(absent, 5)} in {NAMES[part]}: its figures say nothing of such samples"
        yield Finding("note", "missing_class", what, columns, part, 0, mend=mend)


def target_drift(name: str, train: Array, other: Array, part: str, *, own_file: bool) -> Iterator[Finding]:
    """A target of numbers (N,) that differs between training and another part. own_file: the part is one."""
    if drift := drift_of_numbers(name, train, other, ALPHA):
        what = f"the target differs between training and {NAMES[part]}: {_distance(drift)}; {_shift(drift)}"
        columns = (name,) if name else ()
        mend = _split_off(part) if own_file else {"data.split": "shuffled"}
        yield Finding("warning", "target_drift", what, columns, part, mend=mend)


def _count(count: int, of: int, verb: str) -> str:
    """What `count` of the rows for training do. verb: for one of them."""
    plural = {"repeats": "repeat", "has": "have"}[verb]
    return f"{count:,} of the {of:,} rows for training {verb if count == 1 else plural}"
