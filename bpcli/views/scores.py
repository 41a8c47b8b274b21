"""The output of `bpcli eval`."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bpcli.engine.arrays import Array
from bpcli.engine.metrics.confusion import AverageScores, ClassCounts, average_scores, class_scores
from bpcli.text import json_text, number, plural, printable, table, told_apart
from bpcli.workflows.importance import ImportanceResult
from bpcli.workflows.thresholds import BY, Threshold
from bpcli.workflows.trained import ClassResult, EvaluationResult, TrainedModel

MOST_CLASSES = 20  # the most classes whose confusion matrix fits on a terminal
MOST_ROWS = 1000  # in the table of classes
CALIBRATION = "calibration_error"
MOST_IN_A_MATRIX = 1000  # classes; JSON has a million numbers then


def evaluation_text(model: TrainedModel, result: EvaluationResult) -> str:
    """Loss and metrics; for a classification the scores of each class, their averages and the confusion matrix."""
    where = f"{result.split} split" if result.split in ("train", "val", "test") else printable(result.split)
    lines = [f"{printable(str(model.checkpoint.path))} on {where}, {plural(result.samples, 'sample')}", ""]
    lines += [_metric_table(model, result), *_comparison_notes(model, result)]
    if result.threshold is not None and result.threshold.at_best is not None:
        lines += ["", _threshold_table(result.threshold, result.threshold.at_best)]
    if result.classes is not None:
        classes = model.preparation.classes or ()
        names = told_apart(classes[:MOST_ROWS])
        lines += ["", _class_table(result.classes.counts(), names)]
        if len(classes) > MOST_ROWS:
            lines += ["", f"these are the first {MOST_ROWS:,} of {len(classes):,} classes; --json has them all"]
        if len(classes) <= MOST_CLASSES:
            matrix = _confusion_table(result.classes.confusion(), names)
            lines += ["", "confusion matrix: row true, column predicted", matrix]
    if result.importance is not None:
        lines += ["", _importance_table(result.importance)]
    return "\n".join(lines)


def _metric_table(model: TrainedModel, result: EvaluationResult) -> str:
    """Loss and metrics, and beside each its interval and the baselines' values, where there are some."""
    shown, every = dict(result.metrics), result.all_metrics
    if model.gives_probabilities and model.preparation.task == "classification":
        shown.setdefault(CALIBRATION, every[CALIBRATION])
    columns = {"value": {"loss": number(result.loss), **{name: number(value) for name, value in shown.items()}}}
    if result.intervals:
        columns["95 % interval"] = {name: _interval(*ends) for name, ends in result.intervals.items()}
    for baseline, values in result.baselines.items():
        columns[baseline] = {name: number(values[name]) for name in shown}
    head = [] if len(columns) == 1 else [["", *columns]]
    return table([*head, *([name, *(cells.get(name, "") for cells in columns.values())] for name in ("loss", *shown))])


def _interval(low: float, high: float) -> str:
    """Both ends with 4 significant digits; of numbers that would have a power of ten at 10,000, as they are shown."""
    return " to ".join(f"{end:.4g}" if abs(end) < 9999.5 else number(end) for end in (low, high))


def _comparison_notes(model: TrainedModel, result: EvaluationResult) -> list[str]:
    """What the columns beside the metrics mean, a line for each, and where the line between two classes is."""
    notes = list[str]()
    if result.intervals:
        notes.append(f"95 % interval: bootstrap over the samples, {result.resamples:,} resamples")
    classifies = model.preparation.task == "classification"
    for baseline in result.baselines:
        if baseline == "linear":
            fitted = f", {result.baseline_note}" if result.baseline_note else ""
            notes.append(f"linear: {'logistic' if classifies else 'linear'} regression on the same inputs{fitted}")
        else:
            same = "class shares" if classifies else "mean"
            notes.append(f"{baseline}: the training split's {same}, whatever the inputs")
    if result.baseline_note and "linear" not in result.baselines:
        notes.append(result.baseline_note)
    if result.threshold is not None:
        output = "probability" if model.gives_probabilities else "output"
        above = f"its {output} is above {number(result.threshold.used)}"
        notes.append(f"threshold: the class is {result.threshold.class_name} where {above}")
    return ["", *map(printable, notes)] if notes else []


