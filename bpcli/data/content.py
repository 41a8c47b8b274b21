"""What is used of a data file: complete rows where the user wants them alone, and the weights apart from the inputs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from bpcli.data.columns import counts_by_column, lacking
from bpcli.data.kinds import Category, Date, missing_rule
from bpcli.data.large import NpyRows
from bpcli.data.stored import counted
from bpcli.data.types import DataPlan, Missing, Names, RawData, sample_number
from bpcli.engine.arrays import Array
from bpcli.errors import DataError
from bpcli.text import did_you_mean, listed, shown


@dataclass(frozen=True, eq=False)
class Content:
    """What is used of a file: without the column of weights, and with `data.missing: drop` complete rows alone.

    weights: (N, 1). rows: the numbers of the file's rows that are there, None for all.
    """

    raw: RawData
    weights: Array | None
    rows: Array | None = None
    notes: tuple[str, ...] = ()

    def part(self, own: Array) -> Content:
        """Of these rows alone."""
        weights = None if self.weights is None else self.weights[own]
        return Content(_rows_of(self.raw, own), weights, own if self.rows is None else self.rows[own], self.notes)


def content_of(raw: RawData, plan: DataPlan) -> Content:
    """What is used of a file.

    Raises:
        DataError: no row is complete; a weight is wrong or missing.
    """
    raw, weights = _without_weights(raw, plan)
    dropped = inputs_to_drop_for(raw, plan.missing)
    if plan.missing != "drop" and dropped is None:
        return Content(raw, weights)
    incomplete = np.zeros(len(raw.x), bool) if dropped is None else lacking(dropped)
    for values in (raw.y, weights) if plan.missing == "drop" else ():
        if values is not None:
            incomplete = incomplete | lacking(values)
    if not incomplete.any():
        return Content(raw, weights)
    by_column = counts_by_column(raw, weights, plan.sample_weight or "")
    counts = counted(by_column if raw.kinds is None else _of_those_that_drop(by_column, raw, plan), len(incomplete))
    if incomplete.all():
        raise DataError(f"{raw.source}: every row has a missing value, so data.missing: drop leaves none ({counts})")
    note = f"{raw.source}: left out {incomplete.sum()} of {len(incomplete)} rows, for a missing value ({counts})"
    rows = np.flatnonzero(~incomplete)
    return dataclasses.replace(Content(raw, weights).part(rows), notes=(note,))


def _of_those_that_drop(counts: dict[str, int], raw: RawData, plan: DataPlan) -> dict[str, int]:
    """The counts without those of inputs whose missing values are filled in."""
    assert raw.kinds is not None
    filled = {
        shown(name)
        for name, kind in zip(raw.feature_names or (), raw.kinds, strict=True)
        if missing_rule(kind, plan.missing) != "drop"
    }
    return {name: count for name, count in counts.items() if name not in filled}


def inputs_to_drop_for(raw: RawData, missing: Missing) -> Array | None:
    """The inputs of which none may be missing, or the sample is left out; None if there are none such."""
    if raw.kinds is None:
        return raw.read_x if missing == "drop" else None
    own = [place for place, kind in enumerate(raw.kinds) if missing_rule(kind, missing) == "drop"]
    return raw.read_x[:, own] if own else None


def _without_weights(raw: RawData, plan: DataPlan) -> tuple[RawData, Array | None]:
    """The data without its column of weights, and the weights (N, 1), float64.

    Raises:
        DataError: there is no such column, a weight is negative, or missing where it may not be.
    """
    name = plan.sample_weight
    if name is None:
        return raw, None
    if raw.feature_names is None or name not in raw.feature_names:
        have = listed(raw.feature_names or ()) if raw.feature_names else "no named columns"
        near = did_you_mean(name, raw.feature_names or ())
        raise DataError(f"{raw.source}: has no column {shown(name)}{near} for data.sample_weight; it has {have}")
    assert isinstance(raw.x, np.ndarray)  # only a CSV file has named columns
    column = raw.feature_names.index(name)
    if raw.kinds is not None and isinstance(raw.kinds[column], (Category, Date)):
        what = "categories" if isinstance(raw.kinds[column], Category) else "dates"
        raise DataError(
            f"{raw.source}: the weights are in column {shown(name)}, which holds {what}, not numbers: name another one "
            "with data.sample_weight"
        )
    weights = raw.x[:, column : column + 1].astype(np.float64)
    if (weights < 0).any():
        row = int((weights[:, 0] < 0).argmax())
        raise DataError(
            f"{raw.source}: sample {row + 1} has the weight {weights[row, 0]:g}: weights must be at least 0"
        )
    if plan.missing != "drop" and lacking(weights).any():
        raise DataError(
            f"{raw.source}: sample {int(lacking(weights).argmax()) + 1} has no weight in column {shown(name)}: "
            "a weight is never filled in: fill it or drop the row, or set data.missing: drop"
        )
    names = tuple(other for other in raw.feature_names if other != name)
    kinds = raw.kinds and (*raw.kinds[:column], *raw.kinds[column + 1 :])
    return dataclasses.replace(raw, x=np.delete(raw.x, column, axis=1), feature_names=names, kinds=kinds), weights


def with_weights(features: Names, plan: DataPlan) -> Names:
    """The columns to read for these features: where they are listed, the column of weights besides."""
    if plan.sample_weight is None or features is None:
        return features
    names = [features] if isinstance(features, str) else features
    return tuple(names) if plan.sample_weight in names else (*names, plan.sample_weight)


def cast_weights(weights: Array, plan: DataPlan, content: Content) -> Array:
    """Weights (N, 1) in the network's dtype.

    Raises:
        DataError: one is too large for it.
    """
    with np.errstate(over="ignore"):
        cast = weights.astype(plan.dtype)
    if not np.isfinite(cast).all():
        row = int((~np.isfinite(cast[:, 0])).argmax())
        sample = sample_number(row, content.rows)
        by_class = "" if plan.class_weights is None else ", data.class_weights included"
        raise DataError(
            f"{content.raw.source}: sample {sample} has the weight {weights[row, 0]:g}{by_class}, "
            f"too large for {plan.dtype}: weigh all samples by smaller numbers"
        )
    return cast


def _rows_of(raw: RawData, rows: Array) -> RawData:
    """The raw data of these rows; the data itself, uncopied, if they are all."""
    if len(rows) == len(raw.x):
        return raw
    x = raw.x.part(rows) if isinstance(raw.x, NpyRows) else raw.x[rows]
    groups = None if raw.groups is None else raw.groups[rows]
    return dataclasses.replace(raw, x=x, y=None if raw.y is None else raw.y[rows], groups=groups)
