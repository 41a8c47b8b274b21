"""Data files as they are stored: opening packed ones, bounded reading into an array, which values may be in it, hashes.

No count is believed before it is checked: an array is reserved only once its size agrees with the bytes
that are there. Packed data may unpack to 64 MB, or to 100 times its packed size, whichever is more; beyond
that it is taken for a bomb and refused.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

import numpy as np

from bpcli.data.table_file import as_csv, is_converted
from bpcli.errors import DataError
from bpcli.text import listed

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 4 << 20
_FREE_UNPACKED = 64 << 20
_MOST_UNPACKED_PER_BYTE = 100


class Stream(Protocol):
    """What `filled` needs of an open file: bytes into a buffer, 0 only at its end."""

    def readinto(self, buffer: memoryview, /) -> int:
        """The number of bytes read into `buffer`."""
        ...


def is_gzip(path: Path) -> bool:
    """Whether the file's first bytes are gzip's."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


@contextmanager
def unchanged(paths: Sequence[Path], label: str) -> Iterator[None]:
    """What is read of the files and what is hashed of them has to be the same.

    Raises:
        DataError: a file was changed in between.
    """
    before = [stamp(path) for path in paths]
    yield
    if [stamp(path) for path in paths] != before:
        raise DataError(f"{label}: the file was changed while it was read; start again once it is whole")


def stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of the last change, of a folder of its files; None for what cannot be read, see the readers."""
    try:
        found = [entry.stat() for entry in [path, *(path.rglob("*") if path.is_dir() else ())]]
    except OSError:
        return None
    return sum(status.st_size for status in found), max(status.st_mtime_ns for status in found)


def file_hashes(split: str, files: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of each file of a split, under "train: iris.csv"; of a pair under "train x: ..." and "train y: ..."."""
    roles = ("",) if len(files) == 1 else (" x", " y")
    hashes = {}
    for role, file in zip(roles, files, strict=True):
        hashes[f"{split}{role}: {file.name}"] = _folder_hash(file) if file.is_dir() else _file_hash(file).hex()
    return hashes


