"""The order of an epoch over rows that lie in a file: random, and yet read in large pieces."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bpcli.engine.arrays import Array


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
