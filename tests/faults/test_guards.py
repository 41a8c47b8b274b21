"""The list of guards is up to date; and, in the long run, each of them is missed by a test when it is taken out."""

from __future__ import annotations

import re
from pathlib import Path

import guards
import pytest
from guard import ROOT, Guard


def named_tests(guard: Guard) -> list[str]:
    """The tests that the guard names by their name, or by a word of it; of a file alone all of its tests."""
    path, _, name = guard.arguments()[0].partition("::")
    names = re.findall(r"^def (test_\w+)\(", Path(ROOT, path).read_text(encoding="utf-8"), re.M)
    if name:
        return [found for found in names if found == name.partition("[")[0]]
    return [found for found in names if guard.arguments()[-1] in found or "-k" not in guard.arguments()]


@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.name)
def test_a_guard_stands_where_the_list_says_and_its_test_exists(guard: Guard) -> None:
    assert guard.occurrences() == 1
    assert named_tests(guard)


def test_no_guard_is_listed_twice() -> None:
    assert len({guard.name for guard in guards.GUARDS}) == len(guards.GUARDS)
    assert len({(guard.file, guard.old, guard.new) for guard in guards.GUARDS}) == len(guards.GUARDS)


def test_the_readme_has_the_list() -> None:
    """After a change of the list: `python tests/faults/guards.py --list`, put between the two marks."""
    readme = Path(ROOT, "tests", "README.md").read_text(encoding="utf-8")
    assert readme.split("<!-- guards -->\n")[1].split("\n<!-- /guards -->")[0] == guards.table()


@pytest.mark.faults
def test_the_tests_of_the_guards_pass_while_they_are_in() -> None:
    code, line = guards.with_all_guards_in()
    assert code == 0, line


@pytest.mark.faults
@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.name)
def test_a_guard_is_missed_when_it_is_taken_out(guard: Guard) -> None:
    missed, line = guards.is_missed(guard)
    assert missed, line
