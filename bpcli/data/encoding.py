"""From the columns of a table to a network's inputs: each column's transforms, fitted on the training part alone.

A column gives one input or more, each group of them by a chain of transforms: a number its value, filled in and scaled,
and perhaps an indicator that it was missing; a category one input for each of its texts. The inputs that are amounts
come first, in the order of the columns, then those that are not: categories, yes or no, indicators and the sines and
cosines of dates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpcli.data import columns, scaling
from bpcli.data.kinds import Category, Date, Number, kinds, missing_rule
from bpcli.data.transforms import (
    Fill,
    Floats,
    Indicator,
    OneHot,
    PartOfDate,
    Scale,
    SmoothClip,
    Transform,
    TwoValued,
    transforms,
)
from bpcli.data.types import ColumnKind, Missing, RawData, Scaling, sample_number
from bpcli.engine.arrays import Array
from bpcli.errors import DataError
from bpcli.text import listed, printable, shown

Chain = tuple[Transform, ...]
_UNKNOWN = -1.0
_MOST_TEXTS = 1000  # of unknown categories that are kept to be told


@dataclass(frozen=True)
class PreparedColumn:
    """A column of the training data, and how inputs are made of it.

    kind: its name in a config. missing, unknown: what becomes of a missing value and of an unknown category.
    categories: the texts of a category, in the order of their places. amounts, others: the chains that give its inputs.
    """

    name: str
    kind: str
    missing: str
    unknown: str
    categories: tuple[str, ...]
    amounts: tuple[Chain, ...]
    others: tuple[Chain, ...]

    def places(self, values: Floats, texts: Sequence[str]) -> Floats:
        """The values (N,) of the column; of a category its place among `categories`, -1 for an unknown one.

        texts: of each category's number its text, as in `RawData.texts`.
        """
        if self.kind != "category":
            return values
        place = {text: float(index) for index, text in enumerate(self.categories)}
        of_number = np.array([place.get(text, _UNKNOWN) for text in texts] or [_UNKNOWN])
        gaps = np.isnan(values)
        return np.where(gaps, np.nan, of_number[np.where(gaps, 0.0, values).astype(np.int64)])

    def names_of(self, chain: Chain) -> list[str]:
        """The names of a chain's inputs."""
        names = [self.name]
        for transform in chain:
            names = transform.names(names, self.categories)
        return names


def fit_columns(
    raw: RawData, rows: Array, kinds_of_columns: Sequence[ColumnKind], missing: Missing, scale: Scaling
) -> tuple[PreparedColumn, ...]:
    """Each column's transforms, fitted on these rows. missing, scale: for columns whose kinds do not say otherwise.

    Raises:
        DataError: a column has no value in these rows.
    """
    assert raw.feature_names is not None
    x = raw.read_x
    return tuple(
        _fitted(raw, name, x[rows, place], kind, missing_rule(kind, missing), kind.scale or scale)
        for place, (name, kind) in enumerate(zip(raw.feature_names, kinds_of_columns, strict=True))
    )


def _fitted(raw: RawData, name: str, values: Floats, kind: ColumnKind, missing: str, scale: Scaling) -> PreparedColumn:
    if np.isnan(values).all():
        raise DataError(
            f"{raw.source}: {shown(name)} has no value at all in the training part: leave the column out with "
            "data.exclude"
        )
    x = values[:, None]
    if isinstance(kind, Category):
        return _fitted_category(raw, name, values, kind, missing, scale)
    kind_name = kinds.name_of(kind)
    indicator: tuple[Chain, ...] = ((Indicator(),),) if isinstance(kind, (Number, Date)) and kind.indicator else ()
    amounts: tuple[Chain, ...] = ()
    others: tuple[Chain, ...] = ()
    if isinstance(kind, Number):
        amounts = (_amount((), x, missing, scale, raw, name),)
    elif isinstance(kind, Date):
        parts = [PartOfDate(part=part) for part in kind.parts]
        amounts = tuple(_amount((part,), x, missing, scale, raw, name) for part in parts if not part.comes_round)
        fill: Chain = () if missing in ("error", "drop") else (Fill(value=0.0),)
        others = tuple((part, *fill) for part in parts if part.comes_round)
    else:
        others = (_scaled((TwoValued(),), x, scale, raw, name),)
    return PreparedColumn(name, kind_name, missing, "error", (), amounts, others + indicator)


