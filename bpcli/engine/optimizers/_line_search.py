"""A step length along a direction of descent that meets the strong Wolfe conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple


class Trial(NamedTuple):
    """A step length, and the value and slope of phi(alpha) = L(theta + alpha d) there."""

    alpha: float
    value: float
    slope: float


def strong_wolfe(
    phi: Callable[[float], Trial],
    start: Trial,
    first: float,
    *,
    c1: float = 1e-4,
    c2: float = 0.9,
    max_evaluations: int = 25,
) -> Trial | None:
    """phi(alpha) <= phi(0) + c1 alpha phi'(0) and |phi'(alpha)| <= c2 |phi'(0)|: Nocedal & Wright 2006, algorithm 3.5.

    Args:
        start: phi at 0, with a negative slope. first: the first alpha to try; it is doubled until a minimum is passed.
        max_evaluations: the limit on evaluations of phi; when it is reached, the best step with enough decrease is
        taken.

    Returns:
        The step; None if no evaluated step lowers phi, as at a minimum, where rounding hides any decrease.
    """
    found = _Search(phi, start, c1, c2, max_evaluations).step(first)
    return found if found.value < start.value else None


class _Search:
    """The state of one search: the conditions and the number of evaluations left."""

    def __init__(self, phi: Callable[[float], Trial], start: Trial, c1: float, c2: float, left: int) -> None:
        self.phi, self.start, self.c1, self.c2, self.left = phi, start, c1, c2, left

    def at(self, alpha: float) -> Trial:
        self.left -= 1
        return self.phi(alpha)

    def too_high(self, trial: Trial) -> bool:
        """Not enough decrease, or not a number."""
        return not trial.value <= self.start.value + self.c1 * trial.alpha * self.start.slope

    def flat(self, trial: Trial) -> bool:
        return abs(trial.slope) <= self.c2 * abs(self.start.slope)

    def step(self, alpha: float) -> Trial:
        """Algorithm 3.5. At worst it returns the start, or a step whose decrease of phi is lost in rounding."""
        before = self.start
        while self.left:
            trial = self.at(alpha)
            if self.too_high(trial) or trial.value > before.value or (trial.value == before.value and trial.slope >= 0):
                return self.zoom(before, trial)
            if self.flat(trial):
                return trial
            if trial.slope >= 0:
                return self.zoom(trial, before)
            before, alpha = trial, 2.0 * alpha  # also if phi is equal and still falling: the step was too short
        return before

    def zoom(self, low: Trial, high: Trial) -> Trial:
        """Algorithm 3.6: `low` is the best step so far, and an acceptable one lies between it and `high`."""
        while self.left and abs(high.alpha - low.alpha) > 1e-14 * max(high.alpha, low.alpha):
            trial = self.at(_between(low, high))
            if self.too_high(trial) or trial.value >= low.value:
                high = trial
                continue
            if self.flat(trial):
                return trial
            if trial.slope * (high.alpha - low.alpha) >= 0:
                high = low
            low = trial
        return low


def _between(low: Trial, high: Trial) -> float:
    """The minimum of the cubic through both (equation 3.59), at least a tenth of the interval from either end."""
    width = high.alpha - low.alpha
    part = 0.1  # stay close to low if high is not finite
    if math.isfinite(high.value) and math.isfinite(high.slope):
        part = 0.5
        d1 = low.slope + high.slope - 3 * (low.value - high.value) / (low.alpha - high.alpha)
        square = d1 * d1 - low.slope * high.slope
        if square >= 0:
            d2 = math.copysign(math.sqrt(square), width)
            bottom = high.slope - low.slope + 2 * d2
            if bottom != 0:
                part = 1.0 - (high.slope + d2 - d1) / bottom
    return low.alpha + width * min(max(part, 0.1), 0.9)
