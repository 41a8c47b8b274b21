"""Range checks on the hyperparameters of a part, written once, where the field is declared.

    momentum: Annotated[float, Between(0, 1)] = 0.9

A library user gets a ValueError from `check_fields`; the config schema reads the same annotations to report the key.
"""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import Any, Protocol, TypeAlias, get_args, get_origin, get_type_hints

Number: TypeAlias = int | float


class Constraint(Protocol):
    """A condition on one value. `text` completes the sentence "must be ..."."""

    @property
    def text(self) -> str: ...

    def holds(self, value: Any) -> bool: ...


@dataclasses.dataclass(frozen=True)
class AtLeast:
    """value >= low, and finite."""

    low: Number

    @property
    def text(self) -> str:
        return f"at least {self.low}"

    def holds(self, value: Any) -> bool:
        return math.isfinite(value) and bool(value >= self.low)


@dataclasses.dataclass(frozen=True)
class MoreThan:
    """value > low, and finite."""

    low: Number

    @property
    def text(self) -> str:
        return f"more than {self.low}"

    def holds(self, value: Any) -> bool:
        return math.isfinite(value) and bool(value > self.low)


@dataclasses.dataclass(frozen=True)
class Between:
    """low <= value <= high; with end=False, value < high."""

    low: Number
    high: Number
    end: bool = True

    @property
    def text(self) -> str:
        return f"from {self.low} to {self.high}" if self.end else f"at least {self.low} and below {self.high}"

    def holds(self, value: Any) -> bool:
        return bool(self.low <= value <= self.high and (self.end or value < self.high))


@dataclasses.dataclass(frozen=True)
class Finite:
    """Neither NaN nor infinite."""

    text: str = "a finite number"

    def holds(self, value: Any) -> bool:
        return math.isfinite(value)


def check(constraint: Constraint, value: Any) -> None:
    """Raises ValueError "must be ..., got ..." unless the constraint holds; in a pair, for each number.

    None means "not given" and passes, as does a word such as "same".
    """
    if isinstance(value, tuple):
        for item in value:
            check(constraint, item)
        return
    if value is None or isinstance(value, str) or constraint.holds(value):
        return
    if not math.isfinite(value):
        raise ValueError(f"must be a finite number, got {value!r}")
    plain = int(value) if float(value).is_integer() and abs(value) < 1e15 else value  # -1, not -1.0
    raise ValueError(f"must be {constraint.text}, got {plain!r}")


def constraints(annotation: Any) -> tuple[Constraint, ...]:
    """The constraints in an annotation such as Annotated[int, AtLeast(1)] | None."""
    if hasattr(annotation, "__metadata__"):
        found = tuple(item for item in annotation.__metadata__ if hasattr(item, "holds"))
        return found + constraints(annotation.__origin__)
    if get_origin(annotation) is None:
        return ()
    return tuple(item for argument in get_args(annotation) for item in constraints(argument))


def check_fields(part: Any) -> None:
    """Checks every field of a dataclass instance against its annotation.

    Raises:
        ValueError: names each field that fails, one line each.
    """
    cls: type = type(part)
    problems = []
    for name, constraint in _constraints_of(cls):
        try:
            check(constraint, getattr(part, name))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ValueError("\n".join(problems))


@cache
def _constraints_of(cls: type) -> tuple[tuple[str, Constraint], ...]:
    """(field, constraint) of a dataclass, in the order of its fields."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple((field.name, found) for field in dataclasses.fields(cls) for found in constraints(hints[field.name]))
