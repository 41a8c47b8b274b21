"""Takes each guard out of a copy of the package, once, and demands that a test fails: `python tests/faults/guards.py`.

A guard that no test misses is not guarded. A new guard gets an entry in the module of its topic. Words after it choose
guards whose name holds one of them; `--list` only prints the table.
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
    """A copy of all that the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def run_tests(folder: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """pytest's exit code on the copy, and the line that says which test failed, or else the last one."""
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


def is_missed(guard: Guard) -> tuple[bool, str]:
    """Whether its test fails without the guard, and pytest's last line."""
    if guard.occurrences() != 1:
        return False, f"the text stands {guard.occurrences()} times in {guard.file}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_to(folder)
        guard.take_out(folder)
        code, line = run_tests(folder, guard.arguments())
    return code == 1, line  # 1: tests failed; anything else is no answer


def with_all_guards_in() -> tuple[int, str]:
    """The same tests on a copy that nothing was taken out of: they have to pass. pytest's code and its telling line."""
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
    """The list of guards as tests/README.md has it."""
    rows = [f"| {guard.name} | `{guard.file}` | `{guard.test.removeprefix('tests/')}` |" for guard in GUARDS]
    return "\n".join(
        ["| guard | in `bpcli/` | the test in `tests/` that fails without it |", "| --- | --- | --- |", *rows]
    )


def main(words: Sequence[str]) -> int:
    """Tells of each guard as soon as it is known; gives the number of guards that nothing misses."""
    if "--list" in words:
        print(table())
        return 0
    code, line = with_all_guards_in()
    print(f"with all guards in: {line}", flush=True)
    if code:
        return 1
    chosen = [guard for guard in GUARDS if not words or any(word in guard.name for word in words)]
    found = 0
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2)) as pool:
        for guard, (missed, line) in zip(chosen, pool.map(is_missed, chosen), strict=True):
            found += missed
            print(f"{'missed' if missed else 'NOT MISSED'}: {guard.name}: {line}", flush=True)
    print(f"{found} of {len(chosen)} guards were missed by their test")
    return len(chosen) - found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
