"""npz and npy files, NumPy's own formats. Nothing is ever unpickled.

An npz holds named arrays, x and y by default; others are left alone. An npy holds one array, so data is a
pair of them. x (N, ...) is bool, integer or float; (N,) is taken as (N, 1). y is the same, (N,) or (N, M),
where (N, 1) is taken as (N,); or class labels, text (N,), of which `S` is read as UTF-8. Floats must be
finite, unless the user allows NaN, or an empty label, for a missing value. float16 becomes float32, long
double float64.

An x of an npy file of more than 64 MB stays in its file, unless it lies there in Fortran order, or its missing
values are to be dropped or filled in: see `large`.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from bpcli.data.columns import remedy
from bpcli.data.large import NpyRows
from bpcli.data.stored import Stream, filled, refuse_bomb, refuse_not_finite, refuse_other_length
from bpcli.data.types import Missing, Names, RawData
from bpcli.engine.arrays import Array
from bpcli.errors import DataError
from bpcli.text import did_you_mean, listed, shown

_MAGIC = b"\x93NUMPY"
LARGE_BYTES = 64 << 20
_LONGEST_HEADER = 10_000  # numpy's own limit; checked here before the header is read, not after


def read_npz(
    path: Path, label: str, features: Names, target: Names, need_target: bool, missing: Missing = "error"
) -> RawData:
    """x and y from the npz file's arrays `features` (default x) and `target` (default y).

    Raises:
        DataError: not a sound npz file, an array is missing, doubled, of a wrong kind or size, or holds NaN.
    """
    with _damage_is_a_data_error(path), zipfile.ZipFile(path) as archive:
        members = _members(archive, path)
        x_name, y_name = _one_name(features, "x", path), _one_name(target, "y", path)
        x = _as_x(_member(archive, members, x_name, path), f'{path}: array "{x_name}"', missing)
        y = None
        if need_target or y_name in members:
            y_missing: Missing = missing if need_target else "drop"
            y = _as_y(_member(archive, members, y_name, path), f'{path}: array "{y_name}"', y_missing)
    refuse_other_length(x, y, label)
    return RawData(label, x, y, None, None, (path,))


def read_npy(x_path: Path, y_path: Path | None, label: str, missing: Missing = "error") -> RawData:
    """x and, if there is a y_path, y, each from an npy file of its own.

    Raises:
        DataError: a file is not a sound npy file, is of a wrong kind or size, or holds NaN.
    """
    large = _large(x_path) if missing == "error" else None
    x = _as_x(_npy(x_path), str(x_path), missing) if large is None else large
    y = None if y_path is None else _as_y(_npy(y_path), str(y_path), missing)
    refuse_other_length(x, y, label)
    return RawData(label, x, y, None, None, (x_path,) if y_path is None else (x_path, y_path))


def _npy(path: Path) -> Array:
    with path.open("rb") as file:
        return _array(file, path.stat().st_size, str(path))


def _large(path: Path) -> NpyRows | None:
    """The rows of a file that is too large to be read whole; None for others."""
    size = path.stat().st_size
    if size <= LARGE_BYTES:
        return None
    with path.open("rb") as file:
        shape, fortran_order, dtype, offset = _sound_header(file, size, str(path))
    if fortran_order or not shape or dtype.kind in "SU":
        return None
    return NpyRows.of(path, shape, dtype, offset)


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The arrays by name. zipfile lets the last of two equal names win; here they are an error."""
    members: dict[str, zipfile.ZipInfo] = {}
    names = archive.namelist()
    if names and not any(name.endswith(".npy") for name in names):
        kind = "an Excel workbook" if "xl/workbook.xml" in names else "a zip archive"
        fix = "save the sheet as CSV" if "xl/workbook.xml" in names else "unpack it and name the data file"
        raise DataError(f"{path}: {kind}, not arrays saved with numpy.savez: it holds {listed(names)}; {fix}")
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise DataError(f"{path}: array {shown(name)} is in it twice; save the file again")
        members[name] = info
    return members


def _member(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str, path: Path) -> Array:
    if name not in members:
        raise DataError(
            f"{path}: no array {shown(name)}{did_you_mean(name, members)}; it has {listed(members)}: "
            "data.features names the inputs, data.target the targets"
        )
    info, what = members[name], f"{path}: array {shown(name)}"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{what}: packed in a way NumPy never does; save it with numpy.savez")
    refuse_bomb(what, info.file_size, min(info.compress_size, path.stat().st_size))
    with archive.open(info) as stream:
        return _array(stream, info.file_size, what)


def _one_name(names: Names, default: str, path: Path) -> str:
    if names is None or isinstance(names, str):
        return names or default
    if len(names) != 1:
        raise DataError(f"{path}: an npz file's {default} is one array; got the names {listed(names)}")
    return names[0]


