"""The system calls of a run, as strace writes them down."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r"^\d+ +(?P<name>\w+)\((?P<rest>.*)$")
PATH = re.compile(r'<([^<>]*)>|"([^"]*)"')


@dataclass(frozen=True)
class Call:
    """One call. paths: those it names, by text or by descriptor. number: which of its name on paths[0], from 1."""

    name: str
    number: int
    paths: tuple[str, ...]
    text: str

    @property
    def kind(self) -> tuple[str, str]:
        """What it does to which file: calls of one kind are much alike."""
        return self.name, Path(self.paths[0]).name


def read_calls(log: Path, folder: Path) -> list[Call]:
    """The calls that concern the folder or what lies in it, in order."""
    counts: Counter[tuple[str, str]] = Counter()
    calls = []
    for line in log.read_text(errors="replace").splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        name, rest = match["name"], match["rest"]
        arguments = rest.rpartition(" = ")[0] or rest  # without a result where another thread's line came in between
        named = [first or second for first, second in PATH.findall(arguments)]
        paths = tuple(path for path in named if path == str(folder) or path.startswith(f"{folder}/"))
        if paths:
            counts[name, paths[0]] += 1
            calls.append(Call(name, counts[name, paths[0]], paths, line))
    return calls
