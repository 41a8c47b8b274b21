"""What columns are found to hold: the mean and median of those with gaps, and numbers that only count the rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpcli.data.columns import fit_fill, row_numbers

NAN = float("nan")


@settings(derandomize=True, max_examples=100)
@given(st.lists(st.lists(st.sampled_from([NAN, 0.0, 1.0, -2.5, 7.0]), min_size=2, max_size=2), min_size=1, max_size=9))
def test_fills_are_numpys_nanmean_and_nanmedian(rows):
    x = np.array(rows)
    if np.isnan(x).all(axis=0).any():
        return
    np.testing.assert_allclose(fit_fill("mean", x, ("a", "b"), "x"), np.nanmean(x, axis=0))
    np.testing.assert_allclose(fit_fill("median", x, ("a", "b"), "x"), np.nanmedian(x, axis=0))


def test_huge_numbers_have_a_mean():
    x = np.array([[1.5e308], [1.7e308], [NAN]])
    np.testing.assert_allclose(fit_fill("mean", x, ("a",), "x"), [1.6e308])
    np.testing.assert_allclose(fit_fill("median", x, ("a",), "x"), [1.6e308])


@pytest.mark.parametrize("column", [range(1, 13), range(12, 0, -1), [3 * k for k in range(12)], [5, 4, *range(6, 16)]])
def test_whole_numbers_in_order_or_without_gaps_number_the_rows(column):
    x = np.column_stack([np.array(column, float), np.tile([0.5, 1.0], 6)])
    assert row_numbers(x, ("id", "a")) == ("id",)


@pytest.mark.parametrize("column", [[1, *range(1, 12)], [NAN, *range(2, 13)], [0.5 * k for k in range(12)]])
def test_other_columns_do_not_number_the_rows(column):
    x = np.column_stack([np.array(column, float), np.tile([0.5, 1.0], 6)])
    assert row_numbers(x, ("id", "a")) == ()