@contextmanager
def _damage_is_a_data_error(path: Path) -> Iterator[None]:
    """zipfile's many ways to say that an archive is broken (or encrypted), as a DataError."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        RuntimeError,
        struct.error,
        LookupError,
    ) as error:
        reason = str(error)[:200]  # zipfile quotes names at any length
        reason = reason if reason.isprintable() else ascii(reason)
        raise DataError(f"{path}: not a sound npz file ({reason}); save it again with numpy.savez") from error


def _array(stream: IO[bytes], size: int, what: str) -> Array:
    """The array of an npy stream that is `size` bytes long."""
    array = read_array(stream, size, what)
    if array.size == 0:
        raise DataError(f"{what}: is empty: its shape is {shown(str(array.shape))}")
    return array


def read_array(stream: IO[bytes], size: int, what: str) -> Array:
    """The array of an npy stream that is `size` bytes long; its header must account for every one of them.

    Raises:
        DataError: the header or the type is not sound, or the stream has another length.
    """
    shape, fortran_order, dtype, _ = _sound_header(stream, size, what)
    values = filled(cast(Stream, stream), dtype, math.prod(shape), what)
    if fortran_order and len(shape) > 1:  # ascontiguousarray would make a vector of a single number
        return np.ascontiguousarray(values.reshape(shape[::-1]).T)
    return values.reshape(shape)


def _sound_header(stream: IO[bytes], size: int, what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """`_header` of a stream that is `size` bytes long; it must account for every one of them."""
    shape, fortran_order, dtype, start = _header(stream, what)
    if dtype.hasobject:
        raise DataError(f"{what}: holds Python objects, which are never unpickled; save plain numbers or text")
    if dtype.kind not in "biufSU":
        raise DataError(f"{what}: its type is {shown(str(dtype))}; expected numbers (or text, for labels)")
    count = math.prod(shape)
    if count * dtype.itemsize != size - start:
        raise DataError(
            f"{what}: shape {shown(str(shape))} of {dtype} takes {count * dtype.itemsize} bytes, "
            f"but {size - start} are there; the file is cut or damaged"
        )
    if dtype.itemsize == 0:
        raise DataError(f"{what}: is empty: it holds {count} texts of no characters")
    return shape, fortran_order, dtype, start


def _header(stream: IO[bytes], what: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """(shape, Fortran order, dtype, bytes read) from the head of an npy stream."""
    start = stream.read(8)
    if start[:6] != _MAGIC or start[6:] not in (b"\1\0", b"\2\0"):
        raise DataError(f"{what}: not an npy array of format 1.0 or 2.0; save it with numpy.save")
    width = 2 if start[6] == 1 else 4
    length = stream.read(width)
    if int.from_bytes(length, "little") > _LONGEST_HEADER:
        raise DataError(f"{what}: its header claims {int.from_bytes(length, 'little')} bytes; the file is damaged")
    head = length + stream.read(int.from_bytes(length, "little"))
    parse = np.lib.format.read_array_header_1_0 if width == 2 else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # headers written by Python 2 are fine
            shape, fortran_order, dtype = parse(io.BytesIO(head))
    except Exception as error:  # a Python literal: SyntaxError, TokenError, RecursionError, and what numpy makes of it
        raise DataError(f"{what}: its header cannot be read; the file is damaged") from error
    if any(isinstance(side, bool) or side < 0 for side in shape):
        raise DataError(f"{what}: its header gives the shape {shown(str(shape))}; the file is damaged")
    return shape, bool(fortran_order), dtype, len(start) + len(head)


def _as_x(array: Array, what: str, missing: Missing) -> Array:
    if array.dtype.kind in "SU":
        raise DataError(f"{what}: holds text; x must hold numbers")
    if array.ndim == 0:
        raise DataError(f"{what}: is a single number; expected one row for each sample, shape (N, D)")
    advice = None if missing != "error" else remedy(missing, is_target=False)
    return _numbers(array.reshape(-1, 1) if array.ndim == 1 else array, what, advice)


def _as_y(array: Array, what: str, missing: Missing) -> Array:
    if array.ndim not in (1, 2):
        raise DataError(f"{what}: has shape {array.shape}; expected (N,) or (N, M)")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    advice = None if missing == "drop" else remedy(missing, is_target=True)
    return _numbers(array, what, advice) if array.dtype.kind not in "SU" else _labels(array, what, advice)


def _numbers(array: Array, what: str, advice: str | None) -> Array:
    """advice: what to do about NaN; None where it may stand for a missing value."""
    if array.dtype.kind == "b" and array.view(np.uint8).max() > 1:
        raise DataError(f"{what}: a bool is neither 0 nor 1; the file is damaged")
    refuse_not_finite(array, what, advice)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype.itemsize > 8:
        with np.errstate(over="ignore"):  # a long double may be too large for a float64
            array = array.astype(np.float64)
        refuse_not_finite(array, what, advice)
    return array


def _labels(array: Array, what: str, advice: str | None) -> Array:
    if array.ndim == 2:
        raise DataError(f"{what}: text of shape {array.shape}; labels must be one column, shape (N,)")
    if array.dtype.kind == "S":
        try:
            array = np.strings.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"{what}: a label is not UTF-8 text") from error
    codes = np.ascontiguousarray(array).view(np.uint32)
    if codes.max() > 0x10FFFF or ((codes >= 0xD800) & (codes <= 0xDFFF)).any():
        raise DataError(f"{what}: a label holds what is no character; the file is damaged")
    empty = np.flatnonzero(array == "")
    if len(empty) and advice is not None:
        raise DataError(
            f"{what}: row {empty[0]} (from 0) has no label; {advice} (missing: {len(empty)} of {len(array)} labels)"
        )
    return array
