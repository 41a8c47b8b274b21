"""The one command: `python tests/tabular`, or `python -m tabular` from within tests/."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests/: both ways find the same package

from tabular.driver import main

if __name__ == "__main__":
    main()
