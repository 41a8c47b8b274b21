"""`python -m bpcli`, and the console script."""

from __future__ import annotations

from bpcli.cli.main import main

if __name__ == "__main__":
    main()
