"""The list of guards is up to date; in the long run, each mutant is killed by the test that the list names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import guards
import pytest
from guard import ROOT, Guard


def named_tests(guard: Guard) -> list[str]:
    """The tests that the guard names: by name, by a word in the name, or all tests of a file."""
    path, _, name = guard.arguments()[0].partition("::")
    names = re.findall(r"^ *def (test_\w+)\(", Path(ROOT, path).read_text(encoding="utf-8"), re.M)
    if name:
        return [found for found in names if found == name.rpartition("::")[2].partition("[")[0]]
    return [found for found in names if guard.arguments()[-1] in found or "-k" not in guard.arguments()]


@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.name)
def test_a_guard_is_found_once_and_its_test_exists(guard: Guard) -> None:
    assert guard.occurrences() == 1, f"name the function that is meant: {guard.path}::FUNCTION"
    assert named_tests(guard)


@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.name)
def test_a_mutant_is_another_program_that_can_be_compiled(guard: Guard) -> None:
    before = Path(ROOT, "bpcli", guard.path).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(guard.without())) != ast.dump(ast.parse(before))


def test_no_guard_is_listed_twice() -> None:
    assert len({guard.name for guard in guards.GUARDS}) == len(guards.GUARDS)
    assert len({(guard.file, guard.old, guard.new) for guard in guards.GUARDS}) == len(guards.GUARDS)


SOURCE = """
def save(file):
        if file:
            flush(
                file,
            )
        close(file)

def load(file):
    close(file)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "bpcli").mkdir()
    (tmp_path / "bpcli" / "files.py").write_text(SOURCE)
    return tmp_path


def test_white_space_and_line_breaks_of_an_entry_do_not_matter(package: Path) -> None:
    guard = Guard("", "files.py", "flush(file,)\nclose(file)", "close(file)", "")
    assert guard.occurrences(package) == 1
    assert guard.without(package) == SOURCE.replace("flush(\n                file,\n            )", "")


def test_code_that_occurs_twice_is_identified_by_its_function(package: Path) -> None:
    assert Guard("", "files.py", "close(file)", "pass", "").occurrences(package) == 2
    guard = Guard("", "files.py::load", "close(file)", "pass", "")
    assert guard.occurrences(package) == 1
    assert guard.place(package) == "files.py::load"
    assert guard.without(package) == "pass".join(SOURCE.rsplit("close(file)", 1))
    assert Guard("", "files.py::gone", "close(file)", "pass", "").occurrences(package) == 0


def test_lines_of_a_replacement_are_indented_as_its_place_is(package: Path) -> None:
    guard = Guard("", "files.py", "if file:", "try:\n    pass\nfinally:", "")
    assert guard.without(package) == SOURCE.replace("if file:", "try:\n            pass\n        finally:")


def test_the_command_lists_every_guard(capsys: pytest.CaptureFixture[str]) -> None:
    assert guards.main(["--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert len(listed) == 2 + len(guards.GUARDS)
    assert "| fsync of the file | `runs/held.py::_replace` |" in listed[2]


@pytest.mark.faults
def test_the_tests_of_the_guards_pass_while_they_are_in() -> None:
    code, line = guards.with_all_guards_in()
    assert code == 0, line


@pytest.mark.faults
@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.name)
def test_a_mutant_is_killed(guard: Guard) -> None:
    killed, line = guards.is_killed(guard)
    assert killed, line
