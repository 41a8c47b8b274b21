"""Scaling by shift and scale, fitted on the training part alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaler:
    """x -> (x - shift) / scale, feature by feature. shift, scale: (D,) or (*shape,), float64.

    clips: what comes of it goes through `smooth_clip`, which cannot be undone in full: it is for inputs alone.
    """

    shift: Floats
    scale: Floats
    clips: bool = False

    @classmethod
    def standard(cls, x: Floats) -> Scaler:
        """To mean 0 and standard deviation 1 (of the population); a feature that never varies is only shifted."""
        unit = np.abs(x).max(axis=0)  # squares of numbers beyond 1e154 would overflow
        unit[unit == 0] = 1.0
        shift, scale = (x / unit).mean(axis=0) * unit, (x / unit).std(axis=0) * unit
        return cls(shift, np.where(x.max(axis=0) > x.min(axis=0), scale, 1.0))

    @classmethod
    def minmax(cls, x: Floats) -> Scaler:
        """To 0..1; a feature that never varies becomes 0."""
        low, high = x.min(axis=0), x.max(axis=0)
        return cls._between(low, high)

    @classmethod
    def robust(cls, x: Floats) -> Scaler:
        """By median and interquartile range, then `smooth_clip`: what outliers do to the other values is nothing.

        Half the range where the interquartile range is 0; a feature that never varies is only shifted (Holzmueller,
        Grinsztajn and Steinwart 2024, Better by default, section 3).
        """
        low, lower, median, upper, high = np.quantile(x, [0.0, 0.25, 0.5, 0.75, 1.0], axis=0)
        with np.errstate(over="ignore"):
            scale = np.where(upper > lower, upper - lower, 0.5 * (high - low))
        return cls(median, np.where(high > low, scale, 1.0), clips=True)

    @classmethod
    def _between(cls, low: Floats, high: Floats) -> Scaler:
        """To 0 at low and 1 at high; the scale is infinite where they are further apart than float64 can say."""
        with np.errstate(over="ignore"):
            return cls(low, np.where(high > low, high - low, 1.0))

    def apply(self, x: Floats) -> Floats:
        """The scaled values, a new array; not finite where they are beyond float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = (x - self.shift) / self.scale
            if not np.isfinite(scaled).all():  # the difference of the largest numbers overflows, their quotients do not
                scaled = np.where(np.isfinite(scaled), scaled, x / self.scale - self.shift / self.scale)
        return smooth_clip(scaled) if self.clips else scaled

    def undo(self, x: Floats) -> Floats:
        """The values in the data's own units, a new array; not finite where they are beyond float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            return x * self.scale + self.shift


def smooth_clip(x: Floats) -> Floats:
    """x / sqrt(1 + (x / 3)^2): nearly x where |x| is small, never beyond 3."""
    with np.errstate(invalid="ignore"):  # infinity has no place to go
        return np.asarray(x / np.hypot(1.0, x / 3.0))


def fit(kind: str, x: Floats) -> Scaler | None:
    """The scaler of that kind, `standard`, `minmax` or `robust`, for the samples x (N, *shape); None for `none`."""
    fits = {"standard": Scaler.standard, "minmax": Scaler.minmax, "robust": Scaler.robust}
    return None if kind == "none" else fits[kind](x)


def fit_blocks(kind: str, blocks: Iterable[Floats], largest: Floats) -> Scaler:
    """The same for samples that come in blocks (n, *shape), in one pass: to rounding what `fit` gives for them all.

    largest: (*shape,), a bound of each feature's magnitude.
    Mean and sum of squared deviations of two sets of samples give those of both (Chan, Golub, LeVeque 1983, eq. 2.1).
    """
    count = 0
    unit = np.where(largest > 0, largest, 1.0)  # squares of numbers beyond 1e154 would overflow
    mean, squares = np.zeros_like(unit), np.zeros_like(unit)
    lowest, highest = np.full_like(unit, np.inf), np.full_like(unit, -np.inf)
    for block in blocks:
        lowest, highest = np.minimum(lowest, block.min(axis=0)), np.maximum(highest, block.max(axis=0))
        if kind == "standard":
            block = block / unit
            own = block.mean(axis=0)
            block -= own
            n, apart = len(block), own - mean
            squares += np.square(block, out=block).sum(axis=0) + apart**2 * (count * n / (count + n))
            mean += apart * (n / (count + n))
        count += len(block)
    if kind == "minmax":
        return Scaler._between(lowest, highest)
    return Scaler(mean * unit, np.where(highest > lowest, np.sqrt(squares / count) * unit, 1.0))
