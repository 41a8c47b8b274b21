"""Polynomial: the rate falls to its end value as a power of the time that is left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from bpcli.engine.clock import Unit, time_of
from bpcli.engine.fields import AtLeast, MoreThan, check_fields
from bpcli.engine.protocols import Moment
from bpcli.engine.registry import schedules


@schedules.register("polynomial", elsewhere="linear linear_lr poly polynomial_decay polynomial_lr")
@dataclass(frozen=True, kw_only=True)
class Polynomial:
    """end + (1 - end) (1 - t / T)^power, t in whole epochs or iterations, as `by` says, since the warm-up; then `end`.

    T: `duration` of the same units, or what training has after the warm-up. power 1 is a straight line. PyTorch's
    PolynomialLR, which has no end but 0. An end above 1 makes the rate rise, as in a test of which rates will do.
    warmup: so many of the same units of linear rise come before.
    """

    power: Annotated[float, MoreThan(0)] = 1.0
    end: Annotated[float, AtLeast(0)] = 0.0
    duration: Annotated[int, AtLeast(1)] | None = None
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def factor(self, moment: Moment, memory: dict[str, float]) -> float:
        time = time_of(moment, by=self.by, warmup=self.warmup)
        left = max(1.0 - time.now / (self.duration or time.length), 0.0)
        return time.rise * (self.end + (1.0 - self.end) * math.pow(left, self.power))
