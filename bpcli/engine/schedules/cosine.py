"""Cosine: the rate falls along half a wave, once or again and again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from bpcli.engine.clock import Unit, time_of
from bpcli.engine.fields import AtLeast, check_fields
from bpcli.engine.protocols import Moment
from bpcli.engine.registry import schedules


@schedules.register("cosine", elsewhere="cosine_annealing cosine_annealing_lr cosine_decay")
@dataclass(frozen=True, kw_only=True)
class Cosine:
    """end + (1 - end) (1 + cos(pi t / T)) / 2, t in whole epochs or iterations, as `by` says, since the warm-up.

    T is what training has after the warm-up; `end` is where the rate would be in the epoch after the last. With
    `period` the rate restarts at 1 after so many units, and each next period is `multiplier` times as long (SGDR,
    Loshchilov & Hutter 2017, eq. 5); without, nothing restarts. PyTorch's CosineAnnealingLR and
    CosineAnnealingWarmRestarts, whose eta_min is a rate where `end` is a share of it, as Keras's alpha is. warmup: so
    many of the same units of linear rise come before, and not again at a restart.
    """

    end: Annotated[float, AtLeast(0)] = 0.0
    period: Annotated[int, AtLeast(1)] | None = None
    multiplier: Annotated[int, AtLeast(1)] = 1
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def factor(self, moment: Moment, memory: dict[str, float]) -> float:
        time = time_of(moment, by=self.by, warmup=self.warmup)
        now, length = min(time.now, time.length), time.length
        if self.period is not None:
            now, length = _since_restart(time.now, self.period, self.multiplier)
        return time.rise * (self.end + (1.0 - self.end) * 0.5 * (1.0 + math.cos(math.pi * now / length)))


def _since_restart(now: int, period: int, multiplier: int) -> tuple[int, int]:
    """(units since the last restart, units from it to the next)."""
    if multiplier == 1:
        return now % period, period
    while now >= period:
        now, period = now - period, period * multiplier
    return now, period
