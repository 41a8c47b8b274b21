"""Writing plain values as YAML that `yaml_reader` reads back as the very same values.

The text means the same to readers of YAML 1.1, PyYAML's own among them: what they would take for a boolean,
a date or a base-60 number is quoted, and `1e-05` is written `1.0e-05`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from bpcli.config.yaml_reader import MAX_BYTES, MAX_DEPTH, MAX_KEY, MAX_NODES, MAX_NUMBER, UNPRINTABLE, UNUSABLE

# Words and paths: nothing that starts like a number or holds a character with a meaning in YAML
_PLAIN = re.compile(r"(?:\.{0,2}/|[^\W\d])[\w./-]*(?: [\w./-]+)*")
_RESERVED = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def dump_yaml(value: Any) -> str:
    """YAML text of a dict, list, str, int, float, bool or None, keys in their order, ending in a newline.

    Mappings stand in block style; a list without mappings or lists in it stands on one line.

    Raises:
        TypeError: a value of another type, or a key that is not a str.
        ValueError: what the reader would refuse: nesting deeper than MAX_DEPTH, an integer of more than
            MAX_NUMBER characters, a key of more than MAX_KEY, a NUL or half a surrogate pair in a text, more than
            MAX_NODES keys and values, more than MAX_BYTES of text.
    """
    text = "".join(f"{line}\n" for line in _block(value, depth=1))
    if (nodes := _nodes(value)) > MAX_NODES:
        raise ValueError(f"{nodes:,} keys and values; at most {MAX_NODES:,} are read")
    if (size := len(text.encode())) > MAX_BYTES:
        raise ValueError(f"{size:,} bytes; at most {MAX_BYTES:,} are read")
    return text


def _nodes(value: Any) -> int:
    """How many keys and values the reader will count."""
    if isinstance(value, dict):
        return 1 + sum(1 + _nodes(item) for item in value.values())
    return 1 + sum(map(_nodes, value)) if isinstance(value, list) else 1


def _block(value: Any, depth: int) -> list[str]:
    """The lines of a value, not indented; `depth` is how many collections a collection here makes."""
    if isinstance(value, dict | list) and depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if not _needs_block(value):
        return [_inline(value)]
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _entry(_key(key), item, depth)]
    items = (_block(item, depth + 1) for item in value)
    return [f"{'  ' if i else '- '}{line}" for lines in items for i, line in enumerate(lines)]


def _needs_block(value: Any) -> bool:
    """Whether this is a mapping with entries or a list that holds mappings or lists."""
    if isinstance(value, list):
        return any(isinstance(item, dict | list) for item in value)
    return isinstance(value, dict) and len(value) > 0


def _entry(key: str, item: Any, depth: int) -> list[str]:
    """The lines of one entry of a mapping."""
    lines = _block(item, depth + 1)
    return [f"{key}:", *(f"  {line}" for line in lines)] if _needs_block(item) else [f"{key}: {lines[0]}"]


def _inline(value: Any) -> str:
    """A scalar, an empty mapping or list, or a list of scalars, on one line."""
    # the base types' own repr: a subclass such as numpy.float64 has another one
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            digits = int.__repr__(value)
            if len(digits) > MAX_NUMBER:
                raise ValueError(f"an integer of more than {MAX_NUMBER} digits")
            return digits
        case float():
            return _float(value)
        case str():
            return _text(value)
        case list():
            return "[" + ", ".join(_inline(item) for item in value) + "]"
        case dict():
            return "{}"
    raise TypeError(f"cannot write a {type(value).__name__} as YAML")


def _float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    digits = float.__repr__(value)
    return digits if "." in digits else digits.replace("e", ".0e")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a key must be a str, not {key!r}")
    if len(key) > MAX_KEY:
        raise ValueError(f"a key of more than {MAX_KEY} characters")
    return _text(key)


def _text(text: str) -> str:
    """`text` bare where every reader of YAML takes it for text, else in double quotes, escaped as in JSON."""
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED:
        return text
    if bad := UNUSABLE.search(text):
        raise ValueError(f"a text with the character U+{ord(bad[0]):04X}")
    # JSON escapes what is below a space; YAML forbids some more, none of them beyond U+FFFF
    return UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
