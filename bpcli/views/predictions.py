"""Predictions as CSV."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import PurePath

import numpy as np

from bpcli.text import shown
from bpcli.workflows.trained import Prediction

SEPARATORS = {"": ",", ".csv": ",", ".txt": ",", ".tsv": "\t"}  # by a file's suffix; each may be followed by .gz
ENDINGS = ".csv, .tsv or .txt (each also .gz)"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def separator_of(name: str) -> str | None:
    """The separator for a file of that name; None if the suffix means another kind of file."""
    return SEPARATORS.get(PurePath(name.lower().removesuffix(".gz")).suffix)


def packed_for(name: str, text: str) -> bytes:
    """The bytes of a file of that name; for .gz compressed with gzip, without a timestamp."""
    content = text.encode()
    return gzip.compress(content, mtime=0) if name.lower().endswith(".gz") else content


def predictions_csv(prediction: Prediction, *, separator: str = ",", spreadsheet_safe: bool = False) -> str:
    """A header, then a row for each sample: the label and the classes' probabilities, or the values.

    Numbers are written in full, so that they read back as the same float64. A sample without a prediction has a row of
    empty cells. A sample with values that are not finite has these as inf and nan, and no label.

    spreadsheet_safe: puts ' before names and labels that a spreadsheet would take for a formula.
    """
    labels = prediction.labels
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", delimiter=separator)
    header = _header(prediction)

    def safe(text: object) -> object:
        return f"'{text}" if spreadsheet_safe and is_formula(text) else text

    writer.writerow(map(safe, header))
    missing = prediction.missing.tolist()
    finite: list[bool] = np.isfinite(prediction.values).all(axis=1).tolist()  # type: ignore[assignment]
    for k, values in enumerate(prediction.values.tolist()):
        if missing[k]:
            writer.writerow([""] * len(header))
            continue
        said = [] if labels is None else list(labels[k]) if labels.ndim == 2 else [safe(labels[k])]
        if not finite[k]:
            said = [""] * len(said)
        writer.writerow([*said, *map(repr, values)])
    return out.getvalue()


def _header(prediction: Prediction) -> list[str]:
    if prediction.labels is None:
        return list(prediction.columns)
    if prediction.labels.ndim == 2:
        return [*(column.removeprefix("p_") for column in prediction.columns), *prediction.columns]
    return ["prediction", *prediction.columns]


def is_formula(text: object) -> bool:
    """Whether a spreadsheet would read the cell as a formula; numbers such as -1 are not formulas."""
    if not isinstance(text, str) or not text.startswith(FORMULA_STARTS):
        return False
    try:
        return float(text) is None
    except ValueError:
        return True


def formula_note(prediction: Prediction) -> str | None:
    """A warning if names or labels look like formulas."""
    labels = prediction.labels
    texts = {*_header(prediction), *(labels.tolist() if labels is not None and labels.dtype.kind == "U" else ())}
    found = sorted(filter(is_formula, texts))
    if not found:
        return None
    such = f"{len(found)} names or labels begin" if len(found) > 1 else "a name or label begins"
    return (
        f"warning: {such} with =, +, - or @, which a spreadsheet takes for a formula: {shown(found[0])}; "
        "--spreadsheet-safe puts ' before it"
    )
