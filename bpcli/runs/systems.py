"""Where operating systems differ in what it takes to have a file whole on the disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FULL_FLUSH: int | None = getattr(fcntl, "F_FULLFSYNC", None)  # macOS
PATIENCE = 2.0 if os.name == "nt" else 0.0  # seconds


def flush(descriptor: int) -> None:
    """Has what was written to a file or folder on the disk.

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
