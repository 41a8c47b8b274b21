"""`python -m bpcli`, and the console script."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Runs the command line."""
    # bpcli has threads of its own; where OpenBLAS may not make one, as under `ulimit -u`, it sends itself a SIGINT
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # what an import makes stays: collecting it in vain takes 3 ms
    try:
        from bpcli.system import quit_on_interrupt

        quit_on_interrupt()
    except KeyboardInterrupt:
        print("error: interrupted while bpcli was starting", file=sys.stderr)
        sys.exit(130)
    from bpcli.cli.main import main as run

    gc.enable()
    try:
        run()
    finally:
        gc.freeze()  # the process ends, and its memory with it: the last collection would take 7 ms, with NumPy 25


if __name__ == "__main__":
    main()
