"""The list of guards is up to date; and, in the long run, each of them is missed by a test when it is taken out."""

from __future__ import annotations

from pathlib import Path

import guards
import pytest


@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.name)
def test_a_guard_stands_where_the_list_says_and_its_test_exists(guard: guards.Guard) -> None:
    path, _, name = guard.test.partition("::")
    assert guard.occurrences() == 1
    assert f"def {name.partition('[')[0]}(" in Path(guards.ROOT, path).read_text(encoding="utf-8")


@pytest.mark.faults
def test_the_tests_of_the_guards_pass_while_they_are_in() -> None:
    code, line = guards.with_all_guards_in()
    assert code == 0, line


@pytest.mark.faults
@pytest.mark.parametrize("guard", guards.GUARDS, ids=lambda guard: guard.name)
def test_a_guard_is_missed_when_it_is_taken_out(guard: guards.Guard) -> None:
    missed, line = guards.is_missed(guard)
    assert missed, line
