"""Fuzzing led by what each input reached in bpcli's code: atheris, of `pip install '.[fuzz]'`.

    cd tests && python -m fuzz.guided csv -max_total_time=60 FOLDER

The reader comes first; libFuzzer's own options follow, and a folder in which inputs that reached something new are
kept. Every second change is one of the format's own, the others are libFuzzer's. An escape ends it, with the input in
a file crash-*.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["bpcli"], enable_loader_override=False):
    from fuzz.readers import READERS, tried, watch_the_time


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in READERS:
        raise SystemExit(f"usage: python -m fuzz.guided {'|'.join(READERS)} [libFuzzer's options] [FOLDER]")
    reader = READERS[sys.argv.pop(1)]
    memory = Path("/dev/shm")
    # libFuzzer leaves without cleaning up: one folder for all runs
    folder = (memory if memory.is_dir() else Path(tempfile.gettempdir())) / f"bpcli-fuzz-{os.getuid()}"
    folder.mkdir(exist_ok=True)

    def take(content: bytes) -> None:
        outcome = tried(reader, folder, content)
        if outcome.escape:
            raise AssertionError(outcome.escape)

    def changed(content: bytes, most: int, seed: int) -> bytes:
        if seed % 2:
            return atheris.Mutate(content, most)
        return reader.mutated(Random(seed))[:most]

    watch_the_time()
    atheris.Setup(sys.argv, take, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
