"""Metrics of classification, from class indices (N,) and the classes' probabilities (N, K)."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.fields import AtLeast
from bpcli.engine.metrics.confusion import Average, average_scores, class_scores, counts_of
from bpcli.engine.metrics.ranking import one_against_rest, precision_recall_area, roc_area
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


@part_of(metrics, "top_k", "top_k_accuracy", elsewhere="top_5 top_5_accuracy top_k_categorical_accuracy")
class TopK:
    """Share of samples, 0..1, whose class is among the k most probable; 1 if there are at most k classes.

    In a tie the first class ranks first, so that k = 1 is accuracy (scikit-learn ranks the last first).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    k: Annotated[int, AtLeast(1)] = 5

    def value(self, target: Array, prediction: Array) -> float:
        own = prediction[np.arange(len(target)), target, np.newaxis]
        earlier = np.arange(prediction.shape[1]) < target[:, np.newaxis]
        before = np.where(earlier, ~(prediction < own), ~(prediction <= own))  # NaN never counts as a hit
        return float((before.sum(axis=1) < self.k).mean())


@part_of(metrics, "precision", "precision_score", elsewhere="ppv precision_macro")
class Precision:
    """tp / (tp + fp) of each class, 0 / 0 counting as 0, averaged: macro, micro or weighted.

    The same as scikit-learn's precision_score with that average and zero_division=0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    average: Average = "macro"

    def value(self, target: Array, prediction: Array) -> float:
        return average_scores(counts_of(target, prediction), self.average).precision


@part_of(metrics, "recall", "recall_score", elsewhere="recall_macro sensitivity tpr")
class Recall:
    """tp / (tp + fn) of each class, 0 / 0 counting as 0, averaged: macro, micro or weighted.

    The same as scikit-learn's recall_score with that average and zero_division=0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    average: Average = "macro"

    def value(self, target: Array, prediction: Array) -> float:
        return average_scores(counts_of(target, prediction), self.average).recall


@part_of(metrics, "f1", "f1_score", elsewhere="f1_macro f_measure f_score macro_f1")
class F1:
    """2pr / (p + r) of each class, 0 / 0 counting as 0, averaged: macro, micro or weighted.

    The same as scikit-learn's f1_score with that average and zero_division=0.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    average: Average = "macro"

    def value(self, target: Array, prediction: Array) -> float:
        return average_scores(counts_of(target, prediction), self.average).f1


@part_of(metrics, "mcc", "matthews_corrcoef", elsewhere="matthews matthews_correlation_coefficient phi")
class Mcc:
    """Correlation, -1..1, of true and predicted class; 0 if one of the two is constant.

    For two classes (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn)); for several Gorodkin's R_K (2004).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        counts = counts_of(target, prediction)
        n, truth, predicted = len(target), counts.support, counts.predicted
        together = n * int(counts.hits.sum()) - int(truth @ predicted)
        varies = (n * n - int(truth @ truth)) * (n * n - int(predicted @ predicted))
        return together / math.sqrt(varies) if varies else 0.0


@part_of(metrics, "cohen_kappa", "kappa", "cohen_kappa_score", elsewhere="quadratic_weighted_kappa")
class CohenKappa:
    """(p_o - p_e) / (1 - p_e): p_o the accuracy, p_e the agreement expected by chance from the class frequencies.

    If every target and prediction is the same class, p_e = 1 and kappa is taken as 0 (scikit-learn: NaN). Source:
    Cohen, 1960.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = True

    def value(self, target: Array, prediction: Array) -> float:
        counts = counts_of(target, prediction)
        n = len(target)
        observed, expected = n * int(counts.hits.sum()), int(counts.predicted @ counts.support)
        return (observed - expected) / (n * n - expected) if expected < n * n else 0.0


@part_of(metrics, "log_loss", "cross_entropy", elsewhere="bce binary_crossentropy categorical_crossentropy nll")
class LogLoss:
    """Mean over samples of -ln p of the right class, in nats; p is clipped to eps .. 1 - eps of its dtype.

    The same as scikit-learn's log_loss. The loss log_likelihood is computed from the logits and needs no clipping.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        eps = np.finfo(prediction.dtype).eps
        p = prediction[np.arange(len(target)), target].clip(eps, 1 - eps)
        return float(-np.log(p).mean())


@part_of(metrics, "brier", "brier_score", "brier_score_loss")
class Brier:
    """Mean over samples of sum_k (p_k - y_k)^2, y_k = 1 for the right class, else 0; half of that for two classes.

    With two classes this is (p - y)^2 of class 1 (Brier, 1950, uses the full sum for any number of classes).
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        classes = prediction.shape[1]
        distance = ((prediction - np.eye(classes)[target]) ** 2).sum(axis=1)
        return float(distance.mean()) * (0.5 if classes == 2 else 1.0)


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
