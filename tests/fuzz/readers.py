"""The readers by name, and what becomes of one input."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Literal

from bpcli.errors import BpcliError
from fuzz import arrays, checkpoints, configs, idx, tables

MOST_SECONDS = 2.0  # of CPU for one input


@dataclass(frozen=True)
class Reader:
    """file: the name under which inputs are read; its ending says of what kind they are."""

    file: str
    mutated: Callable[[Random], bytes]
    read: Callable[[Path, bytes], None]


READERS = {
    "config": Reader(configs.NAME, configs.mutated, configs.read),
    "csv": Reader(tables.NAME, tables.mutated, tables.read),
    "idx": Reader(idx.NAME, idx.mutated, idx.read),
    "npy": Reader(arrays.Npy.NAME, arrays.Npy.mutated, arrays.Npy.read),
    "npz": Reader(arrays.Npz.NAME, arrays.Npz.mutated, arrays.Npz.read),
    "checkpoint": Reader(checkpoints.NAME, checkpoints.mutated, checkpoints.read),
}


@dataclass(frozen=True)
class Outcome:
    """escape: what left the reader that is no BpcliError, or what was wrong with that or with what it accepted."""

    kind: Literal["accepted", "refused", "escaped"]
    seconds: float
    escape: str = ""


class TooSlow(BaseException):
    """One input took more than MOST_SECONDS; no reader can catch this by mistake."""


def tried(reader: Reader, folder: Path, content: bytes) -> Outcome:
    """Reads one input from a file in `folder`; `watch_the_time` must have been called once."""
    path = folder / reader.file
    started = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
    escape = ""
    try:
        reader.read(path, content)
    except BpcliError as error:
        kind: Literal["accepted", "refused"] = "refused"
        escape = fault_of_message(str(error), path)
    except (Exception, TooSlow) as error:
        return Outcome("escaped", time.process_time() - started, f"{type(error).__name__}: {error}")
    else:
        kind = "accepted"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return Outcome("escaped" if escape else kind, time.process_time() - started, escape)


def fault_of_message(text: str, path: Path) -> str:
    """What a message lacks: each of its lines says of which file it speaks and can be printed."""
    for line in text.split("\n"):
        if not line.startswith(str(path.parent)):
            return f"a message that does not begin with the file's name: {line[:200]!r}"
        if not line.isprintable():
            return f"a message that cannot be printed: {line[:200]!r}"
        if len(line) > 2000:
            return f"a message of {len(line)} characters: {line[:200]!r}"
    return ""


def too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow(f"more than {MOST_SECONDS:g} seconds")


def watch_the_time() -> None:
    """Has an input that takes too long interrupted."""
    signal.signal(signal.SIGVTALRM, too_slow)
