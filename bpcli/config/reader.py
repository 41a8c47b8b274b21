"""Strict YAML: reads text as plain values by the YAML 1.2 core schema, with the line of every key and item.

PyYAML parses the structure. Scalars are interpreted here, because PyYAML follows YAML 1.1, where `on` is a boolean,
`1:30` is 90, `1e-3` is a string and the last of two equal keys wins. Values are built from the parser's events with an
explicit stack. Everything that could grow with the text has a limit, so that no text can make reading slow or exhaust
memory or the call stack. The only error that leaves this module is ConfigError.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from bpcli.config.syntax import DIRECTIVE, DOCUMENTS, LINE_BREAK, TAB, TAG, explain
from bpcli.errors import ConfigError
from bpcli.text import brief

KeyPath = tuple[str | int, ...]
Scalar = None | bool | int | float | str

MAX_BYTES = 4 << 20
MAX_DEPTH = 32  # levels of nested mappings and lists, including the outermost
MAX_NODES = 100_000  # keys and values; at up to 8 us each, they bound the time, not MAX_BYTES
MAX_NUMBER = 100  # characters; Python refuses to convert integers of more than 4,300 digits
MAX_KEY = 100  # characters; libyaml rejects keys of more than 1,024 bytes
MAX_PROBLEMS = 20  # reported for one text

# libyaml's parser is ten times as fast; if PyYAML was built without it, its own gives the same values
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# Characters not allowed in YAML, and NEL, LS, PS: line breaks to libyaml, but not in YAML 1.2
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
# Escapes in double quotes can produce these, but file names cannot contain NUL, nor UTF-8 the others
UNUSABLE = re.compile("[\0\ud800-\udfff]")

_NUMBER_START = frozenset("+-.0123456789")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL"], None),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **dict.fromkeys([".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"], math.inf),
    **dict.fromkeys(["-.inf", "-.Inf", "-.INF"], -math.inf),
    **dict.fromkeys([".nan", ".NaN", ".NAN"], math.nan),
}


def read_value(
    text: str | bytes, source: str, *, numbered: bool = True, max_depth: int = MAX_DEPTH
) -> tuple[Any, dict[KeyPath, int]]:
    """The value written in `text` (None if there is none), and the 1-based line of each key and item by path.

    The value's own line has the path (). Messages begin with `source:line: ` if `numbered`, else `source: `.

    Raises:
        ConfigError: the text is not strict YAML; lists all problems up to the first syntax error.
    """
    reader = _Reader(source, numbered, max_depth)
    return reader.read(reader.decode(text))


def plain_value(text: str) -> Scalar:
    """What the unquoted scalar `text` means by the YAML 1.2 core schema.

    Raises:
        ValueError: a number with more than MAX_NUMBER characters, or beyond the range of a float.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_START:  # most strings and keys: saves two searches
        return text
    is_int = _INT.fullmatch(text) is not None
    if not is_int and not _FLOAT.fullmatch(text):
        return text
    if len(text) > MAX_NUMBER:
        raise ValueError(f"a number of {len(text)} characters; at most {MAX_NUMBER} are allowed")
    number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if is_int else float(text)
    # a hexadecimal number may have more digits in decimal, and must remain writable
    if len(repr(number)) > MAX_NUMBER:
        raise ValueError(f"an integer of more than {MAX_NUMBER} digits")
    if isinstance(number, float) and math.isinf(number):
        raise ValueError(f"{text} is beyond the largest float, 1.8e308; write .inf for infinity")
    return number


@dataclass(slots=True)
class _Open:
    """An unfinished mapping or list; `key` is the mapping's key whose value comes next."""

    value: dict[str, Any] | list[Any]
    path: KeyPath
    key: str | None = None

    @property
    def last(self) -> Any:
        """The value that was read last."""
        values = list(self.value.values()) if isinstance(self.value, dict) else self.value
        return values[-1] if values else None


