"""The lock of a run folder: one process writes in it at a time."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bpcli.errors import RunInUseError
from bpcli.runs.files import disk_errors
from bpcli.runs.held import UNSUPPORTED, HeldFolder

NAME = ".lock"
# EBADF: NFS locks only what is open for writing, which a folder never is.
_NO_LOCKS = UNSUPPORTED | {errno.EBADF}


@contextmanager
def hold_lock(folder: HeldFolder) -> Iterator[None]:
    """Keeps other processes out of the folder; the operating system lets go of it when the process ends.

    Both the folder itself and a file in it are locked: the folder's lock cannot be removed, and the file's works where
    folders cannot be locked, as on Windows and NFS. Where only the file is locked, `HeldFolder.check` watches it.

    Raises:
        RunInUseError: another process holds one of them. DiskError: the lock file cannot be made, or be locked.
    """
    path = folder.path / NAME
    with _lock_file(folder, path) as descriptor:
        with disk_errors(f"cannot lock {folder.path}"):
            whole = None if folder.descriptor is None else _try_lock(folder.descriptor)
            file = None if whole is False else _try_lock(descriptor)
        if whole is False or file is False:
            raise RunInUseError(f"{folder.path}: another process is training in this run folder")
        if whole is None and file is None:
            folder.notify(
                f"warning: {folder.path}: the file system has no locks. Going on without: nothing keeps a second "
                "process from training in this run folder, so start none"
            )
        if whole is None and file:
            folder.only_lock = path, descriptor
        folder.is_locked = bool(whole or file)
        yield


@contextmanager
def _lock_file(folder: HeldFolder, path: Path) -> Iterator[int]:
    descriptor = folder.open_to_lock(path)
    try:
        yield descriptor
    finally:
        with suppress(OSError):  # nothing was written
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool | None:
    """Whether the lock could be had; None where the file system has none for this."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # the latter on Windows
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True
