"""Messages for a command line that typer rejects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from bpcli.text import printable

USAGE_ERROR: Any = typer.BadParameter.__bases__[0]  # click's UsageError, or typer's own copy of it


@contextmanager
def plain_usage_errors() -> Iterator[None]:
    """Makes typed text printable in usage errors; if an unknown option is a config key, adds how to set it."""
    try:
        yield
    except USAGE_ERROR as error:
        hint = _key_hint(error)
        error.message = printable(error.message) + hint
        if hint:
            error.possibilities = None  # other options with similar names
        raise


def _key_hint(error: Any) -> str:
    option = getattr(error, "option_name", "")
    takes_keys = error.ctx is not None and any(param.name == "set_" for param in error.ctx.command.params)
    if not option or not takes_keys:
        return ""
    from bpcli.config.schema import full_key

    key = full_key(option.rpartition(".")[2].lstrip("-"))
    return f". It is a key of the config: --set {key}=VALUE" if key else ""
