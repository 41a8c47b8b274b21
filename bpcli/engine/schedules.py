"""Learning-rate schedules: the factor on the optimizer's learning rate over the course of training."""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple, TypeAlias

from bpcli.engine.fields import AtLeast, Between, MoreThan
from bpcli.engine.protocols import Progress
from bpcli.engine.registry import part_of, schedules

Unit: TypeAlias = Literal["epoch", "iteration"]


class Time(NamedTuple):
    """A point in training in one unit, counted from the end of the warm-up.

    rise: warm-up's factor on the schedule's factor; 1 after warm-up. now: whole units since warm-up, 0 during it.
    length: units from the end of warm-up to the end of training, at least 1.
    """

    rise: float
    now: int
    length: int


def time_of(progress: Progress, *, by: Unit, warmup: int = 0) -> Time:
    """The point in training that has been reached, in epochs or iterations.

    Warm-up rises in equal steps, 1/(warmup + 1), 2/(warmup + 1), ..., and reaches 1 where the schedule proper begins
    (Goyal et al. 2017, section 2.2). So no unit is spent at a rate of 0, as in implementations that count from 0.
    """
    now, length = progress.epoch, progress.epochs
    if by == "iteration":
        now, length = progress.step, progress.epochs * progress.iterations_per_epoch
    rise = (now + 1) / (warmup + 1) if now < warmup else 1.0
    return Time(rise, max(now - warmup, 0), max(length - warmup, 1))


