"""What a run's summary.json says, read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bpcli.runs.files import opened

LARGEST_SUMMARY = 1 << 24  # bytes


def read_summary(path: Path) -> dict[str, Any]:
    """The values of a summary.json; empty if there is none, or it cannot be read."""
    try:
        with opened(path, at_most=LARGEST_SUMMARY) as (file, _):
            values = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
