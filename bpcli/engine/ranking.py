"""Scores of the samples of a class against those of all others."""

from __future__ import annotations

from collections.abc import Iterator

from bpcli.engine.arrays import Array


def one_against_rest(target: Array, prediction: Array) -> Iterator[tuple[Array, Array]]:
    """(whether each sample is of the class (N,), its score for the class (N,)), class after class.

    Of two classes only class 1: class 0 would say the same again.
    """
    classes = prediction.shape[1]
    for k in range(1 if classes == 2 else 0, classes):
        yield target == k, prediction[:, k]
