"""Array types and work memory that the whole engine uses."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
DType: TypeAlias = Literal["float32", "float64"]
Scale: TypeAlias = float | Array  # one factor for the whole batch, or one for each sample, (N, 1)


def batch_array(n: int, shape: Shape, dtype: DType) -> Array:
    """An uninitialised array (n, *shape) for a batch.

    Images (n, C, H, W) lie in memory as (C, H, W, n): with the batch innermost, convolution and pooling work on long
    contiguous rows instead of a few numbers at a time.
    """
    return _batch_innermost(np.empty, n, shape, dtype)


def _batch_innermost(make: Callable[..., Array], n: int, shape: Shape, dtype: DType | type[np.bool_]) -> Array:
    if len(shape) < 2:
        return make((n, *shape), dtype)
    return np.moveaxis(make((*shape, n), dtype), -1, 0)


def times(scale: Scale, factor: float, scratch: Scratch) -> Scale:
    """scale * factor; written to scratch.row if there is one scale for each sample."""
    return scale * factor if isinstance(scale, float) else np.multiply(scale, factor, out=scratch.row)


def largest_of_rows(z: Array, scratch: Scratch) -> Array:
    """scratch.row: the largest number along the last axis of z (N, ..., K). Overwrites scratch.full.

    For many short rows it is faster to copy the rows to columns first: np.maximum then compares many samples at a time.
    """
    if z.ndim == 2 and len(z) >= 32 > z.shape[1]:
        columns = scratch.full.reshape(z.shape[::-1])
        np.copyto(columns, z.T)
        np.maximum.reduce(columns, axis=0, out=scratch.row[:, 0])
    else:
        np.maximum.reduce(z, axis=-1, keepdims=True, out=scratch.row)
    return scratch.row


def quiet_context() -> Context:
    """A context whose `run` calls a function with NumPy's warnings off. Ten times cheaper to enter than np.errstate."""
    context = copy_context()
    context.run(np.seterr, all="ignore")
    return context


@dataclass(frozen=True, slots=True)
class Scratch:
    """Work memory for an array of shape (N, ..., K), so that a step allocates no arrays.

    full: the same shape. mask: the same shape, of bools, since a comparison written straight to floats allocates
    buffers. row: (N, ..., 1), one number for each sample. Contents are undefined before and after a call.

    Two constants are faster as arrays than as numbers. one, shape (): with small arrays, a ufunc would spend most of
    its time on the type of a number. zeros, the same shape as full: np.maximum and similar functions are vectorised
    only for two arrays. zeros takes almost no memory: it is never written, so the operating system maps all of it to
    one page.
    """

    full: Array
    mask: Array
    row: Array
    one: Array
    zeros: Array

    @classmethod
    def beside(cls, shape: Shape, dtype: DType) -> Scratch:
        """Work memory for a batch's arrays of this shape, batch axis included."""
        return cls(
            full=batch_array(shape[0], shape[1:], dtype),
            mask=_batch_innermost(np.empty, shape[0], shape[1:], np.bool_),
            row=np.empty((*shape[:-1], 1), dtype),
            one=np.ones((), dtype),
            zeros=_batch_innermost(np.zeros, shape[0], shape[1:], dtype),
        )


def distinct(labels: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """(the different labels in order, the index of each sample's own): np.unique, which imports numpy.ma, 30 ms."""
    flat = labels.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.ones(len(flat), bool)
    starts[1:] = flat[order][1:] != flat[order][:-1]
    index = np.empty(len(flat), np.int64)
    index[order] = np.cumsum(starts) - 1
    return flat[order][starts], index
