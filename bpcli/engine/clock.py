"""The clock that the schedules read: what time it is in training, in epochs or iterations, and how far warm-up is."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from bpcli.engine.protocols import Moment

Unit: TypeAlias = Literal["epoch", "iteration"]


class Time(NamedTuple):
    """A moment in one unit, counted from the end of the warm-up.

    rise: what warm-up multiplies the schedule's factor by, 1 after it. now: whole units since warm-up, 0 during it.
    length: units from the end of warm-up to the end of training, at least 1.
    """

    rise: float
    now: int
    length: int


def time_of(moment: Moment, *, by: Unit, warmup: int = 0) -> Time:
    """The moment in epochs or iterations.

    Warm-up takes equal steps up, 1/(warmup + 1), 2/(warmup + 1), ..., and reaches 1 where the schedule proper begins
    (Goyal et al. 2017, section 2.2). So no unit is lost at a rate of 0, as where others count from 0.
    """
    now, length = moment.epoch, moment.epochs
    if by == "iteration":
        now, length = moment.step, moment.epochs * moment.iterations_per_epoch
    rise = (now + 1) / (warmup + 1) if now < warmup else 1.0
    return Time(rise, max(now - warmup, 0), max(length - warmup, 1))
