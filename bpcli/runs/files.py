"""Errors of the operating system, and reading only what is a file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bpcli.errors import DiskError

AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # to open a pipe waits for nobody at its other end
BINARY = getattr(os, "O_BINARY", 0)  # Windows
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turns an error of the operating system into a DiskError that says what was being done."""
    try:
        yield
    except OSError as error:
        raise DiskError(f"{what}: {error.strerror or error}") from error


@contextmanager
def opened(path: Path, *, at_most: int | None = None) -> Iterator[tuple[IO[bytes], int]]:
    """A regular file and its size in bytes. Nothing else is opened: a pipe or a device might never end.

    Raises:
        OSError: it cannot be opened, is no regular file, or is larger than `at_most`.
    """
    status = path.stat()
    if stat.S_ISREG(status.st_mode):
        descriptor = os.open(path, os.O_RDONLY | AT_ONCE | BINARY)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if at_most is not None and status.st_size > at_most:
                raise OSError(errno.EFBIG, f"has {status.st_size:,} bytes, more than the {at_most:,} that are read")
            if stat.S_ISREG(status.st_mode):
                yield file, status.st_size
                return
    raise OSError(errno.EINVAL, not_a_file(status))


def not_a_file(status: os.stat_result) -> str:
    """`it is a pipe, not a file`."""
    return f"it is {_KINDS.get(stat.S_IFMT(status.st_mode), 'something else')}, not a file"


def void(_: object) -> None:
    """Nothing, whatever was given."""
