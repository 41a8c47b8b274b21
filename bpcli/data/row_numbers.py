"""Columns that only number the rows: an id, an index that was saved with the table.

Where a table is sorted by its target, such a column tells the target, but only of the rows that are there.
"""

from __future__ import annotations

import numpy as np

from bpcli.engine.arrays import Array

_FEWEST_IN_ORDER = 10  # fewer whole numbers may be in order, or without gaps, by chance


def numbers_rows(column: Array) -> bool:
    """Whether whole numbers (N,) count 1 by 1, all go up or down, or are those from a to a + N - 1 in any order."""
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
