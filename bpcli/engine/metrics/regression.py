"""Metrics of regression, from targets y (N, M) and predictions a (N, M) in the data's own units."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics, part_of


@part_of(metrics, "mse", "mean_squared_error", elsewhere="l2 neg_mean_squared_error")
class MeanSquaredError:
    """Mean over samples and outputs of (a - y)^2, in the data's units squared."""

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.mean((prediction - target) ** 2))


@part_of(metrics, "rmse", "root_mean_squared_error", elsewhere="root_mean_square_error")
class RootMeanSquaredError:
    """Root of the mean over samples of (a - y)^2, the mean over the outputs, in the data's units.

    With several outputs it is the mean of their roots, as in scikit-learn, not the root of `mse`.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.sqrt(((prediction - target) ** 2).mean(axis=0)).mean())


@part_of(metrics, "mae", "mean_absolute_error", elsewhere="l1 neg_mean_absolute_error")
class MeanAbsoluteError:
    """Mean over samples and outputs of |a - y|, in the data's units."""

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(np.mean(np.abs(prediction - target)))


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
        size = np.maximum(np.abs(target), np.finfo(np.float64).eps)
        return float((np.abs(prediction - target) / size).mean())


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


@part_of(metrics, "explained_variance", "explained_variance_score")
class ExplainedVariance:
    """1 - var(a - y) / var(y), the mean over the outputs: R^2 with the mean error removed from the predictions.

    A constant target counts as 1 if the error is constant too, else 0.
    """

    task: ClassVar[str] = "regression"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        return explained_share(squares_about_mean(prediction - target), target)


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
