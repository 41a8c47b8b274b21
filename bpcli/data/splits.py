"""Which rows are for training, validation and test, and the order of an epoch over rows that lie in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bpcli.engine.arrays import Array, distinct
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
    `classes` (N,) each part keeps the shares of the classes, to within one row, and every class has a row in training
    where that is possible.

    Raises:
        DataError: nothing would be left to train on.
    """
    n_val, n_test = (max(1, round(n * fraction)) if fraction else 0 for fraction in (val, test))
    n_train = n - n_val - n_test
    if n_train < 1:
        rows_are = "row is" if n == 1 else "rows are"
        raise DataError(f"{n} {rows_are} too few to split off {n_val} for validation and {n_test} for test")
    if in_order:
        rows = np.arange(n)
        return Split(rows[:n_train], rows[n_train : n_train + n_val], rows[n_train + n_val :])
    rows = rng.permutation(n)
    if classes is None:
        parts = np.split(rows, [n_train, n_train + n_val])
    else:
        parts = _by_class(rows, classes, np.array([n_train, n_val, n_test]))
    return Split(*(np.sort(part) for part in parts))


def split_groups(
    n: int,
    *,
    groups: Rows,
    val: float,
    test: float,
    in_order: bool,
    classes: Rows | None,
    rng: np.random.Generator,
) -> Split:
    """Like `split_rows`, but rows with the same number in `groups` (N,) stay together.

    A part takes group after group, in a random order, as long as each brings it nearer to its size, and at least one.
    in_order: the groups whose first rows come last are the test part, those before them the validation part.
    classes: not looked at.

    Raises:
        DataError: there are too few groups.
    """
    _, number = distinct(groups)
    sizes = np.bincount(number)
    if in_order:
        first = np.full(len(sizes), n)
        np.minimum.at(first, number, np.arange(n))
        order = np.argsort(-first)
    else:
        order = rng.permutation(len(sizes))
    if len(sizes) < 1 + (val > 0) + (test > 0):
        raise DataError(f"{len(sizes)} groups in data.group are too few: each part takes one or more")
    rest = order.tolist()
    parts: dict[str, list[int]] = {"val": [], "test": []}
    for name, fraction in (("test", test), ("val", val)):
        if fraction:
            spare = 1 + (name == "test" and val > 0)  # for the other parts
            parts[name], rest = _nearest_to(n * fraction, rest, sizes, spare=spare, in_order=in_order)
    own = (np.flatnonzero(np.isin(number, part)) for part in (rest, parts["val"], parts["test"]))
    return Split(*own)


def _nearest_to(
    wanted: float, order: list[int], sizes: Rows, *, spare: int, in_order: bool
) -> tuple[list[int], list[int]]:
    """(groups with about the wanted number of rows, the rest of them, at least `spare`)."""
    taken: list[int] = []
    rest: list[int] = []
    have = 0
    for group in order:
        size = int(sizes[group])
        nearer = abs(have + size - wanted) < abs(have - wanted) and len(taken) < len(order) - spare
        if nearer and not (in_order and rest):
            taken.append(group)
            have += size
        else:
            rest.append(group)
    if not taken:
        least = rest[0] if in_order else min(rest, key=lambda group: int(sizes[group]))
        taken = [least]
        rest.remove(least)
    return taken, rest


def split_blocks(
    n: int,
    block_rows: int,
    *,
    val: float,
    test: float,
    in_order: bool,
    classes: Rows | None,
    rng: np.random.Generator,
) -> Split:
    """Like `split_rows`, but whole blocks of consecutive rows are drawn, so that a part can be read in large pieces.

    With `classes` the blocks are shared out by the class that most of their rows have. in_order is as for rows.

    Raises:
        DataError: nothing would be left to train on.
    """
    if in_order:
        return split_rows(n, val=val, test=test, in_order=True, rng=rng)
    starts = np.arange(0, n, block_rows)
    kinds = None
    if classes is not None:
        kinds = np.array([np.bincount(classes[start : start + block_rows]).argmax() for start in starts])
    blocks = split_rows(len(starts), val=val, test=test, classes=kinds, rng=rng)
    every = (starts[part][:, None] + np.arange(block_rows) for part in (blocks.train, blocks.val, blocks.test))
    return Split(*(rows[rows < n] for rows in every))


def _by_class(rows: Rows, classes: Rows, totals: Rows) -> list[Rows]:
    """The rows in three parts, each class shared out among them."""
    rows = rows[np.argsort(classes[rows], kind="stable")]
    counts = np.bincount(classes[rows])
    counts = counts[counts > 0]
    ends = np.cumsum(class_shares(counts, totals), axis=1)  # of each part within each class
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    part = (within[:, None] >= np.repeat(ends[:, :2], counts, axis=0)).sum(axis=1)
    return [rows[part == index] for index in range(3)]


