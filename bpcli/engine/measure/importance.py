"""Permutation importance: how much worse a network gets when a column says nothing any more.

Breiman 2001, Random Forests, section 10; Fisher, Rudin and Dominici 2019 (arXiv 1801.01489). A column's values are
dealt anew among the samples, which keeps what the column looks like and breaks what it says of the target. Of two
columns that say the same, each may look unimportant, because the network still has the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array

REPEATS = 10


@dataclass(frozen=True, eq=False)
class Importance:
    """By how much a metric gets worse, mean and standard deviation over the repeats; below 0 it got better."""

    mean: float
    std: float


def permutation_importance(
    x: Array,
    groups: Mapping[str, Sequence[int]],
    measure: Callable[[Array], float],
    rng: np.random.Generator,
    *,
    higher_is_better: bool,
    repeats: int = REPEATS,
) -> dict[str, Importance]:
    """The importance of each group of input columns, which are permuted together, for the metric that `measure` gives.

    Args:
        x: inputs (N, D); their columns are overwritten meanwhile and are afterwards as they were.
        groups: by name, the columns that belong together, such as those of one category.
        measure: from inputs (N, D) to the metric.
    """
    before, sign = measure(x), 1.0 if higher_is_better else -1.0
    importances = {}
    for name, columns in groups.items():
        index = list(columns)
        kept, drops = x[:, index].copy(), []
        for _ in range(repeats):
            x[:, index] = kept[rng.permutation(len(x))]
            drops.append(sign * (before - measure(x)))
        x[:, index] = kept
        importances[name] = Importance(float(np.mean(drops)), float(np.std(drops)))
    return importances
