"""Many inputs through one reader, counted."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from fuzz.readers import READERS, Reader, tried, watch_the_time


@dataclass
class Tally:
    """What became of one reader's inputs. slowest: CPU seconds of one input. grown: bytes of memory at the peak, beyond
    what the process took after its first inputs. escapes: (number of the input, what escaped)."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    grown: int = 0
    escapes: list[tuple[int, str]] = field(default_factory=list)


def input_of(reader: Reader, seed: str, number: int) -> bytes:
    return reader.mutated(Random(f"{seed}-{number}"))


def run(name: str, seed: str, count: int) -> Tally:
    """`count` inputs through one reader."""
    reader, tally, started = READERS[name], Tally(), time.process_time()
    watch_the_time()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        for number in range(min(count, 200)):
            tried(reader, Path(folder), input_of(reader, f"warm-{seed}", number))
        before = peak_of_memory()
        for number in range(count):
            outcome = tried(reader, Path(folder), input_of(reader, seed, number))
            tally.counts[outcome.kind] += 1
            tally.slowest = max(tally.slowest, outcome.seconds)
            if outcome.escape:
                tally.escapes.append((number, outcome.escape))
    tally.grown = peak_of_memory() - before
    tally.seconds = time.process_time() - started
    return tally


def peak_of_memory() -> int:
    """Bytes that this process had in memory at the most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
