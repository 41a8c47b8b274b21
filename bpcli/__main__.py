"""`python -m bpcli`, and the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from bpcli.interrupts import quit_on_interrupt

        quit_on_interrupt()
    except KeyboardInterrupt:
        print("error: interrupted while bpcli was starting", file=sys.stderr)
        sys.exit(130)
    from bpcli.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
