"""JSON as other programs read it: it has no word for infinity or for what is not a number."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(values: Any) -> str:
    """Plain values as JSON, nothing rounded; null for a float that is not finite."""
    return json.dumps(_with_nulls(values), indent=2, allow_nan=False)


def _with_nulls(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _with_nulls(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_with_nulls(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values
