"""The reference of all parts that a config can name, from the registries: names, keys, defaults, docstrings."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from bpcli.config.part_models import plain
from bpcli.data.kinds import kinds
from bpcli.engine import registry
from bpcli.engine.registry import Registry

KINDS: dict[str, Registry[Any]] = {
    "layers": registry.layers,
    "activations": registry.activations,
    "losses": registry.losses,
    "optimizers": registry.optimizers,
    "schedules": registry.schedules,
    "metrics": registry.metrics,
    "initializers": registry.initializers,
    "columns": kinds,
}


def parts_called(word: str) -> list[tuple[str, str]]:
    """(kind, name) of each part with that name, or else of each part that the word may mean."""
    called = [(kind, word) for kind, parts in KINDS.items() if word in parts]
    return called or [(kind, name) for kind, parts in KINDS.items() if (name := parts.nearest(word))]


def reference(kinds: list[str] | None = None) -> str:
    """Markdown with a table for each kind of part: name and aliases, keys with their defaults, what it does."""
    return "\n\n".join(_table(kind, KINDS[kind]) for kind in kinds or KINDS)


def _table(kind: str, parts: Registry[Any]) -> str:
    lines = [f"### {kind.capitalize()}", "", "| name | keys and defaults | what it does |", "| --- | --- | --- |"]
    for name in parts.names():
        also = [alias for alias, target in parts.aliases().items() if target == name]
        names = f"`{name}`" + (f" ({', '.join(also)})" if also else "")
        lines.append(f"| {names} | {_keys(parts.get(name))} | {_first_line(parts.get(name))} |")
    return "\n".join(lines)


def _keys(part: type) -> str:
    return ", ".join(f"`{field.name}{_default(field)}`" for field in dataclasses.fields(part))


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return ""
    value = plain(field.default)
    return f": {({None: 'null', True: 'true', False: 'false'}.get(value) if _is_word(value) else None) or value}"


def _is_word(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _first_line(part: type) -> str:
    text = inspect.getdoc(part) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")
