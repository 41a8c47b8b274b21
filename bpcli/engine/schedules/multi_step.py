"""Multi-step: the rate falls by a constant factor at the times of a list."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from bpcli.engine.clock import Unit, time_of
from bpcli.engine.fields import AtLeast, Between, check_fields
from bpcli.engine.protocols import Moment
from bpcli.engine.registry import schedules


@schedules.register("multi_step", elsewhere="milestones multi_step_lr piecewise_constant piecewise_constant_decay")
@dataclass(frozen=True, kw_only=True)
class MultiStep:
    """gamma^(how many numbers of `at` are <= t), t in whole epochs or iterations, as `by` says, since the warm-up.

    PyTorch's MultiStepLR: `at: [30, 60]` has the first lower rate in the 31st epoch. warmup: so many of the same units
    of linear rise come before.
    """

    at: tuple[int, ...] = (30, 60, 90)
    gamma: Annotated[float, Between(0, 1)] = 0.1
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.at or min(self.at) < 1 or any(low >= high for low, high in pairwise(self.at)):
            raise ValueError(f"at: must be rising numbers from 1 up, for example [30, 60], got {list(self.at)}")

    def factor(self, moment: Moment, memory: dict[str, float]) -> float:
        time = time_of(moment, by=self.by, warmup=self.warmup)
        return time.rise * math.pow(self.gamma, bisect_right(self.at, time.now))
