"""Files on disk: errors of the operating system, reading regular files only, and flushing to the disk."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bpcli.errors import DiskError

AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # opening a pipe does not wait for a process at its other end
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
    """Turns an error of the operating system into a DiskError that begins with what was being done."""
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


try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FULL_FLUSH: int | None = getattr(fcntl, "F_FULLFSYNC", None)  # macOS
PATIENCE = 2.0 if os.name == "nt" else 0.0  # seconds


def flush(descriptor: int) -> None:
    """Flushes what was written to a file or folder to the disk.

    On macOS fsync leaves it in the disk's own cache, which a power cut empties; F_FULLFSYNC, which network file systems
    may lack, does not (see there: man 2 fsync).
    """
    if FULL_FLUSH is not None:
        try:
            fcntl.fcntl(descriptor, FULL_FLUSH)
        except OSError:
            pass
        else:
            return
    os.fsync(descriptor)


def replace(source: str | Path, target: str | Path, *, folder: int | None = None) -> None:
    """os.replace; folder: the descriptor of the folder that both names are in.

    Windows refuses it while another program, often a virus scanner, has the target open: so it is tried for a while.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(source, target, src_dir_fd=folder, dst_dir_fd=folder)
        except PermissionError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)
        else:
            return
