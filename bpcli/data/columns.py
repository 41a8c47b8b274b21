"""What columns are found to hold: missing values, numbers that only count the rows, values beside which others vanish.

What becomes of missing values is the user's word, `data.missing`. Readers give NaN for a missing number and an empty
text for a missing label, where the word allows it:

error: a missing value is an error.
drop: a sample with a missing input, target or weight is left out.
mean, median: a missing input is filled in with its column's mean or median over the training part. Targets and
    weights are never filled in.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from bpcli.data.types import Missing, RawData
from bpcli.engine.arrays import Array
from bpcli.errors import DataError
from bpcli.text import shown

Floats = npt.NDArray[np.float64]

_FEWEST_IN_ORDER = 10  # fewer whole numbers may be in order, or without gaps, by chance
_FLAT = 1e-6  # of a column's range: what lies closer together is hardly told apart


def remedy(missing: Missing, *, is_target: bool) -> str:
    """What to do about a missing value that `missing` does not allow."""
    if missing != "error":
        return "a target is never filled in: fill it or drop the row, or set data.missing: drop"
    return f"fill it or drop the row, or set data.missing: {'drop' if is_target else 'drop | mean | median'}"


def column_names(names: tuple[str, ...] | None, width: int) -> tuple[str, ...]:
    """The columns as messages name them: by name, or where there are none by number, from 0."""
    return tuple(map(shown, names)) if names else tuple(f"column {column}" for column in range(width))


def gaps_in(values: Array) -> npt.NDArray[np.bool_]:
    """Where a value is missing, a bool array of the same shape."""
    gaps = np.zeros(values.shape, bool)
    if values.dtype.kind == "U":
        np.equal(values, "", out=gaps)
    elif values.dtype.kind == "f":
        np.isnan(values, out=gaps)
    return gaps


def lacking(values: Array) -> npt.NDArray[np.bool_]:
    """Which samples of values (N, ...) have a missing value: (N,)."""
    return np.asarray(gaps_in(values).reshape(len(values), -1).any(axis=1))


def counts_by_column(raw: RawData, weights: Array | None = None, weight_name: str = "") -> dict[str, int]:
    """How many values are missing, by the columns' names as messages give them."""
    counts = _counts(raw.read_x, raw.feature_names, "inputs")
    if raw.y is not None:
        counts |= _counts(raw.y, raw.target_names, "targets")
    if weights is not None:
        counts |= _counts(weights, (weight_name,), "")
    return counts


def _counts(values: Array, names: tuple[str, ...] | None, whole: str) -> dict[str, int]:
    """Counts by column; where columns have no names, all of them under `whole`."""
    gaps = gaps_in(values)
    if names is None:
        return {whole: int(gaps.sum())}
    return dict(zip(map(shown, names), gaps.reshape(len(gaps), -1).sum(axis=0).tolist(), strict=True))


def fit_fill(kind: str, x: Floats, names: tuple[str, ...], source: str) -> Floats:
    """Each column's mean or median over the values that there are: x (N, D) -> (D,).

    Raises:
        DataError: a column has none.
    """
    there = ~np.isnan(x)
    count = there.sum(axis=0)
    if not count.all():
        name = names[int((count == 0).argmax())]
        raise DataError(
            f"{source}: {name} has no value at all in the training part, so there is no {kind} to fill in: "
            "leave the column out with data.features"
        )
    if kind == "median":
        ordered = np.sort(x, axis=0)  # NaN goes to the end
        columns = np.arange(x.shape[1])
        low, high = ordered[(count - 1) // 2, columns], ordered[count // 2, columns]
        return np.asarray(0.5 * low + 0.5 * high)
    unit = np.where(there, np.abs(x), 0.0).max(axis=0)  # sums of numbers beyond 1e304 would overflow
    unit[unit == 0] = 1.0
    return np.asarray(np.where(there, x / unit, 0.0).sum(axis=0) / count * unit)


def filled(x: Floats, fill: Floats) -> Floats:
    """x (N, D) with fill (D,) in place of NaN; x itself where there is none."""
    gaps = np.isnan(x)
    return np.where(gaps, fill, x) if gaps.any() else x


def distinct_numbers(values: Floats) -> list[float]:
    """The different numbers among values (N,), in order; NaN is none."""
    ordered = np.sort(values[~np.isnan(values)])
    return [] if not len(ordered) else [float(ordered[0]), *ordered[1:][np.diff(ordered) > 0].tolist()]


def numbers_rows(column: Array) -> bool:
    """Whether whole numbers (N,) count 1 by 1, all go up or down, or are those from a to a + N - 1 in any order.

    Such as an id, or an index that was saved with the table. Where a table is sorted by its target, such a column tells
    the target, but only of the rows that are there.
    """
    first = column[:3]
    if len(first) < 3 or len(set(first.tolist())) < 3 or not (first % 1 == 0).all():  # most columns are told by these
        return False
    if not (column % 1 == 0).all():  # NaN is not whole
        return False
    steps = np.diff(column)
    if (steps == 1).all():
        return True
    if len(column) < _FEWEST_IN_ORDER:
        return False
    without_gaps = column.max() - column.min() == len(column) - 1 and bool((np.diff(np.sort(column)) == 1).all())
    return bool((steps > 0).all() or (steps < 0).all() or without_gaps)


def row_numbers(x: Array, names: tuple[str, ...]) -> tuple[str, ...]:
    """Which columns of x (N, D) only number the rows, where there are others; none of a table of few rows."""
    if len(x) < _FEWEST_IN_ORDER or len(names) < 2:
        return ()
    return tuple(name for name, column in zip(names, x.T, strict=True) if numbers_rows(column))


def flattened(x: Floats) -> list[tuple[int, int]]:
    """(column, row) of each value of x (N, D) beside which all others of its column, which differ, look the same.

    They lie within a millionth of the distance to it, so that after scaling nothing is left of what tells them apart.
    """
    if len(x) < 3:
        return []
    unit = np.abs(x).max(axis=0)
    unit[unit == 0] = 1.0
    found = []
    parts = x / unit
    low, high, mean = parts.min(axis=0), parts.max(axis=0), parts.mean(axis=0)
    lone = np.minimum(mean - low, high - mean) * len(x) <= (1.0 + len(x) * _FLAT) * (high - low)  # else there are two
    for column in np.flatnonzero(lone & (high > low)).tolist():
        values = parts[:, column]
        above = high[column] - mean[column] > mean[column] - low[column]
        row = int(values.argmax() if above else values.argmin())
        others = np.delete(x[:, column], row)
        least, most = others.min(), others.max()
        if least < most and most / unit[column] - least / unit[column] < _FLAT * (high[column] - low[column]):
            found.append((column, row))
    return found