def _file_hash(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _folder_hash(folder: Path) -> str:
    """SHA-256 over the path and the hash of each file in it, in the order of the paths."""
    found = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(file.relative_to(folder).as_posix().encode("utf-8", "surrogateescape") + b"\0" + _file_hash(file))
    return found.hexdigest()


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked on the way if it is a gzip file.

    Raises:
        DataError: the gzip data is damaged, cut short or a bomb; raised where it is read.
        OSError: the operating system refuses.
    """
    if is_converted(path):
        yield io.BytesIO(as_csv(path))
        return
    if is_zipped_csv(path):
        yield io.BytesIO(_unzipped(path))
        return
    if not is_gzip(path):
        with path.open("rb") as file:
            yield file
        return
    try:
        with gzip.open(path, "rb") as unpacked:
            yield cast(BinaryIO, io.BufferedReader(_Unpacked(unpacked, path)))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged or cut gzip file ({error}); get it again") from error


def is_zipped_csv(path: Path) -> bool:
    """Whether it is a zip file, by its name, and CSV files are in it."""
    if path.suffix.lower() != ".zip":
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(map(_is_csv_in_zip, archive.namelist()))
    except zipfile.BadZipFile:
        return False


def _is_csv_in_zip(name: str) -> bool:
    return name.lower().endswith((".csv", ".tsv", ".txt")) and not name.startswith("__MACOSX/")


def _unzipped(path: Path) -> bytes:
    """The one CSV file in a zip file."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = [member for member in archive.infolist() if _is_csv_in_zip(member.filename)]
            if len(found) > 1:
                names = listed(member.filename for member in found)
                raise DataError(
                    f"{path}: expected one CSV file in the zip file, it holds {names}: unpack it, and name one"
                )
            refuse_bomb(str(path), found[0].file_size, path.stat().st_size)
            return archive.read(found[0])
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise DataError(f"{path}: damaged, or with a password: {error}; get it again, or unpack it") from error


class _Unpacked(io.RawIOBase):
    """The bytes of a gzip file, which ends in a DataError where they become too many."""

    def __init__(self, unpacked: gzip.GzipFile, path: Path) -> None:
        self._unpacked, self._path = unpacked, path
        self._packed = path.stat().st_size
        self._count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._count = self._unpacked.seek(offset, whence)
        return self._count

    def readinto(self, buffer: Any) -> int:
        got = self._unpacked.readinto(buffer)
        self._count += got
        refuse_bomb(str(self._path), self._count, self._packed)
        return got


def refuse_bomb(what: str, unpacked: int, packed: int) -> None:
    """DataError if `packed` bytes claim to unpack to far more (see the module's rule)."""
    if unpacked > max(_FREE_UNPACKED, _MOST_UNPACKED_PER_BYTE * packed):
        raise DataError(
            f"{what}: {packed} packed bytes claim to hold {unpacked} or more, beyond {_MOST_UNPACKED_PER_BYTE} "
            "times as many; refused as a possible bomb. Save it without compression if it is sound"
        )


def filled(stream: Stream, dtype: np.dtype[Any], count: int, what: str) -> np.ndarray[Any, Any]:
    """A flat array of the next `count` values of `stream`, in native byte order.

    The memory is reserved at once but used only as the bytes come, so a stream that ends early costs no
    more than it holds.

    Raises:
        DataError: the stream ends early, or goes on after the last value.
    """
    values = np.empty(count, dtype)
    view = values.view(np.uint8).data
    done = 0
    while done < len(view):
        got = stream.readinto(view[done : done + _CHUNK])
        if not got:
            raise DataError(f"{what}: ends after {done} of {len(view)} bytes; the file is cut")
        done += got
    if stream.readinto(memoryview(bytearray(1))):
        raise DataError(f"{what}: goes on after the {len(view)} bytes its header declares")
    if not dtype.isnative:
        values = values.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return values


def refuse_not_finite(
    values: np.ndarray[Any, Any],
    what: str,
    advice: str | None = "fill it or drop the row",
    *,
    first: int | None = None,
) -> None:
    """DataError naming the first NaN or infinity in `values` (N, ...): its row and its index in the row.

    advice: what to do about NaN, of which all are counted then; None lets it pass. first: the number of the first row,
    where the values are a part of the whole; nothing is counted then.
    """
    if values.dtype.kind != "f":
        return
    rows = max(1, _CHUNK // max(1, math.prod(values.shape[1:])))
    for start in range(0, len(values), rows):  # in parts, so that the mask stays small
        part = values[start : start + rows]
        wrong = ~np.isfinite(part) if advice is not None else np.isinf(part)
        if wrong.any():
            row, *index = map(int, np.argwhere(wrong)[0])
            value = values[(start + row, *index)]
            place = f"row {(first or 0) + start + row}" + (f", index {index}" if index else "")
            fix = advice if np.isnan(value) else "fill it or drop the row"
            counts = f" ({_nan_counts(values, rows)})" if np.isnan(value) and first is None else ""
            raise DataError(f"{what}: {place} (from 0): got {value}, expected a finite number; {fix}{counts}")


def _nan_counts(values: np.ndarray[Any, Any], rows: int) -> str:
    """How many NaN there are, for (N, D) in each column; looked at in parts of so many rows."""
    count = sum(np.isnan(values[start : start + rows]).sum(axis=0) for start in range(0, len(values), rows))
    if values.ndim != 2:
        return f"missing: {np.sum(count)} of {values.size} numbers"
    return counted({f"column {column}": int(n) for column, n in enumerate(np.atleast_1d(count))}, len(values))


def counted(counts: Mapping[str, int], rows: int) -> str:
    """How many of the rows lack a value in which column; at most 20 columns are named, those with most gaps."""
    gaps = {name: count for name, count in counts.items() if count}
    most = sorted(gaps, key=lambda name: -gaps[name])[:20]
    named = ", ".join(f"{gaps[name]} in {name}" for name in gaps if name in most)
    more = f" and others in {len(gaps) - 20} more columns" if len(gaps) > 20 else ""
    return f"missing in {rows} rows: {named}{more}"


class HasShape(Protocol):
    """An array, or rows in a file."""

    @property
    def shape(self) -> tuple[int, ...]: ...


def refuse_other_length(x: HasShape, y: np.ndarray[Any, Any] | None, label: str) -> None:
    """DataError unless x and y hold equally many samples, and at least one number each."""
    arrays: tuple[tuple[str, HasShape | None], ...] = (("x", x), ("y", y))
    for name, array in arrays:
        if array is not None and 0 in array.shape:
            raise DataError(f"{label}: {name} is empty: its shape is {array.shape}")
    if y is not None and x.shape[0] != len(y):
        raise DataError(f"{label}: x has {x.shape[0]} samples, y has {len(y)}; they must be as many")
