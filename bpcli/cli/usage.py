"""Messages for a command line that typer rejects."""

from __future__ import annotations

import re
from typing import Any

from bpcli.text import printable


def reword(error: Any) -> None:
    """Makes typed text printable in a usage error; if an unknown option is a config key, adds how to set it."""
    hint = _key_hint(error) or _setting_hint(error)
    error.message = printable(error.message) + hint
    if hint:
        error.possibilities = None  # other options with similar names


def _key_hint(error: Any) -> str:
    option = getattr(error, "option_name", "")
    if not option or not _takes_keys(error):
        return ""
    from bpcli.config.schema import full_key

    key = full_key(option.rpartition(".")[2].lstrip("-"))
    return f". It is a key of the config: --set {key}=VALUE" if key else ""


def _setting_hint(error: Any) -> str:
    """A hint for `--set KEY VALUE`, and for KEY=VALUE alone."""
    extra = re.fullmatch(r"Got unexpected extra argument\(?s?\)? \((\S+)\)", error.message)
    if not extra or not _takes_keys(error):
        return ""
    given = error.ctx.params.get("set_") or ()
    key = next((setting for setting in given if "=" not in setting), None)
    setting = extra[1] if key is None else f"{key}={extra[1]}"
    return f". A key is set in one word: --set {printable(setting)}" if re.fullmatch(r"[\w.]+=\S+", setting) else ""


def _takes_keys(error: Any) -> bool:
    return error.ctx is not None and any(param.name == "set_" for param in error.ctx.command.params)
