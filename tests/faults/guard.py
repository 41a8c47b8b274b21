"""What a guard is: a text of the source that protects, and a test that fails once it is taken out."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Guard:
    """What protects, where it stands (the text `old` in a file of bpcli/), what is left of it, and which test cries.

    test: as pytest takes it: a file, a file and `::test`, or a file and `-k word`.
    """

    name: str
    file: str
    old: str
    new: str
    test: str

    def occurrences(self, root: Path = ROOT) -> int:
        """How often the text stands in the file: once, or the entry has to be brought up to date."""
        return (root / "bpcli" / self.file).read_text(encoding="utf-8").count(self.old)

    def take_out(self, root: Path) -> None:
        """Leaves the package under `root` without the guard."""
        path = root / "bpcli" / self.file
        path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")

    def arguments(self) -> list[str]:
        """The test as arguments of pytest."""
        path, option, word = self.test.partition(" -k ")
        return [path, *shlex.split(option), word] if option else [path]
