"""Inputs that stay in their file: prepared block by block as they are read, and kept in memory for a window alone."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from bpcli.data.block_order import BlockOrder
from bpcli.data.npy_rows import NpyRows
from bpcli.engine.arrays import Array, Shape
from bpcli.engine.training.samples import fetch_inputs

WINDOW_BYTES = 64 << 20  # two windows are held, so that a batch may begin in one and end in the next

Prepare: TypeAlias = Callable[[Array, Array], Array]


class StoredInputs:
    """Network inputs (N, *sample) in a file, for `Samples.x`.

    prepare: makes raw rows (k, *raw sample), and their numbers in the file (k,), network inputs (k, *raw sample); None
        where they are so already. Threads may fetch at the same time.
    """

    def __init__(self, rows: NpyRows, prepare: Prepare | None, dtype: np.dtype[Any]) -> None:
        self.rows, self.prepare, self.dtype = rows, prepare, dtype
        self.shape: Shape = rows.shape
        self.block_rows = rows.block_rows
        block_bytes = self.block_rows * math.prod(rows.shape[1:]) * dtype.itemsize
        self.window = max(2, WINDOW_BYTES // block_bytes)
        self.lock = threading.Lock()
        self.slot_of = np.full(len(rows.starts), -1)
        self.slots = min(2 * self.window, len(rows.starts))
        self.held: deque[int] = deque()  # blocks in memory, the one read first to the left
        self.free = list(range(self.slots))
        self.memory: Array | None = None  # (slots * block_rows, *sample), made when it is needed
        self.latest: tuple[int, Array] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def reshape(self, n: int, *sample: int) -> StoredInputs:
        """The same inputs with samples of another shape."""
        other = StoredInputs(self.rows, self.prepare, self.dtype)
        other.shape = (n, *sample)
        return other

    def order(self, generator: np.random.Generator) -> BlockOrder:
        """A random order that reads the file in large pieces."""
        return BlockOrder(
            len(self),
            block_rows=self.block_rows,
            window=self.window,
            generator=generator,
            announce=self.rows.announce,
        )

    def fetch(self, rows: slice | Array, out: Array) -> None:
        """Writes the inputs of these rows into `out` (n, *sample).

        Raises:
            DataError: the file is not as it was, or cannot be read any more.
        """
        with self.lock:
            if isinstance(rows, slice):
                self._fetch_range(rows.start, rows.stop, out)
            else:
                self._fetch_rows(rows, out)

    def _fetch_range(self, low: int, high: int, out: Array) -> None:
        """In the file's order only the block at hand is kept."""
        done = 0
        while low < high:
            block, first = divmod(low, self.block_rows)
            k = min(high - low, self.block_rows - first)
            if self.latest is None or self.latest[0] != block:
                self.latest = (block, self._read(block))
            fetch_inputs(self.latest[1], slice(first, first + k), out[done : done + k])
            low, done = low + k, done + k

    def _fetch_rows(self, rows: Array, out: Array) -> None:
        blocks = rows // self.block_rows
        slots = self.slot_of[blocks]
        if slots.min() < 0:
            for block in dict.fromkeys(blocks[slots < 0].tolist()):
                self._hold(block)
            slots = self.slot_of[blocks]
            if slots.min() < 0:  # more blocks than there is room for
                half = len(rows) // 2
                self._fetch_rows(rows[:half], out[:half])
                self._fetch_rows(rows[half:], out[half:])
                return
        assert self.memory is not None
        fetch_inputs(self.memory, slots * self.block_rows + rows % self.block_rows, out)

    def _hold(self, block: int) -> None:
        """Reads a block into memory, in place of the one read longest ago if there is no more room."""
        if self.memory is None:
            self.memory = np.empty((self.slots * self.block_rows, *self.shape[1:]), self.dtype)
        if not self.free:
            oldest = self.held.popleft()
            self.free.append(int(self.slot_of[oldest]))
            self.slot_of[oldest] = -1
        start = self.free[-1] * self.block_rows
        room = self.memory[start : start + len(self.rows.rows_in(block))]
        if self.prepare is None and self.dtype == self.rows.stored:
            self.rows.read_into(block, room)
        else:
            np.copyto(room, self._read(block))
        self.held.append(block)
        self.slot_of[block] = self.free.pop()

    def _read(self, block: int) -> Array:
        raw = self.rows.read(block)
        values = raw if self.prepare is None else self.prepare(raw, self.rows.rows_in(block))
        return values.reshape(len(raw), *self.shape[1:])