def _fitted_category(
    raw: RawData, name: str, values: Floats, kind: Category, missing: str, scale: Scaling
) -> PreparedColumn:
    texts = raw.texts[name]
    seen = {texts[int(number)] for number in columns.distinct_numbers(values)}
    categories = kind.categories or tuple(sorted(seen))
    column = PreparedColumn(name, "category", missing, kind.unknown, categories, (), ())
    places = column.places(values, texts)[:, None]
    two = len(categories) == 2
    first: Transform = TwoValued() if two else OneHot(count=len(categories))
    chains: tuple[Chain, ...] = (_scaled((first,), places, scale, raw, name),)
    if missing == "category":
        chains += (_scaled((Indicator(),), places, scale, raw, name),)
    return PreparedColumn(name, "category", missing, kind.unknown, categories, (), chains)


def _amount(chain: Chain, x: Floats, missing: str, scale: Scaling, raw: RawData, name: str) -> Chain:
    """The chain for an amount: the missing ones filled in, then scaled."""
    if missing in ("mean", "median"):
        values = _applied(chain, x)
        (fill,) = columns.fit_fill(missing, values, (name,), raw.source).tolist()
        chain = (*chain, Fill(value=fill))
    return _scaled(chain, x, scale, raw, name)


def _scaled(chain: Chain, x: Floats, scale: Scaling, raw: RawData, name: str) -> Chain:
    """The chain with scaling behind it, fitted on what the chain makes of the values that there are, x (N, 1)."""
    values = _applied(chain, x)
    values = values[~np.isnan(values).any(axis=1)]
    scaler = scaling.fit(scale, values)
    if scaler is None:
        return chain
    with np.errstate(over="ignore"):
        varies = values.max(axis=0) > values.min(axis=0)
        factor = np.where(varies | (scale != "robust"), 1.0 / scaler.scale, 0.0)
    if not np.isfinite(scaler.scale).all():
        raise DataError(
            f"{raw.source}: column {shown(name)} spans more than float64 holds, 1.8e308, so that scale: {scale} has no "
            "scale for it: divide its values"
        )
    end: Chain = (SmoothClip(),) if scaler.clips else ()
    return (*chain, Scale(shift=tuple(scaler.shift.tolist()), factor=tuple(factor.tolist())), *end)


def _applied(chain: Chain, x: Floats) -> Floats:
    for transform in chain:
        x = transform.apply(x)
    return x


def _in_order(prepared: Sequence[PreparedColumn]) -> Iterator[tuple[int, PreparedColumn, Chain]]:
    """(place of the column, the column, a chain) in the order of the inputs."""
    for place, column in enumerate(prepared):
        for chain in column.amounts:
            yield place, column, chain
    for place, column in enumerate(prepared):
        for chain in column.others:
            yield place, column, chain


def input_names(prepared: Sequence[PreparedColumn]) -> tuple[str, ...]:
    """The names of the network's inputs."""
    return tuple(name for _, column, chain in _in_order(prepared) for name in column.names_of(chain))


def input_groups(prepared: Sequence[PreparedColumn]) -> dict[str, list[int]]:
    """Of each column the numbers of the inputs that are made of it."""
    owners = [column.name for _, column, chain in _in_order(prepared) for _ in column.names_of(chain)]
    return {column.name: [k for k, owner in enumerate(owners) if owner == column.name] for column in prepared}


def count_amounts(prepared: Sequence[PreparedColumn]) -> int:
    """How many of the inputs, the first ones, are amounts."""
    return sum(len(column.names_of(chain)) for column in prepared for chain in column.amounts)


def amounts_of(kind: ColumnKind) -> int:
    """How many inputs that are amounts a column of that kind gives."""
    if isinstance(kind, Date):
        return sum(not PartOfDate(part=part).comes_round for part in kind.parts)
    return int(isinstance(kind, Number))


def encoded(prepared: Sequence[PreparedColumn], raw: RawData, rows: Array | None) -> Floats:
    """The network's inputs (N, M), float64. rows: the rows of the file that `raw` is, for messages; None for all.

    Raises:
        DataError: a missing value or an unknown category that is not allowed.
    """
    x = raw.read_x
    places = [
        column.places(x[:, place], raw.texts.get(column.name, ()))[:, None] for place, column in enumerate(prepared)
    ]
    for column, values in zip(prepared, places, strict=True):
        _check(column, values[:, 0], raw, rows)
    out = np.empty((len(x), len(input_names(prepared))))
    start = 0
    for place, _, chain in _in_order(prepared):
        made = _applied(chain, places[place])
        out[:, start : start + made.shape[1]] = made
        start += made.shape[1]
    return out


