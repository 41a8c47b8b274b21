"""The array types that every part of the engine speaks of."""

from __future__ import annotations

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

    Images (n, C, H, W) lie in memory as (C, H, W, n): with the batch innermost, what a convolution copies and a pooling
    compares are long contiguous rows instead of a few numbers at a time.
    """
    if len(shape) < 2:
        return np.empty((n, *shape), dtype)
    return np.moveaxis(np.empty((*shape, n), dtype), -1, 0)


@dataclass(frozen=True, slots=True)
class Scratch:
    """Work memory beside an array of shape (N, ..., K), so that a step makes no arrays of its own.

    full: the same shape. row: (N, ..., 1), one number for each sample. Contents are undefined before and after a call.
    """

    full: Array
    row: Array

    @classmethod
    def beside(cls, shape: Shape, dtype: DType) -> Scratch:
        """Work memory for a batch's arrays of this shape, batch axis included."""
        return cls(full=batch_array(shape[0], shape[1:], dtype), row=np.empty((*shape[:-1], 1), dtype))
