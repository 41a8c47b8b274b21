"""Writing files so that a crash at any moment leaves either the old or the new one, whole."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO

from bpcli.errors import DiskError
from bpcli.runs.systems import flush, replace


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turns an error of the operating system into a DiskError that says what was being done."""
    try:
        yield
    except OSError as error:
        raise DiskError(f"{what}: {error.strerror or error}") from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Replaces `path`: a temporary file beside it is written, flushed to the disk, and renamed over it.

    Raises:
        DiskError: nothing was replaced, or the replacement may not survive a power cut.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with disk_errors(f"cannot write {path}"):
        try:
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                flush(file.fileno())
            replace(temporary, path)
            sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, each entry written to the disk; one that is there already will do."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def put_aside(path: Path, name: str) -> Path:
    """Renames a file or folder to the first free `name` beside it, whose {} is 1, 2, ...; gives its new path."""
    for number in count(1):
        aside = path.with_name(name.format(number))
        if not aside.exists():
            path.rename(aside)
            sync_folder(path.parent)
            return aside
    raise AssertionError("count() never ends")


def write_text(path: Path, text: str) -> None:
    """Replaces `path` with UTF-8 text, as `write_atomically`."""
    write_atomically(path, lambda file: void(file.write(text.encode())))


def void(_: object) -> None:
    """Nothing, whatever was given."""


def sync_folder(folder: Path) -> None:
    """Has the folder's entries, a rename among them, written to the disk."""
    if os.name == "nt":  # Windows cannot open folders; its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        flush(descriptor)
    finally:
        os.close(descriptor)
