"""Training and test rows, the same for every method, and the error on the test rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TEST_SHARE = 0.25


def split(target: Sequence[Any], seed: int, *, stratified: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows of the training and of the test part, ascending. They follow from `target` and `seed` alone.

    Stratified, each class gives a quarter of its rows to the test part, rounded half up.
    """
    values = np.asarray(target)
    rng = np.random.default_rng(seed)
    strata = np.unique(values.astype(str), return_inverse=True)[1] if stratified else np.zeros(len(values), dtype=int)
    test = np.zeros(len(values), dtype=bool)
    for stratum in range(strata.max() + 1):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        test[rows[: int(len(rows) * TEST_SHARE + 0.5)]] = True
    return np.flatnonzero(~test), np.flatnonzero(test)


def misclassified(predicted: Sequence[Any], actual: Sequence[Any]) -> float:
    """1 - accuracy: the share of rows whose label is not the predicted one."""
    return float(np.mean([_label(p) != _label(a) for p, a in zip(predicted, actual, strict=True)]))


def _label(value: Any) -> str:
    """A label as text, so that 1, 1.0 and "1" are one label."""
    text = str(value)
    try:
        number = float(text)
    except ValueError:
        return text
    return repr(number)


def nrmse(predicted: Sequence[float], actual: Sequence[float]) -> float:
    """sqrt(mean((p - a)^2)) / std(a), a the test targets: 1 is what their own mean would reach."""
    p, a = np.asarray(predicted, dtype=float), np.asarray(actual, dtype=float)
    if p.shape != a.shape:
        raise ValueError(f"{p.shape} predictions for {a.shape} targets")
    return float(np.sqrt(np.mean((p - a) ** 2)) / np.std(a))