def class_shares(counts: Rows, totals: Rows) -> Rows:
    """How many rows of each class come into each part: (K, 3), its rows sum to `counts`, its columns to `totals`.

    Each number is its exact share, counts * totals / n, rounded up or down. Rows are rounded by largest remainder,
    then units move along a row from a column that has too many to one that has too few, by way of the third if need be:
    a table with these sums always exists (Cox 1987, controlled rounding). A class's first training row is not given up,
    for which the columns may be missed where there are more classes than training rows.
    """
    exact = counts[:, None] * totals
    n = int(counts.sum())
    low: Rows = exact // n
    high: Rows = -(-exact // n)
    low[:, 0] = np.maximum(low[:, 0], np.minimum(counts, 1))
    table: Rows = low.copy()
    order = np.argsort(-(exact % n), axis=1, kind="stable")
    may_grow = np.take_along_axis(table < high, order, axis=1)
    grows = may_grow & (np.cumsum(may_grow, axis=1) <= (counts - table.sum(axis=1))[:, None])
    np.put_along_axis(table, order, np.take_along_axis(table, order, axis=1) + grows, axis=1)
    table[table.sum(axis=1) > counts, 1:] = 0  # the training row was one more than the class has
    while (path := _path(table, low, high, table.sum(axis=0) - totals)) is not None:
        for rows, giver, taker in path:
            table[rows, giver] -= 1
            table[rows, taker] += 1
    return table


def _path(table: Rows, low: Rows, high: Rows, excess: Rows) -> list[tuple[Rows, int, int]] | None:
    """Moves (rows, from column, to column) that take units from a column with too many to one with too few.

    As many at once as both columns ask for; one where the way leads through the third column.
    """
    givers = [int(column) for column in np.flatnonzero(excess > 0)]
    takers = [int(column) for column in np.flatnonzero(excess < 0)]
    for giver in givers:
        for taker in takers:
            (between,) = {0, 1, 2} - {giver, taker}
            for steps in ([(giver, taker)], [(giver, between), (between, taker)]):
                most = min(int(excess[giver]), -int(excess[taker])) if len(steps) == 1 else 1
                moves = [
                    (rows[:most], a, b)
                    for a, b in steps
                    if len(rows := np.flatnonzero((table[:, a] > low[:, a]) & (table[:, b] < high[:, b])))
                ]
                if len(moves) == len(steps):
                    return moves
    return None


class BlockOrder:
    """A random order of n rows: `order[low:high]` gives the rows that come at these places.

    The blocks of rows are put in a random order, and `window` of them after another make a window, in which the rows
    are in a random order. So a window's rows are all there is to hold in memory, and each block is read once. The
    windows are drawn when they are reached, from a seed that the generator gave: the order is the generator's alone.

    announce: is told the blocks of the next window when one is begun.
    """

    def __init__(
        self,
        n: int,
        *,
        block_rows: int,
        window: int,
        generator: np.random.Generator,
        announce: Callable[[Array], None] = lambda blocks: None,
    ) -> None:
        self.block_rows, self.announce = block_rows, announce
        count = -(-n // block_rows)
        blocks = generator.permutation(count)
        self.seed = int(generator.integers(2**63))
        self.windows = [blocks[low : low + window] for low in range(0, count, window)]
        self.sizes = np.full(count, block_rows)
        self.sizes[-1] = n - (count - 1) * block_rows
        self.bounds = np.cumsum([0, *(int(self.sizes[own].sum()) for own in self.windows)])
        self.drawn: tuple[int, Array] = (-1, blocks)

    def __getitem__(self, places: slice) -> Array:
        low, high = places.start, min(places.stop, int(self.bounds[-1]))
        pieces = []
        while low < high:
            window = int(np.searchsorted(self.bounds, low, side="right")) - 1
            start, stop = int(self.bounds[window]), min(high, int(self.bounds[window + 1]))
            pieces.append(self._rows(window)[low - start : stop - start])
            low = stop
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _rows(self, window: int) -> Array:
        """The rows of a window in their order; the last one drawn is kept."""
        if self.drawn[0] != window:
            own = self.windows[window]
            rows = np.concatenate(
                [np.arange(size) + block * self.block_rows for block, size in zip(own, self.sizes[own], strict=True)]
            )
            np.random.Generator(np.random.PCG64([self.seed, window])).shuffle(rows)
            self.drawn = (window, rows)
            if window + 1 < len(self.windows):
                self.announce(self.windows[window + 1])
        return self.drawn[1]
