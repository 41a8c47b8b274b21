"""Fields of a part that take values of several kinds, such as a number or a pair: one message for a wrong value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import ValidationError

from bpcli.config.part_models import build, plain
from bpcli.engine.fields import AtLeast, check_fields


@dataclass(frozen=True, kw_only=True)
class Example:
    size: Annotated[int | tuple[int, int], AtLeast(1)]
    stride: Annotated[int | tuple[int, int] | None, AtLeast(1)] = None
    padding: Annotated[int | tuple[int, int] | Literal["valid", "same"], AtLeast(0)] = "valid"
    rate: float | bool = 0.5

    def __post_init__(self) -> None:
        check_fields(self)


def messages(**fields: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        build(Example, fields)
    return [f"{error['loc'][0]}: {error['msg']}" for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"size": 3}, Example(size=3)),
        ({"size": [3, 2]}, Example(size=(3, 2))),
        ({"size": 1, "stride": None, "padding": "same"}, Example(size=1, padding="same")),
        ({"size": 1, "stride": [1, 2], "padding": [0, 1]}, Example(size=1, stride=(1, 2), padding=(0, 1))),
    ],
)
def test_each_kind_of_value_is_taken_and_a_list_becomes_a_tuple(fields: dict[str, Any], expected: Example) -> None:
    got = build(Example, fields)
    assert got == expected
    assert build(Example, plain(got)) == got


@pytest.mark.parametrize("value", [[3], [1, 2, 3], [1.5, 2], ["a", 1], [], 1.5, "three", True, None, {"a": 1}])
def test_a_value_of_the_wrong_type_gives_one_message_with_every_accepted_form(value: Any) -> None:
    (message,) = messages(size=value)
    assert message.startswith("size: expected an integer or a list of 2 integers, got ")


def test_the_message_lists_the_accepted_words() -> None:
    (message,) = messages(size=1, padding="full")
    assert message == 'padding: expected an integer, a list of 2 integers, valid or same, got "full"'


def test_the_message_for_a_quoted_number_says_to_remove_the_quotes() -> None:
    (message,) = messages(size="3")
    assert message.endswith('got "3" (write 3 without quotes)')


@pytest.mark.parametrize("value", [0, [0, 1], [1, 0], [0, 0]])
def test_a_number_out_of_range_gives_one_message_alone_or_in_a_pair(value: Any) -> None:
    assert messages(size=value) == ["size: must be at least 1, got 0"]


@pytest.mark.parametrize("value", [0, (0, 1), (1, 0)])
def test_a_library_user_gets_the_same_range_check(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^size: must be at least 1, got 0$"):
        Example(size=value)
