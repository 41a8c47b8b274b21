"""What is said of a command line that typer cannot take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from bpcli.text import printable

USAGE_ERROR: Any = typer.BadParameter.__bases__[0]  # click's UsageError, or typer's own copy of it


@contextmanager
def plain_usage_errors() -> Iterator[None]:
    """Shows what was typed printable."""
    try:
        yield
    except USAGE_ERROR as error:
        error.message = printable(error.message)
        raise
