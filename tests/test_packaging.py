"""What pyproject.toml declares, and the scripts by which .ci/run tries its two ends."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def tool(name: str):
    """A script of tests/tools, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def numbers(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", text)]


def test_each_dependency_says_its_least_version() -> None:
    found = dict(line.split("==") for line in tool("minimum_versions").constraints(PYPROJECT))
    assert set(found) == {"numpy", "typer", "pyyaml", "pydantic", "tqdm", "threadpoolctl"}
    for name, least in found.items():
        assert numbers(version(name)) >= numbers(least), name


def test_a_dependency_without_a_least_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'numpy<3' does not begin with NAME>=VERSION"):
        tool("minimum_versions").constraints('[project]\ndependencies = ["tqdm>=4.66", "numpy<3"]\n')


def test_the_newest_python_is_newer_than_this_one() -> None:
    module = tool("newest_python")
    assert module.version_of(Path(sys.executable)) == sys.version_info[:3]
    assert module.newest(iter([Path(sys.executable)])) is None
    assert module.newest(iter([])) is None


def test_what_is_no_python_is_passed_over(tmp_path: Path) -> None:
    module, newer, broken = tool("newest_python"), tmp_path / "python3.99", tmp_path / "python3.98"
    newer.write_text("#!/bin/sh\necho 3 99 1\n")
    broken.write_text("#!/bin/sh\nexit 127\n")  # as pyenv's shim of a version that is not chosen
    for script in (newer, broken):
        script.chmod(0o755)
    assert module.newest(iter([broken, Path(sys.executable), newer, tmp_path / "gone"])) == newer


def test_the_classifiers_and_the_checks_agree_with_requires_python() -> None:
    declared = tomllib.loads(PYPROJECT)
    least = declared["project"]["requires-python"].removeprefix(">=")
    assert declared["tool"]["ruff"]["target-version"] == f"py{least.replace('.', '')}"