def _threshold_table(threshold: Threshold, at_best: Mapping[str, float]) -> str:
    """The metrics at the threshold that is used, and at the best one on the validation split."""
    rows = [["threshold", *at_best], [f"{number(threshold.used)}, used", *map(number, threshold.at_used.values())]]
    rows.append([f"{number(threshold.best)}, best {BY} on val", *map(number, at_best.values())])
    return table(rows)


def _importance_table(importance: ImportanceResult) -> str:
    """The columns, the most important first, the largest with four digits."""
    largest = max(abs(each.mean) for each in importance.columns.values())
    decimals = max(0, 3 - math.floor(math.log10(largest))) if 0 < largest < math.inf else 4
    rows = [["column", "mean", "std"]]
    for name, each in sorted(importance.columns.items(), key=lambda item: -item[1].mean):
        rows.append([name, *(f"{round(value, decimals) + 0.0:.{decimals}f}" for value in (each.mean, each.std))])
    way = "falls" if importance.higher_is_better else "rises"
    title = f"importance: how much {importance.metric} {way} when a column is shuffled, {importance.repeats} times on "
    return f"{title}{plural(importance.samples, 'sample')}\n{table(rows)}"


def _class_table(counts: ClassCounts, classes: Sequence[str]) -> str:
    scores = class_scores(counts)
    columns = (scores.precision, scores.recall, scores.f1)
    rows = [["class", "precision", "recall", "F1", "samples"]]
    for k, name in enumerate(classes):
        rows.append([name, *(f"{column[k]:.4f}" for column in columns), str(scores.support[k])])
    rows.append([""] * len(rows[0]))
    for name, average in _averages(counts).items():
        label = "micro (accuracy)" if name == "micro" else f"{name} average"
        values = (average.precision, average.recall, average.f1)
        rows.append([label, *(f"{value:.4f}" for value in values), str(scores.support.sum())])
    return table(rows)


def _averages(counts: ClassCounts) -> dict[str, AverageScores]:
    return {
        "macro": average_scores(counts, "macro"),
        "micro": average_scores(counts, "micro"),
        "weighted": average_scores(counts, "weighted"),
    }


def _confusion_table(confusion: Array, classes: Sequence[str]) -> str:
    rows = [["", *classes], *([name, *map(str, confusion[k])] for k, name in enumerate(classes))]
    return table(rows)


def evaluation_json(model: TrainedModel, result: EvaluationResult) -> str:
    """The same as JSON, unrounded, with every metric for the task; values that are not finite are null."""
    values: dict[str, Any] = {
        "checkpoint": str(model.checkpoint.path),
        "epoch": model.checkpoint.state["epoch"],
        "data": result.split,
        "samples": result.samples,
        "loss": result.loss,
        "metrics": dict(result.metrics),
        "all_metrics": dict(result.all_metrics),
    }
    values |= {
        "intervals": {name: list(ends) for name, ends in result.intervals.items()},
        "interval_resamples": result.resamples,
        "baselines": {name: dict(scores) for name, scores in result.baselines.items()},
        "baseline_note": result.baseline_note,
        "threshold": None if result.threshold is None else result.threshold.to_plain(),
    }
    if result.importance is not None:
        values["importance"] = dataclasses.asdict(result.importance)
    if result.classes is not None:
        counts = result.classes.counts()
        scores = class_scores(counts)
        values["classes"] = {
            name: {
                "precision": float(scores.precision[k]),
                "recall": float(scores.recall[k]),
                "f1": float(scores.f1[k]),
                "samples": int(scores.support[k]),
            }
            for k, name in enumerate(model.preparation.classes or ())
        }
        averages = _averages(counts)
        values["averages"] = {name: dataclasses.asdict(average) for name, average in averages.items()}
        values["macro_f1"] = averages["macro"].f1
        values |= _confusion_values(result.classes)
    return json_text(values)


def _confusion_values(classes: ClassResult) -> dict[str, Any]:
    """The confusion matrix; for very many classes null, with the counts above 0 as [true, predicted, count]."""
    if classes.k <= MOST_IN_A_MATRIX:
        return {"confusion_matrix": classes.confusion().tolist()}
    counted = Counter(zip(classes.target.tolist(), classes.predicted.tolist(), strict=True))
    return {"confusion_matrix": None, "confusion_counts": [[*pair, count] for pair, count in sorted(counted.items())]}
