"""Metrics of classification, from class indices (N,) and the classes' probabilities (N, K)."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.fields import AtLeast
from bpcli.engine.metrics.confusion import Average, ClassCounts, averaged, class_scores, counts_of
from bpcli.engine.metrics.ranking import (
    one_against_rest,
    precision_recall_area,
    precision_recall_areas,
    roc_area,
    roc_areas,
)
from bpcli.engine.metrics.resampling import Resample, from_counts, from_mean, from_ranks
from bpcli.engine.registry import metrics, part_of


@part_of(
    metrics,
    "accuracy",
    "acc",
    "accuracy_score",
    elsewhere="binary_accuracy categorical_accuracy sparse_categorical_accuracy",
)
class Accuracy:
    """Share of samples, 0..1, whose most probable class (the first in a tie) is the right one."""

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        return float((prediction.argmax(axis=1) == target).mean())

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_mean(prediction.argmax(axis=1) == target)


@part_of(metrics, "balanced_accuracy", "balanced_accuracy_score", elsewhere="bacc uar")
class BalancedAccuracy:
    """Mean of recall, 0..1, over the classes that have samples.

    It differs from macro recall if a class without samples is predicted: macro recall counts that class as 0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        scores = class_scores(counts_of(target, prediction))
        return float(scores.recall[scores.support > 0].mean())

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_counts(target, prediction, self._of)

    def _of(self, counts: ClassCounts) -> Array:
        scores = class_scores(counts)
        return np.asarray(np.average(scores.recall, axis=-1, weights=scores.support > 0))


@part_of(metrics, "top_k", "top_k_accuracy", elsewhere="top_5 top_5_accuracy top_k_categorical_accuracy")
class TopK:
    """Share of samples, 0..1, whose class is among the k most probable; 1 if there are at most k classes.

    In a tie the first class ranks first, so that k = 1 is accuracy (scikit-learn ranks the last first).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    k: Annotated[int, AtLeast(1)] = 5

    def value(self, target: Array, prediction: Array) -> float:
        return float(self._hits(target, prediction).mean())

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_mean(self._hits(target, prediction))

    def _hits(self, target: Array, prediction: Array) -> Array:
        own = prediction[np.arange(len(target)), target, np.newaxis]
        earlier = np.arange(prediction.shape[1]) < target[:, np.newaxis]
        before = np.where(earlier, ~(prediction < own), ~(prediction <= own))  # NaN never counts as a hit
        hits: Array = before.sum(axis=1) < self.k
        return hits


@part_of(metrics, "precision", "precision_score", elsewhere="ppv precision_macro")
class Precision:
    """tp / (tp + fp) of each class, 0 / 0 counting as 0, averaged: macro, micro or weighted.

    The same as scikit-learn's precision_score with that average and zero_division=0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    average: Average = "macro"

    def value(self, target: Array, prediction: Array) -> float:
        return float(self._of(counts_of(target, prediction)))

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_counts(target, prediction, self._of)

    def _of(self, counts: ClassCounts) -> Array:
        return averaged(counts, "precision", self.average)


@part_of(metrics, "recall", "recall_score", elsewhere="recall_macro sensitivity tpr")
class Recall:
    """tp / (tp + fn) of each class, 0 / 0 counting as 0, averaged: macro, micro or weighted.

    The same as scikit-learn's recall_score with that average and zero_division=0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    average: Average = "macro"

    def value(self, target: Array, prediction: Array) -> float:
        return float(self._of(counts_of(target, prediction)))

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_counts(target, prediction, self._of)

    def _of(self, counts: ClassCounts) -> Array:
        return averaged(counts, "recall", self.average)


@part_of(metrics, "f1", "f1_score", elsewhere="f1_macro f_measure f_score macro_f1")
class F1:
    """2pr / (p + r) of each class, 0 / 0 counting as 0, averaged: macro, micro or weighted.

    The same as scikit-learn's f1_score with that average and zero_division=0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    average: Average = "macro"

    def value(self, target: Array, prediction: Array) -> float:
        return float(self._of(counts_of(target, prediction)))

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_counts(target, prediction, self._of)

    def _of(self, counts: ClassCounts) -> Array:
        return averaged(counts, "f1", self.average)


@part_of(metrics, "mcc", "matthews_corrcoef", elsewhere="matthews matthews_correlation_coefficient phi")
class Mcc:
    """Correlation, -1..1, of true and predicted class; 0 if one of the two is constant.

    For two classes (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn)); for several Gorodkin's R_K (2004).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        return float(self._of(counts_of(target, prediction)))

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_counts(target, prediction, self._of)

    def _of(self, counts: ClassCounts) -> Array:
        truth, predicted = counts.support.astype(np.float64), counts.predicted.astype(np.float64)
        n = truth.sum(axis=-1)
        together = n * counts.hits.sum(axis=-1) - (truth * predicted).sum(axis=-1)
        varies = (n * n - (truth**2).sum(axis=-1)) * (n * n - (predicted**2).sum(axis=-1))
        correlation: Array = np.divide(together, np.sqrt(varies), out=np.zeros(n.shape), where=varies > 0)
        return correlation


@part_of(metrics, "cohen_kappa", "kappa", "cohen_kappa_score", elsewhere="quadratic_weighted_kappa")
class CohenKappa:
    """(p_o - p_e) / (1 - p_e): p_o the accuracy, p_e the agreement expected by chance from the class frequencies.

    If every target and prediction is the same class, p_e = 1 and kappa is taken as 0 (scikit-learn: NaN). Source:
    Cohen, 1960.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        return float(self._of(counts_of(target, prediction)))

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_counts(target, prediction, self._of)

    def _of(self, counts: ClassCounts) -> Array:
        n = counts.support.sum(axis=-1).astype(np.float64)
        observed = n * counts.hits.sum(axis=-1)
        expected = (counts.predicted.astype(np.float64) * counts.support).sum(axis=-1)
        kappa: Array = np.divide(observed - expected, n * n - expected, out=np.zeros(n.shape), where=expected < n * n)
        return kappa


