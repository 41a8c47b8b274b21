"""The one command: `python tests/benchmarks`, or `python -m benchmarks` from within tests/."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tests/: both ways find the same package

from benchmarks.driver import main

if __name__ == "__main__":
    main()