@part_of(schedules, "step", elsewhere="step_decay step_lr")
class StepDecay:
    """gamma^floor(t / every), t in whole epochs or iterations (see `by`) since the warm-up.

    The same as PyTorch's StepLR. warmup: length of a linear rise before that, in the same units.
    """

    every: Annotated[int, AtLeast(1)]
    gamma: Annotated[float, Between(0, 1)] = 0.1
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        time = time_of(progress, by=self.by, warmup=self.warmup)
        return time.rise * math.pow(self.gamma, time.now // self.every)


@part_of(schedules, "multi_step", elsewhere="milestones multi_step_lr piecewise_constant piecewise_constant_decay")
class MultiStep:
    """gamma^(how many numbers of `at` are <= t), t in whole epochs or iterations (see `by`) since the warm-up.

    The same as PyTorch's MultiStepLR: with `at: [30, 60]` the rate first falls in the 31st epoch. warmup: length of a
    linear rise before that, in the same units.
    """

    at: tuple[int, ...] = (30, 60, 90)
    gamma: Annotated[float, Between(0, 1)] = 0.1
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def __post_init__(self) -> None:
        if not self.at or min(self.at) < 1 or any(low >= high for low, high in pairwise(self.at)):
            raise ValueError(f"at: must be increasing numbers of at least 1, for example [30, 60], got {list(self.at)}")

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        time = time_of(progress, by=self.by, warmup=self.warmup)
        return time.rise * math.pow(self.gamma, bisect_right(self.at, time.now))


@part_of(schedules, "exponential", elsewhere="exp exponential_decay exponential_lr")
class Exponential:
    """gamma^t, t in whole epochs or iterations (see `by`) since the warm-up.

    The same as PyTorch's ExponentialLR. warmup: length of a linear rise before that, in the same units.
    """

    gamma: Annotated[float, Between(0, 1)]
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        time = time_of(progress, by=self.by, warmup=self.warmup)
        return time.rise * math.pow(self.gamma, time.now)


@part_of(schedules, "inverse_time", elsewhere="inverse_time_decay invscaling time_decay")
class InverseTime:
    """1 / (1 + decay * t), t in whole epochs or iterations (see `by`) since the warm-up.

    The rates of Robbins & Monro 1951, with which stochastic descent converges. By iteration it is the lr_decay of
    PyTorch's Adagrad and the decay of old Keras. warmup: length of a linear rise before that, in the same units.
    """

    decay: Annotated[float, AtLeast(0)]
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        time = time_of(progress, by=self.by, warmup=self.warmup)
        return time.rise / (1.0 + self.decay * time.now)


@part_of(schedules, "polynomial", elsewhere="linear linear_lr poly polynomial_decay polynomial_lr")
class Polynomial:
    """end + (1 - end) (1 - t / T)^power, t in whole epochs or iterations (see `by`) since the warm-up; then `end`.

    T: `duration` in the same units, by default the rest of training after the warm-up. power 1 is a straight line.
    PyTorch's PolynomialLR has end 0 only. An end above 1 makes the rate rise, as in a learning-rate range test. warmup:
    length of a linear rise before that, in the same units.
    """

    power: Annotated[float, MoreThan(0)] = 1.0
    end: Annotated[float, AtLeast(0)] = 0.0
    duration: Annotated[int, AtLeast(1)] | None = None
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        time = time_of(progress, by=self.by, warmup=self.warmup)
        left = max(1.0 - time.now / (self.duration or time.length), 0.0)
        return time.rise * (self.end + (1.0 - self.end) * math.pow(left, self.power))


@part_of(schedules, "cosine", elsewhere="cosine_annealing cosine_annealing_lr cosine_decay")
class Cosine:
    """end + (1 - end) (1 + cos(pi t / T)) / 2, t in whole epochs or iterations (see `by`) since the warm-up.

    T is the rest of training after the warm-up; the factor would reach `end` in the epoch after the last. With `period`
    the factor restarts at 1 after so many units, and each period is `multiplier` times as long as the one before (SGDR,
    Loshchilov & Hutter 2017, eq. 5); without `period` there are no restarts. The same as PyTorch's CosineAnnealingLR
    and CosineAnnealingWarmRestarts, except that their eta_min is a rate, while `end` is a factor like Keras's alpha.
    warmup: length of a linear rise before that, in the same units, not repeated at a restart.
    """

    end: Annotated[float, AtLeast(0)] = 0.0
    period: Annotated[int, AtLeast(1)] | None = None
    multiplier: Annotated[int, AtLeast(1)] = 1
    by: Unit = "epoch"
    warmup: Annotated[int, AtLeast(0)] = 0

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        time = time_of(progress, by=self.by, warmup=self.warmup)
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


@part_of(schedules, "one_cycle", elsewhere="1cycle cyclic_lr one_cycle_lr")
class OneCycle:
    """Half a cosine wave up from 1 / div_factor to 1, then one down to 1 / (div_factor * final_div_factor).

    warmup_share: the fraction of training spent on the rise. The peak is the optimizer's learning rate, so set it
    higher than without this schedule (Smith & Topin 2018, "Super-convergence"). This is PyTorch's OneCycleLR in its
    default form, two cosine phases, except that the momentum stays constant. fastai's rise takes a quarter. Counted by
    iteration by default, as in PyTorch.
    """

    warmup_share: Annotated[float, Between(0, 1)] = 0.3
    div_factor: Annotated[float, MoreThan(0)] = 25.0
    final_div_factor: Annotated[float, MoreThan(0)] = 1e4
    by: Unit = "iteration"

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        time = time_of(progress, by=self.by)
        start, last = 1.0 / self.div_factor, time.length - 1
        now, peak = min(time.now, last), self.warmup_share * time.length - 1.0
        if now < peak:
            return _between(start, 1.0, now / peak)
        return _between(1.0, start / self.final_div_factor, (now - peak) / (last - peak)) if now > peak else 1.0


def _between(first: float, last: float, share: float) -> float:
    """From first, at share 0, to last, at share 1, along half a cosine wave."""
    return last + (first - last) * 0.5 * (1.0 + math.cos(math.pi * share))


@part_of(schedules, "coslog", elsewhere="coslog4")
class Coslog:
    """(1 - cos(2 pi log2(1 + (2^cycles - 1) t))) / 2, t from 0 to 1 over training, in cycles of doubling length.

    In each cycle the factor rises from 0 to 1 and falls back to 0; the last cycle takes about half of the training.
    Holzmueller et al. 2024 (RealMLP, section 3), whose coslog4 has 4 cycles. t is the share of training that is over,
    in whole iterations or epochs (see `by`), so that the first of them has the rate 0, as there.
    """

    cycles: Annotated[int, Between(1, 32)] = 4
    by: Unit = "iteration"

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        time = time_of(progress, by=self.by)
        share = min(time.now / time.length, 1.0)
        return 0.5 * (1.0 - math.cos(2.0 * math.pi * math.log2(1.0 + (2**self.cycles - 1) * share)))


@part_of(schedules, "reduce_on_plateau", elsewhere="plateau reduce_lr_on_plateau")
class ReduceOnPlateau:
    """The factor, 1 at first, is multiplied by gamma, not below `floor`, after `patience` epochs without improvement.

    An epoch is an improvement if the monitored value is better than the best so far by more than min_delta, in the
    value's own units. The monitored value is training.early_stopping.monitor, by default val_loss, or train_loss
    without a validation split. After a reduction, `cooldown` epochs do not count. warmup: epochs of linear rise before
    that, which do not count either.

    The same as Keras's ReduceLROnPlateau. patience counts as in early stopping and in Keras; PyTorch waits one epoch
    more, and its threshold is relative by default.
    """

    patience: Annotated[int, AtLeast(1)] = 10
    gamma: Annotated[float, Between(0, 1, end=False)] = 0.1
    min_delta: Annotated[float, AtLeast(0)] = 0.0
    cooldown: Annotated[int, AtLeast(0)] = 0
    floor: Annotated[float, Between(0, 1)] = 0.0
    warmup: Annotated[int, AtLeast(0)] = 0

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        return time_of(progress, by="epoch", warmup=self.warmup).rise * memory.get("factor", 1.0)

    def acts_within(self, epochs: int) -> bool:
        """Whether the factor changes within this many epochs if none improves on the first."""
        return (self.warmup > 0 and epochs > 1) or (self.floor < 1.0 and epochs > self.warmup + 1 + self.patience)

    def after_epoch(self, value: float, memory: dict[str, float]) -> None:
        memory["epochs"] = memory.get("epochs", 0) + 1
        if memory["epochs"] <= self.warmup:
            return
        memory["stalled"] = memory.get("stalled", 0) + 1
        if value < memory.get("best", math.inf) - self.min_delta:
            memory["best"], memory["stalled"] = value, 0
        if memory.get("cooldown", 0) > 0:
            memory["cooldown"] -= 1
            memory["stalled"] = 0
        if memory["stalled"] >= self.patience:
            memory["factor"] = max(memory.get("factor", 1.0) * self.gamma, self.floor)
            memory["cooldown"], memory["stalled"] = self.cooldown, 0
