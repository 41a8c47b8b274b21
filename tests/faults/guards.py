"""Mutation tests: takes each guard out of a copy of the package, one at a time, and expects its test to fail.

    python tests/faults/guards.py           every guard
    python tests/faults/guards.py fsync     the guards whose name contains one of these words
    python tests/faults/guards.py --list    prints the list of guards and takes none out

A mutant is the package without one guard. It is killed if the guard's test fails; a mutant that survives shows a guard
that could be lost unnoticed. To add a guard, add an entry to the module of its topic, guards_of_*.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import guards_of_input
import guards_of_runs
import guards_of_training
from guard import ROOT, Guard

GUARDS = guards_of_runs.GUARDS + guards_of_training.GUARDS + guards_of_input.GUARDS
COPIED = ("bpcli", "tests", "configs", "datasets", "pyproject.toml", "README.md")


def copy_to(folder: Path) -> None:
    """Copies everything the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def run_tests(folder: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Runs pytest on the copy. Returns its exit code, and the line that names the failed test or else its last line."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in list(environment):
        if name.startswith("PYTEST"):
            del environment[name]
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={folder}/tmp"]
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or [""]
    telling = [line for line in lines if line.startswith(("FAILED", "ERROR")) or " passed" in line]
    return done.returncode, (telling or lines)[0]


def is_killed(guard: Guard) -> tuple[bool, str]:
    """Whether the test fails without the guard, and pytest's line about it."""
    if guard.occurrences() != 1:
        return False, f"the code occurs {guard.occurrences()} times in {guard.file}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_to(folder)
        guard.take_out(folder)
        code, line = run_tests(folder, guard.arguments())
    return code == 1, line  # 1: tests failed; with any other code nothing was tested


def with_all_guards_in() -> tuple[int, str]:
    """Runs the same tests on an unchanged copy, where they have to pass. Returns pytest's exit code and its line."""
    tests = {tuple(guard.arguments()) for guard in GUARDS}
    whole = sorted(arguments[0] for arguments in tests if len(arguments) == 1)
    with tempfile.TemporaryDirectory() as name:
        copy_to(Path(name))
        for arguments in [whole, *sorted(other for other in tests if len(other) > 1)]:
            code, line = run_tests(Path(name), arguments)
            if code:
                break
    return code, line


def table() -> str:
    """The list of guards in Markdown, with the function in which each stands now."""
    rows = [f"| {guard.name} | `{guard.place()}` | `{guard.test.removeprefix('tests/')}` |" for guard in GUARDS]
    return "\n".join(
        ["| guard | in `bpcli/` | the test in `tests/` that fails without it |", "| --- | --- | --- |", *rows]
    )


def main(words: Sequence[str]) -> int:
    """Reports each mutant as soon as it is known; returns how many survived."""
    if "--list" in words:
        print(table())
        return 0
    code, line = with_all_guards_in()
    print(f"with all guards in: {line}", flush=True)
    if code:
        return 1
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    killed = 0
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
        for guard, (is_dead, line) in zip(chosen, pool.map(is_killed, chosen), strict=True):
            killed += is_dead
            print(f"{'killed' if is_dead else 'SURVIVED'}: {guard.name}: {line}", flush=True)
    print(f"{len(chosen)} mutants: {killed} killed, {len(chosen) - killed} survived")
    return len(chosen) - killed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
