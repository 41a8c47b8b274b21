"""Inputs of an npy file that is too large to be held in memory, read in blocks of consecutive rows.

A block is about 1 MB and is read in one go, by plain reads and not by a memory map: mapped pages would count as the
process's memory for as long as the system leaves them there. `NpyRows` are the rows as they lie in the file;
`StoredInputs` prepares them block by block as they are read, and keeps those of a window alone.
"""

from __future__ import annotations

import dataclasses
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bpcli.data.splits import BlockOrder
from bpcli.data.stored import refuse_not_finite, stamp
from bpcli.engine.arrays import Array, Shape
from bpcli.engine.training.samples import fetch_inputs
from bpcli.errors import DataError

BLOCK_BYTES = 1 << 20
MOST_BLOCK_ROWS = 1 << 16  # of narrow rows: an order of the rows takes 8 bytes for each
WINDOW_BYTES = 64 << 20  # two windows are held, so that a batch may begin in one and end in the next

Prepare: TypeAlias = Callable[[Array, Array], Array]


@dataclass(frozen=True, eq=False)
class NpyRows:
    """Some or all of a file's rows (n, *sample), in blocks of `block_rows`; only the last block may be shorter.

    starts: each block's first row in the file. dtype: of the rows as they are read, native; stored: as in the file.
    low, high: each feature's smallest and largest value in the whole file, (*sample,).
    """

    path: Path
    shape: Shape
    dtype: np.dtype[Any]
    stored: np.dtype[Any]
    offset: int
    stamp: tuple[int, int] | None
    block_rows: int
    starts: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, path: Path, shape: Shape, stored: np.dtype[Any], offset: int) -> NpyRows:
        """All rows of a file whose header says so. Reads it once, to see that its numbers are finite.

        float16 becomes float32, long double float64, as for files that are held in memory.

        Raises:
            DataError: a number is NaN or infinite (its row and index are named), or a bool neither 0 nor 1.
        """
        dtype = stored.newbyteorder("=")
        if dtype.kind == "f":
            dtype = np.dtype({2: np.float32}.get(dtype.itemsize, dtype if dtype.itemsize <= 8 else np.float64))
        shape = shape if len(shape) > 1 else (*shape, 1)
        row_bytes = stored.itemsize * int(np.prod(shape[1:]))
        block_rows = max(1, min(BLOCK_BYTES // row_bytes, MOST_BLOCK_ROWS))
        starts = np.arange(0, shape[0], block_rows)
        none = np.empty(shape[1:], dtype)
        rows = cls(path, shape, dtype, stored, offset, stamp(path), block_rows, starts, none, none)
        low, high = rows._extremes()
        return dataclasses.replace(rows, low=low, high=high)

    def __len__(self) -> int:
        return self.shape[0]

    def part(self, rows: Array) -> NpyRows:
        """A view of these rows (n,), numbers in the whole file: whole blocks of it, or any one range."""
        return dataclasses.replace(self, shape=(len(rows), *self.shape[1:]), starts=rows[:: self.block_rows].copy())

    def rows_in(self, block: int) -> Array:
        """The numbers that a block's rows have in the file."""
        start = int(self.starts[block])
        return np.arange(start, start + min(self.block_rows, len(self) - block * self.block_rows))

    def read(self, block: int) -> Array:
        """A block's rows (k, *sample), a new array.

        Raises:
            DataError: the file is not as it was, or cannot be read any more.
        """
        out = np.empty((len(self.rows_in(block)), *self.shape[1:]), self.stored)
        self.read_into(block, out)
        if not self.stored.isnative:
            out = out.byteswap(inplace=True).view(self.stored.newbyteorder("="))
        return out.astype(self.dtype, copy=False)

    def read_into(self, block: int, out: Array) -> None:
        """Fills `out`, contiguous and of the file's dtype, with a block's rows as they lie in the file."""
        start = int(self.starts[block])
        at = self.offset + start * (out.nbytes // len(out))
        try:
            with self.path.open("rb", buffering=0) as file:
                status = os.fstat(file.fileno())
                if (status.st_size, status.st_mtime_ns) != self.stamp:
                    raise DataError(f"{self.path}: the file was changed while it was in use")
                read_whole(file, out, at)
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read any more: {error.strerror or error}") from error

    def blocks(self) -> Iterator[Array]:
        """The rows, block by block."""
        for block in range(len(self.starts)):
            yield self.read(block)

    def announce(self, blocks: Array) -> None:
        """Lets the system read these blocks ahead, where it knows how to."""
        if hasattr(os, "posix_fadvise"):
            row_bytes = self.stored.itemsize * int(np.prod(self.shape[1:]))
            with self.path.open("rb", buffering=0) as file:
                for start in self.starts[blocks].tolist():
                    at, size = self.offset + start * row_bytes, self.block_rows * row_bytes
                    os.posix_fadvise(file.fileno(), at, size, os.POSIX_FADV_WILLNEED)

    def _extremes(self) -> tuple[Array, Array]:
        extremes: tuple[Array, Array] | None = None
        for block, values in enumerate(self.blocks()):
            if values.dtype.kind == "b" and values.view(np.uint8).max() > 1:
                raise DataError(f"{self.path}: a bool is neither 0 nor 1; the file is damaged")
            low, high = values.min(axis=0), values.max(axis=0)
            if not (np.isfinite(low).all() and np.isfinite(high).all()):  # min and max hand NaN on
                refuse_not_finite(values, str(self.path), first=block * self.block_rows)
            if extremes is not None:
                low, high = np.minimum(low, extremes[0]), np.maximum(high, extremes[1])
            extremes = low, high
        assert extremes is not None  # a file without a number is refused before
        return extremes


def read_whole(file: FileIO, out: Array, at: int) -> None:
    """Fills the contiguous array `out` with the bytes of an open file from `at` on: one large read, if it gets all.

    Raises:
        OSError: the system refuses, or the file ends early.
    """
    view, done = out.reshape(-1).view(np.uint8).data, 0
    file.seek(at)
    while done < len(view):
        got = file.readinto(view[done:])
        if not got:
            raise OSError("it ends early")
        done += got


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
