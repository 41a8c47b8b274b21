"""Which rows are for training, validation and test."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bpcli.errors import DataError

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of each part, in ascending order; val and test may be empty."""

    train: Rows
    val: Rows
    test: Rows


def split_rows(
    n: int,
    *,
    val: float = 0.0,
    test: float = 0.0,
    in_order: bool = False,
    classes: Rows | None = None,
    rng: np.random.Generator,
) -> Split:
    """Parts of n rows: round(n * fraction), at least one, for val and for test where the fraction is not 0.

    in_order: the last rows are the test part, those before them the validation part. Otherwise drawn at random; with
    `classes` (N,) each part keeps the shares of the classes, to within one row.

    Raises:
        DataError: nothing would be left to train on.
    """
    n_val, n_test = (max(1, round(n * fraction)) if fraction else 0 for fraction in (val, test))
    n_train = n - n_val - n_test
    if n_train < 1:
        raise DataError(f"{n} rows are too few to split off {n_val} for validation and {n_test} for test")
    rows = np.arange(n)
    if in_order:
        return Split(rows[:n_train], rows[n_train : n_train + n_val], rows[n_train + n_val :])
    rows = rng.permutation(n)
    if classes is not None:
        rows = rows[np.argsort(classes[rows], kind="stable")]
    test_rows, rest = _every_so_often(rows, n_test)
    val_rows, train_rows = _every_so_often(rest, n_val)
    return Split(np.sort(train_rows), np.sort(val_rows), np.sort(test_rows))


def _every_so_often(rows: Rows, k: int) -> tuple[Rows, Rows]:
    """k of the rows at even distances, and the others: from rows sorted by class, each class gives its share."""
    marks = np.arange(len(rows) + 1) * k // len(rows)
    taken = marks[1:] > marks[:-1]
    return rows[taken], rows[~taken]
