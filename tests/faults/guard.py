"""A guard: code that protects a run, a reader or a number, and the test that fails without it."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TOKEN = re.compile(r"\w+|[<>=!]=|[^\w\s]")


@dataclass(frozen=True)
class Guard:
    """Code with a guard, the same code without it, and the test that notices the difference.

    name: what is guarded, in a few words.
    file: a file in bpcli/, followed by `::function` where the code occurs more than once in that file.
    old, new: the code with and without the guard. They are compared token by token: white space and line breaks need
        not be those of the file, and tokens at the start and end that both share stay as they are in the file.
    test: as pytest takes it: a file, a file and `::test`, or a file and `-k word`.
    """

    name: str
    file: str
    old: str
    new: str
    test: str

    @property
    def path(self) -> str:
        """The file in bpcli/, without the function."""
        return self.file.partition("::")[0]

    def occurrences(self, root: Path = ROOT) -> int:
        """How often the code occurs in its file or function: once, or the entry is out of date."""
        return len(self._matches(self._source(root)))

    def without(self, root: Path = ROOT) -> str:
        """The text of the file without the guard."""
        source, new = self._source(root), list(_TOKEN.finditer(self.new))
        match = self._matches(source)[0]
        first, last = _shared_ends([token.group() for token in match], [token.group() for token in new])
        start, end = match[first].start(), match[len(match) - last - 1].end()
        middle = new[first : len(new) - last]
        code = self.new[middle[0].start() : middle[-1].end()] if middle else ""
        margin = _margin(self.new, middle[0].start()) if middle else ""
        code = code.replace(f"\n{margin}", f"\n{_margin(source, start)}")
        return source[:start] + (" " if source[:start][-1:].isalnum() else "") + code + source[end:]

    def take_out(self, root: Path) -> None:
        """Leaves the package under `root` without the guard."""
        (root / "bpcli" / self.path).write_text(self.without(root), encoding="utf-8")

    def place(self, root: Path = ROOT) -> str:
        """The file and the function in which the code stands now."""
        source = self._source(root)
        line = source.count("\n", 0, self._matches(source)[0][0].start()) + 1
        around = [node for node in _named(source) if node.lineno <= line <= (node.end_lineno or 0)]
        return "::".join([self.path, *(node.name for node in around if isinstance(node, ast.FunctionDef))][:2])

    def arguments(self) -> list[str]:
        """The test as arguments of pytest."""
        path, option, word = self.test.partition(" -k ")
        return [path, *shlex.split(option), word] if option else [path]

    def _source(self, root: Path) -> str:
        return (root / "bpcli" / self.path).read_text(encoding="utf-8")

    def _matches(self, source: str) -> list[list[re.Match[str]]]:
        """The tokens of each occurrence of `old`."""
        old = _TOKEN.findall(self.old)
        start, end = _span(source, self.file.partition("::")[2])
        tokens = list(_TOKEN.finditer(source, start, end))
        texts = [token.group() for token in tokens]
        return [tokens[i : i + len(old)] for i in range(len(tokens)) if texts[i : i + len(old)] == old]


def _named(source: str) -> list[ast.FunctionDef | ast.ClassDef]:
    """Every function and class of a module, the outer before the inner."""
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def _span(source: str, name: str) -> tuple[int, int]:
    """Start and end of a function or class in the text; without a name those of the whole text; (0, 0) if unknown."""
    if not name:
        return 0, len(source)
    found = [node for node in _named(source) if node.name == name]
    if not found:
        return 0, 0
    lines = source.splitlines(keepends=True)
    return len("".join(lines[: found[0].lineno - 1])), len("".join(lines[: found[0].end_lineno]))


def _shared_ends(old: Sequence[str], new: Sequence[str]) -> tuple[int, int]:
    """How many tokens two texts share at the start and at the end; at least one token of `old` belongs to neither."""
    first = _shared(old[:-1], new)
    return first, _shared(old[first + 1 :][::-1], new[first:][::-1])


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    equal = [a == b for a, b in zip(one, other, strict=False)]
    return equal.index(False) if False in equal else len(equal)


def _margin(text: str, position: int) -> str:
    """The white space at the start of the line that holds a position."""
    line = text[text.rfind("\n", 0, position) + 1 :]
    return line[: len(line) - len(line.lstrip())]
