"""Prints the newest Python on this machine, if it is newer than the one that runs this; else nothing.

It looks along PATH and among pyenv's versions. One without venv, as Debian's may be, is passed over.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PROBE = "import sys, ensurepip, venv; print(*sys.version_info[:3])"


def candidates() -> Iterator[Path]:
    """Whatever may be a Python 3."""
    for folder in os.get_exec_path():
        yield from sorted(Path(folder).glob("python3.[0-9]*"))
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob("versions/3.*/bin/python3"))


def version_of(python: Path) -> tuple[int, ...]:
    """Its version; () for what does not run, or makes no virtual environments."""
    try:
        done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(map(int, done.stdout.split()))


def newest(pythons: Iterator[Path]) -> Path | None:
    """The newest of them that is newer than this one, by more than a bug fix."""
    versions = {python: version_of(python) for python in pythons}
    best = max(versions, key=lambda python: versions[python], default=None)
    return best if best is not None and versions[best][:2] > sys.version_info[:2] else None


if __name__ == "__main__":
    print(newest(candidates()) or "")
