"""What a forked process runs: bpcli's command line. It imports little, for it is imported in each process anew."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path


def bpcli_main(
    arguments: list[str],
    out: Path,
    err: Path,
    gate: Connection | None,
    cpus: Sequence[int],
    fixed_names: bool,
) -> None:
    """`bpcli ARGUMENTS` with its output in two files; waits for the gate where there is one.

    fixed_names: a temporary file has the same name each time, so that strace can set a fault to it.
    """
    for number, path in ((1, out), (2, err)):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115
    if cpus:
        os.sched_setaffinity(0, cpus)
    sys.argv = ["bpcli", *arguments]
    from bpcli.__main__ import main

    if fixed_names:
        from bpcli.runs import held

        held.temporary_name = lambda name: f".{name}.{0:016x}.tmp"

    if gate is not None:
        gate.send("ready")
        gate.recv()
    main()
