"""Metrics of regression, from targets y (N, M) and predictions a (N, M) in the data's own units."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.metrics.resampling import Resample, from_mean, from_means
from bpcli.engine.registry import metrics, part_of


@part_of(metrics, "mse", "mean_squared_error", elsewhere="l2 neg_mean_squared_error")
class MeanSquaredError:
    """Mean over samples and outputs of (a - y)^2, in the data's units squared."""

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.mean((prediction - target) ** 2))

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_mean(np.mean((prediction - target) ** 2, axis=1))


@part_of(metrics, "rmse", "root_mean_squared_error", elsewhere="root_mean_square_error")
class RootMeanSquaredError:
    """Root of the mean over samples of (a - y)^2, the mean over the outputs, in the data's units.

    With several outputs it is the mean of their roots, as in scikit-learn, not the root of `mse`.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.sqrt(((prediction - target) ** 2).mean(axis=0)).mean())

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_means((prediction - target) ** 2, lambda means: np.sqrt(means).mean(axis=1))


@part_of(metrics, "mae", "mean_absolute_error", elsewhere="l1 neg_mean_absolute_error")
class MeanAbsoluteError:
    """Mean over samples and outputs of |a - y|, in the data's units."""

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.mean(np.abs(prediction - target)))

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_mean(np.mean(np.abs(prediction - target), axis=1))


@part_of(metrics, "median_absolute_error", "medae")
class MedianAbsoluteError:
    """Median over samples of |a - y|, the mean over the outputs, in the data's units. Outliers do not move it."""

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.median(np.abs(prediction - target), axis=0).mean())


@part_of(metrics, "mape", "mean_absolute_percentage_error")
class MeanAbsolutePercentageError:
    """Mean over samples and outputs of |a - y| / |y|: despite its name a fraction, 0.1 for 10 %.

    |y| counts as at least 2.2e-16, float64's eps, so a target of 0 gives a huge number: do not use it for such data.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(self._shares(target, prediction).mean())

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_mean(self._shares(target, prediction).mean(axis=1))

    def _shares(self, target: Array, prediction: Array) -> Array:
        size = np.maximum(np.abs(target), np.finfo(np.float64).eps)
        shares: Array = np.abs(prediction - target) / size
        return shares


@part_of(metrics, "r2", "r2_score", elsewhere="coefficient_of_determination r_squared")
class R2:
    """Coefficient of determination, 1 - sum (a - y)^2 / sum (y - mean y)^2, the mean over the outputs.

    1 is perfect, 0 as good as always predicting the mean. A constant target counts as 1 if it is predicted exactly,
    else 0.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        return explained_share(((prediction - target) ** 2).sum(axis=0), target)

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return explained_shares((prediction - target) ** 2, target, lambda means: means)


@part_of(metrics, "explained_variance", "explained_variance_score")
class ExplainedVariance:
    """1 - var(a - y) / var(y), the mean over the outputs: R^2 with the mean error removed from the predictions.

    A constant target counts as 1 if the error is constant too, else 0.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        return explained_share(squares_about_mean(prediction - target), target)

    def resampled(self, target: Array, prediction: Array) -> Resample:
        centred = prediction - target - (prediction - target).mean(axis=0)
        return explained_shares(np.hstack([centred, centred**2]), target, lambda means: _variances(*_halves(means)))


def explained_share(unexplained: Array, target: Array) -> float:
    """1 - unexplained / sum (y - mean y)^2, the mean over the outputs. unexplained: (M,); target: (N, M).

    A constant target counts as 1 if nothing is unexplained, else 0.
    """
    total = squares_about_mean(target)
    ratio = np.divide(unexplained, total, out=(unexplained != 0).astype(np.float64), where=total > 0)
    return float((1.0 - ratio).mean())


def squares_about_mean(values: Array) -> Array:
    """sum over samples of (v - mean v)^2, for each column (N, M) -> (M,); exactly 0 for a constant column."""
    squares: Array = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    return np.where(np.ptp(values, axis=0) > 0, squares, 0.0)  # the mean of equal numbers is not always that number


def explained_shares(errors: Array, target: Array, unexplained: Callable[[Array], Array]) -> Resample:
    """The resamples of `explained_share`.

    errors: (N, S), from whose means (B, S) `unexplained` makes the mean squares that are unexplained (B, M).
    """
    varies = np.ptp(target, axis=0) > 0
    y = np.where(varies, target - target.mean(axis=0), 0.0)

    def shares(means: Array) -> Array:
        left, total = unexplained(means[:, : errors.shape[1]]), _variances(*_halves(means[:, errors.shape[1] :]))
        ratio = np.divide(left, total, out=(left != 0).astype(np.float64), where=total > 0)
        value: Array = (1.0 - ratio).mean(axis=1)
        return value

    return from_means(np.hstack([errors, y, y**2]), shares)


def _variances(mean: Array, square: Array) -> Array:
    """E v^2 - (E v)^2, 0 where that is no more than rounding."""
    variance = square - mean**2
    return np.where(variance > 1e-12 * square, variance, 0.0)


def _halves(columns: Array) -> tuple[Array, Array]:
    half = columns.shape[1] // 2
    return columns[:, :half], columns[:, half:]
