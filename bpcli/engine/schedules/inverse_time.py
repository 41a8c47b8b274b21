"""Inverse time: the rate falls like 1 / t."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from bpcli.engine.clock import Unit, time_of
from bpcli.engine.fields import AtLeast, check_fields
from bpcli.engine.protocols import Moment
from bpcli.engine.registry import schedules


@schedules.register("inverse_time", elsewhere="inverse_time_decay invscaling time_decay")
@dataclass(frozen=True, kw_only=True)
class InverseTime:
    """1 / (1 + decay * t), t in whole epochs or iterations, as `by` says, since the warm-up.

    The rates of Robbins & Monro 1951, for which stochastic descent comes to rest. By iteration it is the lr_decay of
    PyTorch's Adagrad and the decay of old Keras. warmup: so many of the same units of linear rise come before.
    """

    decay: Annotated[float, AtLeast(0)]
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def factor(self, moment: Moment, memory: dict[str, float]) -> float:
        time = time_of(moment, by=self.by, warmup=self.warmup)
        return time.rise / (1.0 + self.decay * time.now)
