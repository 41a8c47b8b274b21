"""IDX files, the format of MNIST: a pair, images or other samples in x and labels in y; each may be gzipped.

Four bytes: 0, 0, type, number of dimensions; then each dimension as a big-endian uint32; then the values,
big-endian, the last dimension fastest (http://yann.lecun.com/exdb/mnist/, "the IDX file format").
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from bpcli.data.stored import (
    Stream,
    filled,
    is_gzip,
    opened,
    refuse_bomb,
    refuse_not_finite,
    refuse_other_length,
)
from bpcli.data.types import RawData
from bpcli.errors import DataError

_MOST_DIMENSIONS = 16  # NumPy has at most 64
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(x_path: Path, y_path: Path | None, label: str) -> RawData:
    """x (N, ...) as stored, one dimension taken as (N, 1); y (N,), int64 where its type is an integer.

    Raises:
        DataError: a file is no sound IDX file, holds NaN, or x and y do not fit together.
    """
    x = _array(x_path)
    if x.ndim == 1:
        x = x.reshape(-1, 1)
    y = None if y_path is None else _array(y_path)
    if y is not None:
        if y.ndim != 1:
            raise DataError(f"{y_path}: has shape {y.shape}; labels have one dimension (are x and y swapped?)")
        y = y if y.dtype.kind == "f" else y.astype(np.int64)
    refuse_other_length(x, y, label)
    return RawData(label, x, y, None, None, (x_path,) if y_path is None else (x_path, y_path))


def _array(path: Path) -> np.ndarray[Any, Any]:
    with opened(path) as file:
        dtype, shape, start = _header(file, path)
        needed = math.prod(shape) * dtype.itemsize
        _check_size(path, shape, start + needed)
        values = filled(cast(Stream, file), dtype, math.prod(shape), str(path)).reshape(shape)
    refuse_not_finite(values, str(path))
    return values


def _header(file: BinaryIO, path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """(type of the values, shape, bytes read)."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES:
        raise DataError(f"{path}: not an IDX file: it starts with {magic.hex(' ') or 'nothing'}, not with 00 00 08 ..")
    if magic[3] > _MOST_DIMENSIONS:
        raise DataError(f"{path}: its header claims {magic[3]} dimensions; at most {_MOST_DIMENSIONS} are read")
    sides = file.read(4 * magic[3])
    if magic[3] == 0 or len(sides) < 4 * magic[3]:
        raise DataError(f"{path}: its header, of {magic[3]} dimensions, is cut; get the file again")
    shape = tuple(int(side) for side in np.frombuffer(sides, ">u4"))
    if 0 in shape:
        raise DataError(f"{path}: is empty: its shape is {shape}")
    return np.dtype(_TYPES[magic[2]]), shape, 4 + len(sides)


def _check_size(path: Path, shape: tuple[int, ...], expected: int) -> None:
    """DataError if the file, by its size, cannot hold `expected` bytes; gzip files are judged roughly."""
    size = path.stat().st_size
    if is_gzip(path):
        refuse_bomb(str(path), expected, size)
    elif size != expected:
        raise DataError(f"{path}: shape {shape} makes a file of {expected} bytes, but it has {size}; get it again")
