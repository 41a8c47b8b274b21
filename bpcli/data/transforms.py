"""What a network gets of a column: transforms fitted on the training part, each a few lines of arithmetic.

A transform takes a matrix (N, k) of float64, NaN where a value is missing, and gives another. It holds all that it
needs as plain numbers, so that it can be stored as JSON and written in another language. A chain of them makes the
inputs of a column, see `bpcli.data.encoding`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from bpcli.data.kinds import DatePart
from bpcli.data.scaling import smooth_clip
from bpcli.engine.registry import Registry, part_of

Floats = npt.NDArray[np.float64]

_ROUND: dict[
    str, tuple[float, float]
] = {  # of the parts that come round again: the first value, and how many there are
    "month": (1.0, 12.0),
    "day": (1.0, 31.0),
    "weekday": (0.0, 7.0),
    "yearday": (1.0, 365.25),
    "hour": (0.0, 24.0),
}


class Transform(Protocol):
    """A fitted step from a column's values to a network's inputs."""

    def apply(self, x: Floats) -> Floats:
        """(N, k) -> (N, m), a new array; N may be 0."""
        ...

    def names(self, names: list[str], categories: tuple[str, ...]) -> list[str]:
        """The names of the m inputs, from those of the k values."""
        ...


class SameNames:
    """Of a transform whose inputs are called as what they are made of."""

    def names(self, names: list[str], categories: tuple[str, ...]) -> list[str]:
        """See `Transform`."""
        return names


transforms: Registry[Transform] = Registry("transform", "bpcli.data.transforms")


@part_of(transforms, "fill")
class Fill(SameNames):
    """value in place of a missing one."""

    value: float

    def apply(self, x: Floats) -> Floats:
        """See `Transform`."""
        return np.where(np.isnan(x), self.value, x)


@part_of(transforms, "indicator")
class Indicator:
    """1 where the value is missing, 0 elsewhere."""

    def apply(self, x: Floats) -> Floats:
        """See `Transform`."""
        return np.isnan(x).astype(np.float64)

    def names(self, names: list[str], categories: tuple[str, ...]) -> list[str]:
        """See `Transform`."""
        return [f"{name} is missing" for name in names]


@part_of(transforms, "one_hot")
class OneHot:
    """Of the place of a category among `count`: 1 there, 0 elsewhere; all 0 where it is missing or unknown (-1)."""

    count: int

    def apply(self, x: Floats) -> Floats:
        """See `Transform`."""
        return np.asarray(x == np.arange(self.count), np.float64)

    def names(self, names: list[str], categories: tuple[str, ...]) -> list[str]:
        """See `Transform`."""
        return [f"{name}={category}" for name in names for category in categories]


@part_of(transforms, "two_valued")
class TwoValued:
    """-1 for 0, 1 for 1; 0 for a value that is missing or unknown."""

    def apply(self, x: Floats) -> Floats:
        """See `Transform`."""
        return np.where(x == 1, 1.0, np.where(x == 0, -1.0, 0.0))

    def names(self, names: list[str], categories: tuple[str, ...]) -> list[str]:
        """See `Transform`."""
        return [f"{name}={categories[1]}" for name in names] if categories else names


@part_of(transforms, "date_part")
class PartOfDate:
    """A part of a date, given in days since 1970-01-01; of one that comes round again sine and cosine of its angle."""

    part: DatePart

    @property
    def comes_round(self) -> bool:
        """Whether it is an angle and not an amount."""
        return self.part in _ROUND

    def apply(self, x: Floats) -> Floats:
        """See `Transform`."""
        value = _part_of(x, self.part)
        if not self.comes_round:
            return value
        first, count = _ROUND[self.part]
        angle = 2.0 * np.pi / count * (value - first)
        return np.hstack([np.sin(angle), np.cos(angle)])

    def names(self, names: list[str], categories: tuple[str, ...]) -> list[str]:
        """See `Transform`."""
        if not self.comes_round:
            return [f"{name} {self.part}" for name in names]
        return [f"{name} {self.part} {function}" for name in names for function in ("sine", "cosine")]


@part_of(transforms, "scale")
class Scale(SameNames):
    """factor (x - shift)."""

    shift: tuple[float, ...]
    factor: tuple[float, ...]

    def apply(self, x: Floats) -> Floats:
        """See `Transform`."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray((x - np.array(self.shift)) * np.array(self.factor))


@part_of(transforms, "smooth_clip")
class SmoothClip(SameNames):
    """x / sqrt(1 + (x / 3)^2): nearly x where |x| is small, never beyond 3 (see `bpcli.data.scaling`)."""

    def apply(self, x: Floats) -> Floats:
        """See `Transform`."""
        return smooth_clip(x)


def _part_of(days: Floats, part: DatePart) -> Floats:
    """A part of dates in days since 1970-01-01, float64; NaN where there is no date."""
    if part == "elapsed":
        return days
    gaps = np.isnan(days)
    whole = np.floor(np.where(gaps, 0.0, days))
    date = whole.astype("datetime64[D]")
    year, month = date.astype("datetime64[Y]"), date.astype("datetime64[M]")
    values: dict[str, Callable[[], Any]] = {
        "year": lambda: year.astype(np.int64) + 1970,
        "month": lambda: month.astype(np.int64) % 12 + 1,
        "day": lambda: (date - month.astype("datetime64[D]")).astype(np.int64) + 1,
        "weekday": lambda: (whole + 3.0) % 7.0,  # 1970-01-01 was a Thursday; Monday is 0
        "yearday": lambda: (date - year.astype("datetime64[D]")).astype(np.int64) + 1,
        "hour": lambda: (np.where(gaps, 0.0, days) - whole) * 24.0,
    }
    return np.where(gaps, np.nan, np.asarray(values[part](), np.float64))
