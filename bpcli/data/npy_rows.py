"""The rows of an npy file that is too large to be held in memory, read in blocks of consecutive rows.

A block is about 1 MB and is read in one go, by plain reads and not by a memory map: mapped pages would count as the
process's memory for as long as the system leaves them there.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.data.stored import refuse_not_finite
from bpcli.engine.arrays import Array, Shape
from bpcli.errors import DataError

BLOCK_BYTES = 1 << 20
MOST_BLOCK_ROWS = 1 << 16  # of narrow rows: an order of the rows takes 8 bytes for each


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
    stamp: tuple[int, int]
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
        rows = cls(path, shape, dtype, stored, offset, _stamp(path), block_rows, starts, none, none)
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


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
