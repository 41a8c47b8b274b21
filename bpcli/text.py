"""Text from files, folders and command lines, as messages and tables show it: it may hold anything.

This module imports nothing of bpcli, so every room may show text by it. What few commands need is imported late: every
command starts with this module.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

LONGEST_QUOTE = 40  # characters of one quoted text
MOST_LISTED = 20  # names in one message
MOST_EDITS = 2  # between a word and the name that it may be a misspelling of

# Drawn as nothing or as a blank, although Unicode counts them as letters, marks or symbols.
_INVISIBLE = (  # a pattern, compiled when there is something to look for
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# Letters and signs of other scripts that fonts draw as these.
_LOOKS_LIKE = str.maketrans(
    "аеорсухіјѕһԁԛԝАВЕЗНІЈКМОРЅТУХοορνιαΑΒΕΖΗΙΚΜΝΟΡΤΥΧıɡⅼ−‐–—’‘“”∕",
    "aeopcyxijshdqwABE3HIJKMOPSTYXoopviaABEZHIKMNOPTYXigl----''\"\"/",
)


def printable(text: str) -> str:
    """`text` on one line: what cannot be seen, or moves the cursor or the text around it, as its escape.

    Control characters and line breaks, direction marks, zero-width characters, blanks other than the plain one, and
    bytes of a file's name that are not UTF-8: `\\n`, `\\x1b`, `\\u202e`, `\\udcff`.
    """
    if text.isprintable() and (text.isascii() or not re.search(_INVISIBLE, text)):
        return text
    return "".join(c if c.isprintable() and not re.match(_INVISIBLE, c) else ascii(c)[1:-1] for c in text)


def shown(text: str, most: int = LONGEST_QUOTE) -> str:
    """Text as a message quotes it: printable, in double quotes, cut after `most` characters."""
    cut = text if len(text) <= most else text[:most] + "…"
    escaped = cut.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(escaped)}"'


def brief(text: str, most: int = 60) -> str:
    """Text printable and without quotes, at most `most` characters of it."""
    return printable(text if len(text) <= most else text[: most - 3] + "...")


def typed(path: object) -> str:
    """A path as it is typed after a command: in quotes if it holds blanks or what a shell would act on."""
    text = str(path)
    text = f"./{text}" if text.startswith("-") else text  # else it would be an option
    if os.name == "nt":
        import subprocess

        return subprocess.list2cmdline([text])
    import shlex

    return shlex.quote(text)


def told_apart(names: Iterable[str], show: Callable[[str], str] = printable) -> list[str]:
    """Each name as `show` shows it; names that look alike with the code points in which they differ: `é (U+00E9)`."""
    names = list(names)
    alike: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        alike.setdefault(_look(name), []).append(name)
    marks = {name: mark for group in alike.values() if len(group) > 1 for name, mark in _marks(group).items()}
    return [show(name) + marks.get(name, "") for name in names]


def listed(names: Iterable[str], most: int = MOST_LISTED, show: Callable[[str], str] = shown) -> str:
    """The first `most` names, told apart, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return (", ".join(told_apart(every[:most], show)) or "none") + more


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean "width"?)` for the known name nearest to `name`, or nothing."""
    import difflib

    known = list(known)
    near = twin(name, known) or next(iter(difflib.get_close_matches(name, known, n=1)), None)
    if near is None:
        return ""
    given, meant = told_apart([name, near], shown)
    looks = f" It is not {given}" if given != shown(name) or meant != shown(near) else ""
    return f" (did you mean {meant}?{looks})"


def nearest(
    name: str, known: Iterable[str], elsewhere: Mapping[str, Sequence[str]] | None = None, *, share: float = 1.0
) -> str | None:
    """The known name that is meant: the same but for capitals and separators, another tool's, or a misspelt one.

    elsewhere: what other tools call the known names. A misspelling is at most MOST_EDITS edits away, and these are less
    than `share` of the longer word.
    """
    import difflib

    known = list(known)
    if found := known_as(name, known, elsewhere):
        return found
    word = name.casefold()
    close = [other for other in known if abs(len(other) - len(word)) <= MOST_EDITS]  # no others are within the edits
    ranked = sorted(close, key=lambda other: (edits(word, other), -difflib.SequenceMatcher(a=word, b=other).ratio()))
    if not ranked:
        return None
    distance = edits(word, ranked[0])
    return ranked[0] if distance <= MOST_EDITS and distance < share * max(len(word), len(ranked[0])) else None


def known_as(name: str, known: Iterable[str], elsewhere: Mapping[str, Sequence[str]] | None = None) -> str | None:
    """The known name that is the same but for capitals and separators, or that other tools call so."""
    known = list(known)
    others = (other for other in known if elsewhere and twin(name, elsewhere.get(other, ())))
    return twin(name, known) or next(others, None)


def twin(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks as `name` does, or differs from it only in capitals, blanks, `_`, `-` and `.`."""
    word = _plain(name)
    return next((other for other in known if word and _plain(other) == word), None)


def edits(a: str, b: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours that lead from a to b (optimal string alignment)."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            cost = min(row[j - 1] + 1, rows[-1][j] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def _look(text: str) -> str:
    """The same for texts that a reader would take for one another."""
    import unicodedata

    if not text.isascii():
        text = unicodedata.normalize("NFKC", printable(text)).translate(_LOOKS_LIKE)
    return " ".join(text.split())


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]", "", _look(name).casefold())


def _marks(group: Sequence[str]) -> dict[str, str]:
    """For names that look alike, the code points between what they begin and what they end with in common."""
    start = _in_common(group)
    end = _in_common([name[start:][::-1] for name in group])
    parts = {name: name[start : len(name) - end] for name in group}
    return {name: f" ({' '.join(f'U+{ord(c):04X}' for c in part)})" if part else "" for name, part in parts.items()}


def _in_common(names: Sequence[str]) -> int:
    """How many characters all of them begin with."""
    first, last = min(names), max(names)
    return next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


def json_text(values: Any) -> str:
    """Plain values as JSON, nothing rounded; null for a float that is not finite, for which JSON has no word."""
    import json

    return json.dumps(_with_nulls(values), indent=2, allow_nan=False)


def _with_nulls(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: _with_nulls(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_with_nulls(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values
