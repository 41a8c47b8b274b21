"""Prints the least versions of bpcli's dependencies that pyproject.toml allows, as constraints for pip.

python tests/tools/minimum_versions.py > minimum.txt
pip install '.[dev]' --constraint minimum.txt
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
REQUIREMENT = re.compile(r"([\w.-]+)>=([\w.]+)(?:,.*)?")


def constraints(pyproject: str) -> list[str]:
    """`name==version` for each dependency.

    Raises:
        ValueError: a dependency does not say its least version.
    """
    dependencies = tomllib.loads(pyproject)["project"]["dependencies"]
    found = []
    for dependency in dependencies:
        match = REQUIREMENT.fullmatch(dependency)
        if match is None:
            raise ValueError(f"pyproject.toml: {dependency!r} does not begin with NAME>=VERSION")
        found.append(f"{match[1]}=={match[2]}")
    return found


if __name__ == "__main__":
    print("\n".join(constraints(PYPROJECT.read_text(encoding="utf-8"))))