def _check(column: PreparedColumn, values: Floats, raw: RawData, rows: Array | None) -> None:
    if column.missing in ("error", "drop") and np.isnan(values).any():
        sample = sample_number(int(np.isnan(values).argmax()), rows)
        raise DataError(
            f"{raw.source}: sample {sample} has a missing value in column {shown(column.name)}: fill it; a network "
            "does so itself if it is trained with a rule for such values, as in data.missing: median"
        )
    if column.unknown == "error" and column.kind == "category" and (values == _UNKNOWN).any():
        row = int((values == _UNKNOWN).argmax())
        assert raw.feature_names is not None
        number = raw.read_x[row, raw.feature_names.index(column.name)]
        raise DataError(
            f"{raw.source}: sample {sample_number(row, rows)} has {shown(raw.texts[column.name][int(number)])} in "
            f"column {shown(column.name)}, a category that the network does not know (it knows "
            f"{listed(column.categories)}); with unknown: ignore in data.columns such a sample would be none of them"
        )


def is_scaled_unclipped(column: PreparedColumn) -> bool:
    """Whether one outlier may make all other values of the column alike."""
    return column.kind == "number" and any(isinstance(chain[-1], Scale) for chain in column.amounts if chain)


class EncodingCounts:
    """How many values were missing, and how many categories unknown, in data that come in one part or more."""

    def __init__(self, prepared: Sequence[PreparedColumn]) -> None:
        self.prepared, self.rows = prepared, 0
        self.gaps: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.texts: dict[str, dict[str, None]] = {column.name: {} for column in prepared}

    def add(self, raw: RawData) -> None:
        """Counts a part."""
        self.rows += len(raw.x)
        for place, column in enumerate(self.prepared):
            own = raw.texts.get(column.name, ())
            values = column.places(raw.read_x[:, place], own)
            self.gaps[column.name] += int(np.isnan(values).sum())
            unknown = int((values == _UNKNOWN).sum()) if column.kind == "category" else 0
            self.unknown[column.name] += unknown
            if unknown and len(self.texts[column.name]) < _MOST_TEXTS:
                known = set(column.categories)
                self.texts[column.name].update((text, None) for text in own if text not in known)

    def notes(self, where: str) -> Iterator[str]:
        """What became of missing values and of unknown categories, where there are some."""
        for column in self.prepared:
            if count := self.unknown[column.name]:
                yield (
                    f"{where}: {count} of {self.rows} rows have a category in column {shown(column.name)} that the "
                    f"network does not know: {listed(self.texts[column.name], 5)}; they are taken as none of the known "
                    "ones"
                )
        for what, filled in (("filled in", True), ("taken as", False)):
            counts = [
                f"{self.gaps[column.name]} in {printable(column.name)} ({column.missing})"
                for column in self.prepared
                if self.gaps[column.name] and (column.missing in ("mean", "median")) == filled
            ]
            if counts:
                yield f"{where}: missing values {what} by their column's rule: {', '.join(counts[:20])}"


def to_plain(column: PreparedColumn) -> dict[str, Any]:
    """The column as plain values for JSON: `from_plain` gives it back."""

    def chains(group: tuple[Chain, ...]) -> list[list[dict[str, Any]]]:
        return [[{"type": transforms.name_of(step), **vars(step)} for step in chain] for chain in group]

    return {**vars(column), "amounts": chains(column.amounts), "others": chains(column.others)}


def from_plain(values: Mapping[str, Any]) -> PreparedColumn:
    """A column from plain values, each checked.

    Raises:
        ValueError, TypeError, KeyError: it is not what `to_plain` gives.
    """
    texts = [values[key] for key in ("name", "kind", "missing", "unknown")]
    categories = tuple(values["categories"])
    if not all(isinstance(text, str) for text in (*texts, *categories)) or len(set(categories)) < len(categories):
        raise ValueError("a column's name, kind, rules and categories must be text")
    amounts, others = (tuple(map(_chain, values[key])) for key in ("amounts", "others"))
    name, kind, missing, unknown = texts
    column = PreparedColumn(name, kind, missing, unknown, categories, amounts, others)
    if set(values) != set(vars(column)) or column.kind not in kinds:
        raise ValueError(f"column {column.name} is not what was saved")
    for chain in (*amounts, *others):
        if _applied(chain, np.zeros((1, 1))).shape != (1, len(column.names_of(chain))):
            raise ValueError(f"column {column.name} has another number of inputs than names")
    return column


def _chain(steps: Any) -> Chain:
    return tuple(_transform(dict(step)) for step in steps)


def _transform(step: dict[str, Any]) -> Transform:
    cls: Any = transforms.get(step.pop("type"))
    for key, value in step.items():
        numbers = value if isinstance(value, list) else [value]
        is_text = key == "part"
        if not all(isinstance(n, str) if is_text else type(n) in (int, float) and np.isfinite(n) for n in numbers):
            raise ValueError(f"{key} of a transform is not what was saved")
        step[key] = tuple(value) if isinstance(value, list) else value
    transform: Transform = cls(**step)
    return transform
