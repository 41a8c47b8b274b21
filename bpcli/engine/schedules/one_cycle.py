"""One cycle: the rate rises to the optimizer's learning rate, then falls far below where it began."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from bpcli.engine.clock import Unit, time_of
from bpcli.engine.fields import Between, MoreThan, check_fields
from bpcli.engine.protocols import Moment
from bpcli.engine.registry import schedules


@schedules.register("one_cycle", elsewhere="1cycle cyclic_lr one_cycle_lr")
@dataclass(frozen=True, kw_only=True)
class OneCycle:
    """Half a cosine wave up from 1 / div_factor to 1, then one down to 1 / (div_factor * final_div_factor).

    warmup_share: the rise's part of the whole training. The peak is the optimizer's learning rate, so set it higher
    than without this schedule (Smith & Topin 2018, "Super-convergence"). This is PyTorch's OneCycleLR in its default
    form, two cosine phases, but for the momentum, which is left as it is; fastai's rise takes a quarter. Counted by
    iteration unless told otherwise, as there.
    """

    warmup_share: Annotated[float, Between(0, 1)] = 0.3
    div_factor: Annotated[float, MoreThan(0)] = 25.0
    final_div_factor: Annotated[float, MoreThan(0)] = 1e4
    by: Unit = "iteration"

    def __post_init__(self) -> None:
        check_fields(self)

    def factor(self, moment: Moment, memory: dict[str, float]) -> float:
        time = time_of(moment, by=self.by)
        start, last = 1.0 / self.div_factor, time.length - 1
        now, peak = min(time.now, last), self.warmup_share * time.length - 1.0
        if now < peak:
            return _between(start, 1.0, now / peak)
        return _between(1.0, start / self.final_div_factor, (now - peak) / (last - peak)) if now > peak else 1.0


def _between(first: float, last: float, share: float) -> float:
    """From first, at share 0, to last, at share 1, along half a cosine wave."""
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * share))
