"""The system calls of a run, as strace writes them down."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r"^\d+ +(?P<name>\w+)\((?P<rest>.*)$")
PATH = re.compile(r'<([^<>]*)>|"([^"]*)"')
PLACE = re.compile(r'<([^<>]*)>, "([^"]*)"')  # a folder's descriptor and a name in it, as openat takes them


@dataclass(frozen=True)
class Call:
    """One call. paths: those it names, by text or by descriptor. at: what strace finds it by, the descriptor's path
    where a name follows. number: which of its name there, from 1.
    """

    name: str
    number: int
    at: str
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
        if name.endswith(("at", "at2")) and (found := PLACE.findall(arguments)):
            places = [(start, os.path.join(start, inner)) for start, inner in found]  # noqa: PTH118
        else:
            places = [(first or second,) * 2 for first, second in PATH.findall(arguments)]
        inside = [place for place in places if _is_in(folder, place[1])]
        if inside:
            at = inside[0][0] if _is_in(folder, inside[0][0]) else inside[0][1]
            counts[name, at] += 1
            paths = tuple(path for _, path in inside)
            calls.append(Call(name, counts[name, at], at, paths, line))
    return calls


def _is_in(folder: Path, path: str) -> bool:
    return path == str(folder) or path.startswith(f"{folder}/")
