"""Rows that are the same, within a file or in two: found by a 64-bit hash of what each row holds.

A row's hash is the sum of its values' hashes, each mixed with its column's number (SplitMix64; Steele, Lea and Flood
2014, "Fast splittable pseudorandom number generators"). A number counts by its value, a category by its text, so that
files are comparable whatever order their texts come in; a missing value equals a missing one. Two different rows of a
million have the same hash by chance once in about 40 million files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from bpcli.data.large import NpyRows
from bpcli.data.types import RawData
from bpcli.engine.arrays import Array, distinct

Hashes = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

_BLOCK_VALUES = 1 << 20
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)


def row_hashes(raw: RawData) -> Hashes:
    """A hash of the inputs of each sample, (N,)."""
    found = []
    for values in _row_blocks(raw.x):
        numbers = values.reshape(len(values), -1).astype(np.float64)
        words = _bits(numbers)
        for column, texts in _text_columns(raw):
            words[:, column] = _of_texts(numbers[:, column], texts)
        found.append(_of_words(words))
    return np.concatenate(found)


def hashes_of_columns(columns: Sequence[npt.NDArray[np.float64]]) -> Hashes:
    """A hash of each row of a table, given by its columns (N,): numbers that are the same for what is the same."""
    total = np.zeros(len(columns[0]), np.uint64)
    for values, step in zip(columns, _steps(len(columns)), strict=True):
        total += _mixed(_bits(values) + step)
    return total


def with_targets(hashes: Hashes, y: Array | None) -> Hashes:
    """A hash of inputs and target of each sample: `hashes` (N,) those of the inputs, y (N,) or (N, M)."""
    if y is None:
        return hashes
    if y.dtype.kind == "U":
        labels, places = distinct(y)
        words = _text_hashes(labels.tolist())[places][:, None]
    else:
        words = _bits(y.reshape(len(y), -1).astype(np.float64))
    return _of_words(np.column_stack([hashes, words]))


def repeated(hashes: Hashes) -> Mask:
    """Which rows hold what an earlier row holds, (N,)."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    found = np.zeros(len(hashes), bool)
    found[order[1:][ordered[1:] == ordered[:-1]]] = True
    return found


def contradicted(inputs: Hashes, samples: Hashes) -> Mask:
    """Which rows have the inputs of another row, but another target, (N,). samples: the hashes with the targets."""
    _, row = distinct(inputs)
    one_of_them = np.zeros(len(inputs), np.uint64)
    one_of_them[row] = samples
    differs = np.bincount(row, one_of_them[row] != samples, minlength=len(inputs)) > 0
    return np.asarray(differs[row])


def chance_of_equal_rows(columns: Iterable[npt.NDArray[np.float64]]) -> float:
    """The probability that two rows are equal if their columns, each (N,), are independent of each other.

    prod_j sum_v n_jv (n_jv - 1) / N (N - 1), where n_jv is how often the value v stands in column j.

    Correlated columns make equal rows more likely than this; a table of columns with few different values has many of
    them, and they mean nothing there.
    """
    chance = 1.0
    for values in columns:
        counts = np.bincount(distinct(_bits(values))[1])
        chance *= float((counts * (counts - 1.0)).sum()) / (len(values) * max(1.0, len(values) - 1.0))
    return chance


def _row_blocks(x: Array | NpyRows) -> Iterator[Array]:
    if isinstance(x, NpyRows):
        yield from x.blocks()
        return
    rows = max(1, _BLOCK_VALUES * len(x) // max(1, x.size))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]


def _text_columns(raw: RawData) -> list[tuple[int, tuple[str, ...]]]:
    """The columns of categories: their places, and the texts that their numbers stand for."""
    return [(place, raw.texts[name]) for place, name in enumerate(raw.feature_names or ()) if name in raw.texts]


def _bits(values: npt.NDArray[np.float64]) -> Hashes:
    """The bits of floats; those of 0.0 for -0.0, and one pattern for every NaN."""
    values = values + 0.0
    values[np.isnan(values)] = np.nan
    return values.view(np.uint64)


def _of_texts(numbers: npt.NDArray[np.float64], texts: Sequence[str]) -> Hashes:
    """For each number the hash of its text; 0 for a missing value."""
    gaps = np.isnan(numbers)
    of_number = _text_hashes([*texts, ""])
    return np.where(gaps, np.uint64(0), of_number[np.where(gaps, 0.0, numbers).astype(np.int64)])


def _text_hashes(texts: Sequence[str]) -> Hashes:
    digests = (hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), np.uint64)


def _of_words(words: Hashes) -> Hashes:
    """The hash of each row of words (N, D)."""
    return np.asarray(_mixed(words + _steps(words.shape[1])).sum(axis=1, dtype=np.uint64))


def _steps(columns: int) -> Hashes:
    """What tells the columns apart, (D,)."""
    return np.arange(1, columns + 1, dtype=np.uint64) * _STEP


def _mixed(words: Hashes) -> Hashes:
    """Each word with its bits spread over the whole of it: the finaliser of SplitMix64."""
    for shift, factor in zip(_SHIFTS, _FACTORS, strict=False):
        words = (words ^ (words >> shift)) * factor
    return words ^ (words >> _SHIFTS[-1])
