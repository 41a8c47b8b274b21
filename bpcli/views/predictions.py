"""Predictions as CSV."""

from __future__ import annotations

import csv
import io

import numpy as np

from bpcli.trained import Prediction


def predictions_csv(prediction: Prediction) -> str:
    """A header and a row for each sample: the label and the classes' probabilities, or the values.

    Numbers are written in full, so that they read back as the same float64. A sample without a prediction has a row of
    empty cells; one whose values are not finite has them as inf and nan, and no label.
    """
    labels = prediction.labels
    names: tuple[str, ...] = ()
    if labels is not None:
        names = ("prediction",)
        if labels.ndim == 2:
            names = tuple(column.removeprefix("p_") for column in prediction.columns)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*names, *prediction.columns])
    missing = prediction.missing.tolist()
    finite: list[bool] = np.isfinite(prediction.values).all(axis=1).tolist()  # type: ignore[assignment]
    for k, values in enumerate(prediction.values.tolist()):
        if missing[k]:
            writer.writerow([""] * (len(names) + len(values)))
            continue
        said = [] if labels is None else list(labels[k]) if labels.ndim == 2 else [labels[k]]
        if not finite[k]:
            said = [""] * len(said)
        writer.writerow([*said, *map(repr, values)])
    return out.getvalue()
