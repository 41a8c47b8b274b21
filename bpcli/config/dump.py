"""Writes plain values as YAML that `bpcli.config.reader` reads back as the same values.

PyYAML writes the text. This module chooses the style, and quotes whatever YAML 1.1 or 1.2 would read as a number, a
boolean or a date, so that the text means the same in both.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from bpcli.config.reader import MAX_BYTES, MAX_DEPTH, MAX_KEY, MAX_NODES, MAX_NUMBER, UNUSABLE

# Words and paths: nothing that starts like a number or contains a special character of YAML
_PLAIN = re.compile(r"(?:\.{0,2}/|[^\W\d])[\w./-]*(?: [\w./-]+)*")
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_ENDLESS = 1 << 30  # characters in a line, so that a list of numbers stays on one


def dump_yaml(value: Any) -> str:
    """YAML text of a dict, list, str, int, float, bool or None, keys in their order, ending in a newline.

    Mappings are in block style; a list without mappings or lists in it is on one line.

    Raises:
        TypeError: a value of another type, or a key that is not a str.
        ValueError: the reader would refuse it: nesting deeper than MAX_DEPTH, an integer of more than MAX_NUMBER
        characters, a key of more than MAX_KEY, a NUL or half a surrogate pair in a string, more than MAX_NODES keys and
        values, more than MAX_BYTES of text.
    """
    if (nodes := _checked(value, depth=1)) > MAX_NODES:
        raise ValueError(f"{nodes:,} keys and values; at most {MAX_NODES:,} are read")
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_ENDLESS)
    if (size := len(text.encode())) > MAX_BYTES:
        raise ValueError(f"{size:,} bytes; at most {MAX_BYTES:,} are read")
    return text


def _checked(value: Any, depth: int) -> int:
    """Checks a value and returns how many keys and values the reader will count."""
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        keys = [_checked_key(key) for key in value] if isinstance(value, dict) else []
        items = value.values() if isinstance(value, dict) else value
        return 1 + sum(keys) + sum(_checked(item, depth + 1) for item in items)
    if isinstance(value, str):
        if bad := UNUSABLE.search(value):
            raise ValueError(f"a text with the character U+{ord(bad[0]):04X}")
    elif isinstance(value, int):
        if len(int.__repr__(value)) > MAX_NUMBER:
            raise ValueError(f"an integer of more than {MAX_NUMBER} digits")
    elif not (value is None or isinstance(value, float)):
        raise TypeError(f"cannot write a {type(value).__name__} as YAML")
    return 1


def _checked_key(key: Any) -> int:
    if not isinstance(key, str):
        raise TypeError(f"a key must be a str, not {key!r}")
    if len(key) > MAX_KEY:
        raise ValueError(f"a key of more than {MAX_KEY} characters")
    return _checked(key, 1)


class _Dumper(yaml.SafeDumper):
    """Writes no aliases for a value that occurs twice, and indents list items."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, indentless=False)


def _mapping(dumper: _Dumper, value: dict[str, Any]) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=not value)


def _list(dumper: _Dumper, value: list[Any]) -> yaml.Node:
    nested = any(isinstance(item, dict | list) for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=not nested)


def _text(dumper: _Dumper, value: str) -> yaml.Node:
    plain = _PLAIN.fullmatch(value) and value.lower() not in _RESERVED
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


# also for subclasses such as numpy.float64, written as plain numbers
_Dumper.add_multi_representer(dict, _mapping)
_Dumper.add_multi_representer(list, _list)
_Dumper.add_multi_representer(str, _text)
_Dumper.add_multi_representer(float, lambda dumper, value: dumper.represent_float(float(value)))
_Dumper.add_multi_representer(int, lambda dumper, value: dumper.represent_int(int(value)))
_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(list, _list)
_Dumper.add_representer(str, _text)