class _Reader:
    """Reads one text: collects values, lines and problems."""

    def __init__(self, source: str, numbered: bool, max_depth: int) -> None:
        self._source = source
        self._numbered = numbered
        self._max_depth = max_depth
        self._text = ""
        self._root: Any = None
        self._lines: dict[KeyPath, int] = {}
        self._problems: list[str] = []
        self._open: list[_Open] = []
        self._line = 0
        self._nodes = 0
        self._documents = 0

    def decode(self, text: str | bytes) -> str:
        """The characters of `text` without a byte order mark; ConfigError if it is too large or not valid text."""
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        if len(data) > MAX_BYTES:
            self._stop(None, f"larger than {MAX_BYTES >> 20} MiB; a config holds settings, keep data in a data file")
        if isinstance(text, bytes):
            try:
                text = text.decode("utf-8")
            except UnicodeDecodeError as error:
                line = len(LINE_BREAK.findall(data[: error.start].decode("utf-8"))) + 1
                found = f"byte 0x{data[error.start]:02X} at offset {error.start}"
                self._stop(line, f"{found} is not UTF-8; save the file as UTF-8 text")
        text = text.removeprefix("\ufeff")
        if bad := UNPRINTABLE.search(text):
            line = len(LINE_BREAK.findall(text[: bad.start()])) + 1
            self._stop(line, f"the character U+{ord(bad[0]):04X} is not allowed; remove it")
        return text

    def read(self, text: str) -> tuple[Any, dict[KeyPath, int]]:
        """The value and the lines of decoded text. Raises ConfigError with all problems."""
        self._text = text
        for event in self._events():
            mark = event.start_mark
            line = mark.line + 1
            self._refuse_tab(mark, line)
            if isinstance(event, yaml.NodeEvent):
                self._take_node(event, line)
            elif isinstance(event, yaml.DocumentStartEvent):
                self._start_document(mark, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._open.pop()
        if self._problems:
            raise ConfigError(self._problems)
        return self._root, self._lines

    def _events(self) -> Iterator[Any]:
        """The parser's events, read one by one, so that a limit stops the parser too."""
        try:
            yield from yaml.parse(self._text, Loader=_LOADER)
        except yaml.YAMLError as error:
            self._stop(*explain(error, self._text))
        except (ValueError, OverflowError):  # PyYAML's own parser, at escapes such as \UFFFFFFFF
            self._stop(None, "an escape in double quotes is not a character; \\U goes up to \\U0010FFFF")

    def _refuse_tab(self, mark: yaml.Mark, line: int) -> None:
        """Stop at a tab in the indentation of a line, which libyaml accepts inside brackets."""
        if line == self._line:
            return
        self._line = line
        before = self._text[mark.index - mark.column : mark.index]
        if "\t" in before and before.isspace():
            self._stop(line, TAB)

    def _start_document(self, mark: yaml.Mark, line: int) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(line, DOCUMENTS)
        if self._text.startswith("%", mark.index):
            self._problem(line, DIRECTIVE)

    def _take_node(self, event: yaml.NodeEvent, line: int) -> None:
        """Store a key, a scalar or the start of a mapping or list."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._stop(line, f"more than {MAX_NODES:,} keys and values; keep data in a data file")
        if isinstance(event, yaml.AliasEvent):
            self._problem(line, f"the alias *{brief(event.anchor or '')} is not supported; write the value out")
        elif event.anchor is not None:
            self._problem(line, f"the anchor &{brief(event.anchor)} is not supported; remove it")
        if getattr(event, "tag", None) is not None:
            self._problem(line, TAG)

        parent = self._open[-1] if self._open else None
        if parent is None:
            path: KeyPath = ()
        elif isinstance(parent.value, list):
            path = (*parent.path, len(parent.value))
        elif parent.key is None:
            parent.key = self._take_key(event, line, parent)
            return
        else:
            path = (*parent.path, parent.key)
        if parent is None or isinstance(parent.value, list):
            self._lines[path] = line

        value: Any = None
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._open.append(_Open(value, path))
            if len(self._open) > self._max_depth:
                self._stop(line, f"nested deeper than {self._max_depth} levels")
        self._attach(parent, value)

    def _attach(self, parent: _Open | None, value: Any) -> None:
        if parent is None:
            self._root = value
        elif isinstance(parent.value, list):
            parent.value.append(value)
        elif parent.key is not None:
            parent.value[parent.key] = value
            parent.key = None

    def _take_key(self, event: yaml.NodeEvent, line: int, parent: _Open) -> str:
        """The key as text. Reading continues after a bad key, but not after a mapping or list as a key."""
        if isinstance(event, yaml.AliasEvent):
            return f"*{event.anchor}"  # already reported
        if not isinstance(event, yaml.ScalarEvent):
            self._stop(line, "a mapping or list cannot be a key; put text with braces or brackets in quotes")
        key: str = event.value
        value = self._scalar(event, line)
        if event.implicit[0] and key == "<<":
            self._problem(line, "the merge key `<<` is not supported; write the keys out")
        elif value is None and key == "":
            self._problem(line, "there is no key before the colon")
        elif isinstance(value, int) and isinstance(before := parent.last, int) and self._follows_a_comma(event):
            meant = f"{before},{key}"
            self._problem(line, f"the key {key} is not text; if {meant} is a number, write {before}.{key}")
        elif not isinstance(value, str):
            self._problem(line, f'the key {brief(key)} is not text; put it in quotes: "{brief(key)}"')
        elif len(key) > MAX_KEY:
            self._problem(line, f"a key of {len(key)} characters; at most {MAX_KEY} are allowed")
        path = (*parent.path, key)
        if key in parent.value:
            first = f", first in line {self._lines[path]}" if self._numbered else ""
            self._problem(line, f"the key `{brief(key)}` is given twice{first}; keep one of them")
        else:
            self._lines[path] = line
        return key

    def _follows_a_comma(self, event: Any) -> bool:
        """Whether a key without a value stands right behind a comma, as the 01 in {learning_rate: 0,01}."""
        start, end = event.start_mark.index, event.end_mark.index
        return self._text[start - 1 : start] == "," and self._text[end : end + 1] in (",", "}")

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> Scalar:
        text: str = event.value
        if not event.implicit[0]:  # quoted, or a block scalar
            if UNUSABLE.search(text):
                self._problem(line, "an escape stands for NUL or half a surrogate pair, which no text may hold")
            return text
        try:
            return plain_value(text)
        except ValueError as error:
            self._problem(line, str(error))
            return 0

    def _problem(self, line: int, message: str) -> None:
        """Record a problem and continue, unless there are too many."""
        self._problems.append(f"{self._at(line)}: {message}")
        if len(self._problems) == MAX_PROBLEMS:
            self._stop(None, f"more problems may follow; these are the first {MAX_PROBLEMS}")

    def _stop(self, line: int | None, message: str) -> NoReturn:
        raise ConfigError([*self._problems, f"{self._at(line)}: {message}"])

    def _at(self, line: int | None) -> str:
        return f"{self._source}:{line}" if self._numbered and line is not None else self._source
