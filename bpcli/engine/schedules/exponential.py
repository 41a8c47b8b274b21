"""Exponential: the rate falls by a constant factor all the time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from bpcli.engine.clock import Unit, time_of
from bpcli.engine.fields import AtLeast, Between, check_fields
from bpcli.engine.protocols import Moment
from bpcli.engine.registry import schedules


@schedules.register("exponential", elsewhere="exponential_decay exponential_lr")
@dataclass(frozen=True, kw_only=True)
class Exponential:
    """gamma^t, t in whole epochs or iterations, as `by` says, since the warm-up.

    PyTorch's ExponentialLR. warmup: so many of the same units of linear rise come before.
    """

    gamma: Annotated[float, Between(0, 1)]
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def factor(self, moment: Moment, memory: dict[str, float]) -> float:
        time = time_of(moment, by=self.by, warmup=self.warmup)
        return time.rise * math.pow(self.gamma, time.now)
