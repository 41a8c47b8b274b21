"""Equal rows are found by hash, in one file and in two."""

from __future__ import annotations

import numpy as np
import pytest

from bpcli.data.row_hashes import (
    chance_of_equal_rows,
    contradicted,
    hashes_of_columns,
    repeated,
    row_hashes,
    with_targets,
)
from bpcli.data.types import RawData


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def raw(x, texts=None, names=None):
    x = np.asarray(x)
    names = names or (tuple(f"c{k}" for k in range(x.shape[1])) if x.ndim == 2 else None)
    return RawData("t.csv", x, None, names, None, (), texts=texts or {})


def test_equal_rows_and_no_others_have_equal_hashes(rng):
    x = rng.normal(size=(1000, 5))
    x[700] = x[3]
    found = np.flatnonzero(repeated(row_hashes(raw(x))))
    assert found.tolist() == [700]


def test_columns_are_not_interchangeable():
    a, b = row_hashes(raw([[1.0, 2.0], [2.0, 1.0]]))
    assert a != b


def test_minus_zero_is_zero_and_missing_equals_missing():
    hashes = row_hashes(raw([[0.0, np.nan], [-0.0, -np.nan]]))
    assert hashes[0] == hashes[1]


def test_a_category_counts_by_its_text_whatever_its_number():
    one = row_hashes(raw([[0.0], [1.0], [np.nan]], {"c0": ("red", "blue")}))
    other = row_hashes(raw([[1.0], [0.0], [np.nan]], {"c0": ("blue", "red")}))
    assert one.tolist() == other.tolist()
    assert len(set(one.tolist())) == 3


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64])
def test_images_are_compared_whatever_their_dtype(dtype, rng):
    images = rng.integers(0, 255, (20, 4, 4))
    assert row_hashes(raw(images.astype(dtype))).tolist() == row_hashes(raw(images.astype(np.float64))).tolist()


def test_blocks_give_the_hashes_of_the_whole(monkeypatch, rng):
    x = rng.normal(size=(50, 3))
    whole = row_hashes(raw(x)).tolist()
    monkeypatch.setattr("bpcli.data.row_hashes._BLOCK_VALUES", 7)
    assert row_hashes(raw(x)).tolist() == whole


def test_hashes_by_column_tell_the_same_rows_apart(rng):
    x = rng.integers(0, 3, (200, 3)).astype(float)
    assert repeated(hashes_of_columns(list(x.T))).tolist() == repeated(row_hashes(raw(x))).tolist()


@pytest.mark.parametrize(
    "y", [np.array(["a", "b", "a", "a"]), np.array([1.0, 2.0, 1.0, 1.0]), np.array([[1, 0], [0, 1], [1, 0], [1, 0]])]
)
def test_rows_with_other_targets_are_not_the_same_but_contradict_each_other(y):
    inputs = row_hashes(raw([[1.0], [1.0], [1.0], [2.0]]))
    samples = with_targets(inputs, y)
    assert repeated(samples).tolist() == [False, False, True, False]
    assert contradicted(inputs, samples).tolist() == [True, True, True, False]


def test_the_chance_of_equal_rows_is_that_of_independent_columns():
    """Of 16 coins with 8 of each side 2 x 8 x 7 of 16 x 15 pairs are equal."""
    coin = np.array([0.0, 1.0] * 8)
    assert chance_of_equal_rows([coin, coin]) == pytest.approx((2 * 8 * 7 / (16 * 15)) ** 2)
    assert chance_of_equal_rows([coin, np.arange(16.0)]) == 0.0
