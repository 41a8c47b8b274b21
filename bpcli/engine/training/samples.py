"""Samples, fetched batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from bpcli.engine.arrays import Array, Scale

BYTE_SCALE = 1.0 / 255.0


class EpochOrder(Protocol):
    """The rows of an epoch in their order: `order[low:high]` are the rows at these positions. An array qualifies."""

    def __getitem__(self, places: slice, /) -> Array: ...


class RowSource(Protocol):
    """Inputs (N, *shape) that are not in memory; the source chooses the order of an epoch."""

    def __len__(self) -> int: ...

    def fetch(self, rows: slice | Array, out: Array) -> None:
        """Writes the inputs of these rows into `out` (n, *shape). Several threads may call it at the same time."""
        ...

    def order(self, generator: np.random.Generator) -> EpochOrder:
        """A random order in which every row comes once, a function of the generator alone."""
        ...


Inputs: TypeAlias = Array | RowSource


@dataclass(frozen=True, eq=False)
class Samples:
    """N samples and their targets.

    x: (N, *shape), floats that go into the network unchanged, or bytes, scaled to 0..1 when fetched; or a source of
    such rows.
    y: (N, M) floats; or class indices (N,), with `codes` (classes, M) whose row c is the target for class c.
    weights: (N, 1) floats that multiply each sample's loss; None where all are 1.
    """

    x: Inputs
    y: Array
    codes: Array | None = None
    weights: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def order(self, generator: np.random.Generator) -> EpochOrder:
        """A random order of all samples."""
        return generator.permutation(len(self.x)) if isinstance(self.x, np.ndarray) else self.x.order(generator)

    def fetch(self, rows: slice | Array, x: Array, y: Array) -> None:
        """Writes the samples of these rows into the buffers x (n, *shape) and y (n, M), made once by the caller."""
        fetch_inputs(self.x, rows, x)
        self.fetch_targets(rows, y)

    def fetch_targets(self, rows: slice | Array, y: Array) -> None:
        """Writes the targets of these rows into the buffer y (n, M)."""
        if self.codes is not None:
            np.take(self.codes, self.y[rows], axis=0, out=y, mode="clip")
        else:
            _copy_rows(self.y, rows, y)

    def fetch_scale(self, rows: slice | Array, scale: float, out: Array) -> Scale:
        """scale; if there are weights, scale times each sample's weight, written to the buffer `out` (n, 1)."""
        if self.weights is None:
            return scale
        _copy_rows(self.weights, rows, out)
        return np.multiply(out, scale, out=out)


def fetch_inputs(x: Inputs, rows: slice | Array, out: Array) -> None:
    """Writes x[rows] into `out`, bytes scaled to 0..1."""
    if not isinstance(x, np.ndarray):
        x.fetch(rows, out)
    elif x.dtype == np.uint8:
        np.copyto(out, x[rows])  # into the order of `out` first: bytes are transposed faster than floats
        np.multiply(out, BYTE_SCALE, out=out)
    else:
        _copy_rows(x, rows, out)


def _copy_rows(source: Array, rows: slice | Array, out: Array) -> None:
    if isinstance(rows, slice) or source.dtype != out.dtype or not out.flags.c_contiguous:
        np.copyto(out, source[rows])
    else:
        np.take(source, rows, axis=0, out=out, mode="clip")  # mode="raise" would allocate a temporary of the same size