@part_of(metrics, "log_loss", "cross_entropy", elsewhere="bce binary_crossentropy categorical_crossentropy nll")
class LogLoss:
    """Mean over samples of -ln p of the right class, in nats; p is clipped to eps .. 1 - eps of its dtype.

    The same as scikit-learn's log_loss. The loss log_likelihood is computed from the logits and needs no clipping.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(self._losses(target, prediction).mean())

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_mean(self._losses(target, prediction))

    def _losses(self, target: Array, prediction: Array) -> Array:
        eps = np.finfo(prediction.dtype).eps
        p = prediction[np.arange(len(target)), target].clip(eps, 1 - eps)
        losses: Array = -np.log(p)
        return losses


@part_of(metrics, "brier", "brier_score", "brier_score_loss")
class Brier:
    """Mean over samples of sum_k (p_k - y_k)^2, y_k = 1 for the right class, else 0; half of that for two classes.

    With two classes this is (p - y)^2 of class 1 (Brier, 1950, uses the full sum for any number of classes).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        return float(self._distances(target, prediction).mean()) * self._share(prediction)

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_mean(self._distances(target, prediction) * self._share(prediction))

    def _distances(self, target: Array, prediction: Array) -> Array:
        distances: Array = ((prediction - np.eye(prediction.shape[1])[target]) ** 2).sum(axis=1)
        return distances

    def _share(self, prediction: Array) -> float:
        return 0.5 if prediction.shape[1] == 2 else 1.0


@part_of(metrics, "roc_auc", "auc", "roc_auc_score", elsewhere="auroc roc roc_auc_ovr")
class RocAuc:
    """Area under the ROC curve: the share of pairs in which the sample of the class scores higher; ties count half.

    For two classes, the area for class 1; for several, the mean over the classes that occur, each against the rest
    (one-vs-rest, macro). If all samples are of one class, it is 0.5, as for guessing (scikit-learn: NaN). Computed
    exactly from sums of ranks, which are whole or half numbers (Mann and Whitney, 1947).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        pairs = one_against_rest(target, prediction)
        areas = [roc_area(belongs, score) for belongs, score in pairs if belongs.any() and not belongs.all()]
        return float(np.mean(areas)) if areas else 0.5

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_ranks(target, prediction, roc_areas, alone=0.5)


@part_of(metrics, "average_precision", "average_precision_score", elsewhere="ap auprc pr_auc")
class AveragePrecision:
    """sum over the thresholds of (R_n - R_n-1) P_n, with precision P and recall R, and no interpolation in between.

    For two classes, the value for class 1, or 0 if it has no samples; for several, the mean over the classes that
    occur, each against the rest. Equal scores are one threshold. The same as scikit-learn's average_precision_score.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        pairs = one_against_rest(target, prediction)
        areas = [precision_recall_area(belongs, score) for belongs, score in pairs if belongs.any()]
        return float(np.mean(areas)) if areas else 0.0

    def resampled(self, target: Array, prediction: Array) -> Resample:
        return from_ranks(target, prediction, precision_recall_areas, alone=0.0)


@part_of(metrics, "calibration_error", "ece", "expected_calibration_error", elsewhere="calibration_curve")
class CalibrationError:
    """sum over the bins of (n_b / N) |accuracy_b - confidence_b|: how far probabilities are from what comes true.

    Confidence is the probability of the most probable class (the first in a tie), which the bins divide from 0 to 1 in
    equal widths; a bin includes its upper edge. Guo, Pleiss, Sun and Weinberger 2017, eq. 3, with 15 bins (arXiv
    1706.04599). 0 is perfect. With few samples it is above 0 by chance alone, and further still on resamples, so that
    it has no interval.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = False

    bins: Annotated[int, AtLeast(1)] = 15

    def value(self, target: Array, prediction: Array) -> float:
        hits = prediction.argmax(axis=1) == target
        confidence = prediction.max(axis=1)
        edges = np.linspace(0.0, 1.0, self.bins + 1)
        which = np.searchsorted(edges[1:-1], confidence, side="left")
        apart = np.abs(np.bincount(which, weights=hits - confidence, minlength=self.bins))
        rounding = len(target) * np.finfo(np.float64).eps
        return float(np.where(apart <= rounding, 0.0, apart).sum() / len(target))

    def resampled(self, target: Array, prediction: Array) -> None:
        return None  # its interval could lie above the value
