"""`python -m bpcli`, and the console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line."""
    try:
        from bpcli.interrupts import note_early_interrupts

        note_early_interrupts()
        from bpcli.cli.main import main as run
    except KeyboardInterrupt:  # Ctrl-C while libraries are still being imported
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
