"""The array types that every part of the engine speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
DType: TypeAlias = Literal["float32", "float64"]


@dataclass(frozen=True, slots=True)
class Scratch:
    """Work memory beside an array of shape (N, ..., K), so that a step makes no arrays of its own.

    full: the same shape. row: (N, ..., 1), one number for each sample. Contents are undefined before and after a call.
    """

    full: Array
    row: Array

    @classmethod
    def beside(cls, shape: Shape, dtype: DType) -> Scratch:
        """Work memory for arrays of this shape, batch axis included."""
        return cls(full=np.empty(shape, dtype), row=np.empty((*shape[:-1], 1), dtype))
