"""The output of `bpcli eval`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from bpcli.engine.arrays import Array
from bpcli.engine.metrics.confusion import AverageScores, ClassCounts, average_scores, class_scores
from bpcli.text import json_text, number, plural, printable, table, told_apart
from bpcli.workflows.trained import ClassResult, EvaluationResult, TrainedModel

MOST_CLASSES = 20  # the most classes whose confusion matrix fits on a terminal
MOST_ROWS = 1000  # in the table of classes
MOST_IN_A_MATRIX = 1000  # classes; JSON has a million numbers then


def evaluation_text(model: TrainedModel, result: EvaluationResult) -> str:
    """Loss and metrics; for a classification the scores of each class, their averages and the confusion matrix."""
    where = f"{result.split} split" if result.split in ("train", "val", "test") else printable(result.split)
    lines = [f"{printable(str(model.checkpoint.path))} on {where}, {plural(result.samples, 'sample')}", ""]
    lines.append(table([["loss", number(result.loss)], *([name, number(v)] for name, v in result.metrics.items())]))
    if result.classes is not None:
        classes = model.preparation.classes or ()
        names = told_apart(classes[:MOST_ROWS])
        lines += ["", _class_table(result.classes.counts(), names)]
        if len(classes) > MOST_ROWS:
            lines += ["", f"these are the first {MOST_ROWS:,} of {len(classes):,} classes; --json has them all"]
        if len(classes) <= MOST_CLASSES:
            matrix = _confusion_table(result.classes.confusion(), names)
            lines += ["", "confusion matrix: row true, column predicted", matrix]
    return "\n".join(lines)


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
