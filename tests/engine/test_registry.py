"""What `part_of` makes of a class: a frozen, comparable, checked dataclass that its registry finds."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import pytest

from bpcli.engine.fields import Between, MoreThan
from bpcli.engine.registry import Registry, optimizers, part_of

METHODS: Registry[Any] = Registry("method", "bpcli.engine.initializers")  # a file in which no method stands


@part_of(METHODS, "heavy_ball", "ball", elsewhere="polyak")
class HeavyBall:
    """Has a check of its own beside those of its fields."""

    learning_rate: Annotated[float, MoreThan(0)]
    momentum: Annotated[float, Between(0, 1)] = 0.9

    def __post_init__(self) -> None:
        if self.momentum > self.learning_rate * 10:
            raise ValueError("momentum: must be at most 10 times the learning rate")


def test_a_part_is_found_by_its_name_and_its_aliases() -> None:
    assert METHODS.get("heavy_ball") is METHODS.get("ball") is HeavyBall
    assert METHODS.name_of(HeavyBall(learning_rate=1.0)) == "heavy_ball"
    assert METHODS.aliases() == {"ball": "heavy_ball"}


@pytest.mark.parametrize("name", ["heavy_ball", "ball"])
def test_a_name_can_be_taken_only_once(name: str) -> None:
    with pytest.raises(ValueError, match=f"two parts register as method '{name}'"):
        part_of(METHODS, name)(type("Other", (), {}))


def test_every_field_out_of_range_is_reported() -> None:
    with pytest.raises(ValueError, match=r"learning_rate: must be more than 0, got 0\nmomentum: must be from 0 to 1"):
        HeavyBall(learning_rate=0.0, momentum=2.0)


def test_a_parts_own_check_comes_after_those_of_its_fields() -> None:
    with pytest.raises(ValueError, match="momentum: must be at most 10 times the learning rate"):
        HeavyBall(learning_rate=0.01, momentum=0.5)


def test_a_part_is_frozen_and_takes_only_keyword_arguments() -> None:
    part = HeavyBall(learning_rate=1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        part.momentum = 0.5  # type: ignore[misc]
    with pytest.raises(TypeError):
        HeavyBall(1.0)  # type: ignore[misc]


def test_parts_with_equal_fields_are_equal() -> None:
    part = HeavyBall(learning_rate=1.0)
    assert part == HeavyBall(learning_rate=1.0)
    assert hash(part) == hash(HeavyBall(learning_rate=1.0))
    assert part != dataclasses.replace(part, momentum=0.5)
    assert optimizers.get("adam")() != optimizers.get("adamw")(weight_decay=0.0)


def test_a_part_is_shown_as_it_is_written() -> None:
    assert repr(HeavyBall(learning_rate=1.0)) == "HeavyBall(learning_rate=1.0, momentum=0.9)"
