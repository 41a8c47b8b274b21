"""Fractional splits, every row in one part, in the right numbers and shares; and the order of an epoch, by blocks."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bpcli.data.splits import BlockOrder, Split, split_blocks, split_rows
from bpcli.errors import DataError

fractions = st.sampled_from([0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.45]) | st.floats(0.01, 0.49)
labels = st.lists(st.integers(0, 5), min_size=3, max_size=120)


def split(n: int, *, seed: int = 0, **options) -> Split:
    try:
        return split_rows(n, rng=np.random.default_rng(seed), **options)
    except DataError:
        assume(False)
        raise


@settings(derandomize=True)
@given(st.integers(1, 300), fractions, fractions, st.booleans(), st.booleans())
def test_the_parts_are_disjoint_and_complete(n, val, test, in_order, stratify):
    classes = np.arange(n) % 3 if stratify else None
    parts = split(n, val=val, test=test, in_order=in_order, classes=classes)
    together = np.concatenate([parts.train, parts.val, parts.test])
    np.testing.assert_array_equal(np.sort(together), np.arange(n))


@settings(derandomize=True)
@given(st.integers(1, 300), fractions, fractions, st.booleans(), st.booleans())
def test_a_part_has_its_fraction_of_the_rows_and_at_least_one(n, val, test, in_order, stratify):
    classes = np.arange(n) % 3 if stratify else None
    parts = split(n, val=val, test=test, in_order=in_order, classes=classes)
    for part, fraction in ((parts.val, val), (parts.test, test)):
        assert len(part) == (max(1, round(n * fraction)) if fraction else 0)


@settings(derandomize=True)
@given(st.integers(1, 300), fractions, fractions, st.booleans())
def test_the_rows_of_a_part_are_in_ascending_order(n, val, test, in_order):
    parts = split(n, val=val, test=test, in_order=in_order)
    for part in (parts.train, parts.val, parts.test):
        assert (np.diff(part) > 0).all()


@settings(max_examples=200, derandomize=True)
@given(labels, fractions, fractions, st.integers(0, 5))
@example([0, 0, 0, 1, 1], 0.05, 0.05, 0)
@example([0, 0, 0, 0, 1, 1, 2], 0.4, 0.25, 0)
@pytest.mark.parametrize("name", ["train", "val", "test"])
def test_a_stratified_part_keeps_the_share_of_every_class_to_within_one_row(name, labels, val, test, seed):
    classes = np.array(labels)
    parts = split(len(classes), val=val, test=test, classes=classes, seed=seed)
    part = getattr(parts, name)
    # a class so rare that its share of the training rows is below 1 keeps one, at the cost of the others
    assume(np.bincount(classes)[np.unique(classes)].min() * len(parts.train) >= len(classes))
    for c in np.unique(classes):
        fair = len(part) * (classes == c).sum() / len(classes)
        assert abs((classes[part] == c).sum() - fair) <= 1 + 1e-9


def test_equal_classes_are_split_evenly():
    classes = np.repeat([0, 1, 2], 50)
    parts = split(150, val=0.2, test=0.2, classes=classes)
    for part, count in ((parts.train, 30), (parts.val, 10), (parts.test, 10)):
        assert np.bincount(classes[part]).tolist() == [count] * 3


@pytest.mark.parametrize("classes", [None, np.arange(100) % 4])
def test_the_same_seed_gives_the_same_split(classes):
    one, other = (split(100, val=0.2, test=0.1, classes=classes, seed=3) for _ in range(2))
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("classes", [None, np.arange(100) % 4])
def test_another_seed_gives_another_split(classes):
    one, other = (split(100, val=0.2, classes=classes, seed=seed) for seed in (3, 4))
    assert not np.array_equal(one.val, other.val)


@pytest.mark.parametrize("classes", [None, np.repeat([0, 1], 100)])
def test_every_row_can_come_into_every_part(classes):
    seen = {"train": set(), "val": set(), "test": set()}
    for seed in range(100):
        parts = split(200, val=0.25, test=0.25, classes=classes, seed=seed)
        for name, rows in seen.items():
            rows.update(getattr(parts, name).tolist())
    assert all(len(rows) == 200 for rows in seen.values())


def test_in_order_takes_the_last_rows_for_test_and_those_before_for_validation():
    parts = split(10, val=0.2, test=0.3, in_order=True)
    assert [part.tolist() for part in (parts.train, parts.val, parts.test)] == [[0, 1, 2, 3, 4], [5, 6], [7, 8, 9]]


def test_in_order_draws_nothing():
    rng = np.random.default_rng(0)
    split_rows(10, val=0.2, in_order=True, rng=rng)
    assert rng.random() == np.random.default_rng(0).random()


def test_without_fractions_all_rows_are_for_training():
    parts = split(5)
    assert parts.train.tolist() == [0, 1, 2, 3, 4]
    assert (len(parts.val), len(parts.test)) == (0, 0)


@pytest.mark.parametrize(
    ("n", "val", "test", "message"),
    [
        (1, 0.2, 0.0, "1 rows? (is|are) too few to split off 1 for validation and 0 for test"),
        (2, 0.2, 0.2, "2 rows are too few to split off 1 for validation and 1 for test"),
        (10, 0.5, 0.5, "10 rows are too few to split off 5 for validation and 5 for test"),
        (3, 0.9, 0.0, "3 rows are too few to split off 3 for validation"),
    ],
)
def test_too_few_rows_are_an_error_with_the_numbers(n, val, test, message):
    with pytest.raises(DataError, match=message):
        split_rows(n, val=val, test=test, rng=np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(3))
def test_the_only_row_of_a_class_is_not_split_off(seed):
    """What is only validated can never be learnt. Refusing such a split would do as well."""
    classes = np.array([0] * 10 + [1] * 9 + [2])
    try:
        parts = split_rows(20, val=0.3, test=0.2, classes=classes, rng=np.random.default_rng(seed))
    except DataError:
        return
    assert 2 in classes[parts.train]


def test_tens_of_thousands_of_classes_are_split_in_no_time():
    classes = np.arange(100_000) % 50_000
    start = time.process_time()
    split = split_rows(len(classes), val=0.2, test=0.1, classes=classes, rng=np.random.default_rng(0))
    assert time.process_time() - start < 2  # a pass over the rows for each class took 30 s
    assert [len(part) for part in (split.train, split.val, split.test)] == [70_000, 20_000, 10_000]
    assert len(set(classes[split.train])) == 50_000


# --- whole blocks -----------------------------------------------------------------------------------------------------

N = 1000  # in blocks of 42 rows, the last one of 34; windows of 4 blocks


def test_parts_are_whole_blocks_and_together_all_rows():
    split = split_blocks(N, 42, val=0.2, test=0.1, in_order=False, classes=None, rng=np.random.default_rng(0))
    parts = (split.train, split.val, split.test)
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(N))
    assert [len(set((part // 42).tolist())) for part in parts] == [17, 5, 2]
    for part in parts:
        assert (part[::42] % 42 == 0).all()


def test_in_order_takes_exactly_the_last_rows():
    split = split_blocks(N, 42, val=0.2, test=0.1, in_order=True, classes=None, rng=np.random.default_rng(0))
    assert (split.train[-1], split.val[0], split.val[-1], split.test[0]) == (699, 700, 899, 900)


def test_stratified_parts_of_a_sorted_file_have_every_class():
    classes = np.repeat(np.arange(4), 250)
    split = split_blocks(N, 10, val=0.2, test=0.0, in_order=False, classes=classes, rng=np.random.default_rng(0))
    assert np.bincount(classes[split.val]).tolist() == [50, 50, 50, 50]


# --- the order of an epoch --------------------------------------------------------------------------------------------


def order(seed: int = 0, n: int = N, window: int = 4, block_rows: int = 42) -> BlockOrder:
    return BlockOrder(n, block_rows=block_rows, window=window, generator=np.random.default_rng(seed))


@pytest.mark.parametrize(("n", "window", "block_rows"), [(N, 4, 42), (N, 100, 42), (N, 1, 1), (7, 2, 42), (84, 1, 42)])
def test_every_row_comes_once(n, window, block_rows):
    rows = order(n=n, window=window, block_rows=block_rows)
    seen = np.concatenate([rows[low : low + 32] for low in range(0, n, 32)])
    np.testing.assert_array_equal(np.sort(seen), np.arange(n))


def test_batches_do_not_change_the_order():
    whole = order()[0:N]
    for batch in (1, 7, 300):
        again = order()
        np.testing.assert_array_equal(np.concatenate([again[low : low + batch] for low in range(0, N, batch)]), whole)


def test_order_is_the_generators_alone():
    np.testing.assert_array_equal(order(5)[0:N], order(5)[0:N])
    assert (order(5)[0:N] != order(6)[0:N]).any()


def test_next_epoch_has_another_order():
    generator = np.random.default_rng(0)
    first, second = (BlockOrder(N, block_rows=42, window=4, generator=generator)[0:N] for _ in range(2))
    assert (first != second).any()


def test_order_can_begin_in_the_middle():
    np.testing.assert_array_equal(order()[700:750], order()[0:N][700:750])


def test_rows_of_a_window_come_from_its_blocks_alone_and_are_mixed():
    rows = order()[0:N]
    first = rows[: 4 * 42 - 8]  # whichever window has the short block
    assert len(set((first // 42).tolist())) == 4
    assert len(set((first[:20] // 42).tolist())) == 4
