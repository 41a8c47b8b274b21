"""Predictions as lines of CSV or JSON, block by block."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.text import shown
from bpcli.workflows.prediction_stream import PredictedBlock
from bpcli.workflows.trained import Prediction, TrainedModel

FORMATS = ("csv", "jsonl")
SEPARATORS = {"": ",", ".csv": ",", ".txt": ",", ".tsv": "\t"}  # by a file's suffix; each may be followed by .gz
JSON_LINES = ".jsonl"
ENDINGS = ".csv, .tsv, .txt or .jsonl (each also .gz)"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def suffix_of(name: str) -> str | None:
    """The suffix that says how a file of that name is written; None if it is of another kind of file."""
    suffix = PurePath(name.lower().removesuffix(".gz")).suffix
    return suffix if suffix in SEPARATORS or suffix == JSON_LINES else None


@dataclass(frozen=True)
class Form:
    """What is written of predictions, and how.

    separator: between the cells of CSV; None for JSON lines. labels, values: whether the classes are written, and what
    the network gives for them. top_k: so many best classes, each with its value; 0 for the best and the values of all.
    threshold: the probability from which on the second of two classes is the label. kept: the columns handed through.
    spreadsheet_safe: puts ' before names and texts that a spreadsheet would take for a formula.
    """

    separator: str | None = ","
    labels: bool = True
    values: bool = True
    top_k: int = 0
    threshold: float | None = None
    kept: tuple[str, ...] = ()
    spreadsheet_safe: bool = False

    def objection(self, model: TrainedModel) -> tuple[str, str] | None:
        """The option that does not fit the network, and why; None if all do."""
        preparation = model.preparation
        classes = preparation.classes
        if preparation.task == "regression":
            options = (
                ("--proba", not self.labels),
                ("--no-proba", not self.values),
                ("--top-k", bool(self.top_k)),
                ("--threshold", self.threshold is not None),
            )
            given = [option for option, is_given in options if is_given]
            return (given[0], "is for classes, and this network predicts numbers: leave it out") if given else None
        if not self.labels and not model.gives_probabilities:
            return "--proba", "the outputs of this network are scores, not probabilities; its last layer has no softmax"
        if self.top_k and classes is None:
            return "--top-k", "is for one target with several classes; this network has a yes or no for each target"
        if self.top_k and classes is not None and self.top_k > len(classes):
            return "--top-k", f"must be at most {len(classes)}, the number of classes, got {self.top_k}"
        if self.threshold is not None:
            if classes is None or len(classes) != 2:
                has = "a yes or no for each target" if classes is None else f"{len(classes)} classes"
                return "--threshold", f"is for two classes, and this network has {has}"
            if not model.gives_probabilities:
                return "--threshold", "is for probabilities, and the outputs of this network are scores"
        return None


class PredictionWriter:
    """Blocks of predictions as text; with CSV the first one begins with a header.

    Numbers are written in full, so that they read back as the same float64. A sample without a prediction has empty
    cells, null in JSON. A sample with values that are not finite has these as inf and nan, null in JSON, and no label.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self._formulas: set[str] = set()
        self._kept_formulas, self._first_kept = 0, ""
        self._line: Callable[[tuple[str, ...]], str] | None = None
        self._cells: dict[str, str] = {}  # of each label

    def text(self, block: PredictedBlock) -> str:
        """The lines of a block."""
        prediction = block.prediction
        header = ""
        if self._line is None:
            names = self._names(prediction)
            self._line = self._line_of(names)
            header = "" if self.form.separator is None else self._line(tuple(map(self._cell, names))) + "\n"
        empty = prediction.missing.tolist()
        columns = [list(map(self._kept_cell, texts)) for texts in block.kept]
        columns += [self._emptied(cells, empty) for cells in self._predicted(prediction)]
        return header + "".join(f"{self._line(row)}\n" for row in zip(*columns, strict=True))

    def formula_note(self) -> str | None:
        """A warning if names or texts look like formulas; to be asked for at the end."""
        if self.form.spreadsheet_safe or self.form.separator is None:
            return None
        found = sorted(self._formulas)
        if not found and not self._kept_formulas:
            return None
        such = []
        if found:
            such.append(f"{len(found)} names or labels begin" if len(found) > 1 else "a name or label begins")
        if self._kept_formulas:
            many = self._kept_formulas > 1
            such.append(f"{self._kept_formulas} kept cells begin" if many else "a kept cell begins")
        return (
            f"warning: {' and '.join(such)} with =, +, - or @, which a spreadsheet takes for a formula: "
            f"{shown(found[0] if found else self._first_kept)}; --spreadsheet-safe puts ' before it"
        )

    def _names(self, prediction: Prediction) -> list[str]:
        """The columns' names. What is predicted of a column that is kept has `predicted_` before its name."""
        form, columns = self.form, prediction.columns
        if prediction.labels is None:
            names = list(columns)
        elif form.top_k:
            prefix = columns[0].partition("_")[0]
            tops = [(f"top_{k + 1}", f"{prefix}_top_{k + 1}") for k in range(form.top_k)]
            names = [name for top in tops for name in top[: 1 + form.values]]
        else:
            one = prediction.labels.ndim == 1
            labels = ["prediction"] if one else [column.removeprefix("p_") for column in columns]
            names = [*(labels if form.labels else ()), *(columns if form.values else ())]
        for place, name in enumerate(names):
            while name in form.kept:
                name = f"predicted_{name}"
            names[place] = name
        return [*form.kept, *names]

    def _predicted(self, prediction: Prediction) -> Iterable[list[str]]:
        """The cells of each column that is predicted."""
        form, labels, values = self.form, prediction.labels, prediction.values
        if labels is None:
            yield from map(self._numbers, values.T)
            return
        lost: list[bool] = np.logical_not(np.isfinite(values).all(axis=1)).tolist()
        if form.top_k:
            classes = [column.partition("_")[2] for column in prediction.columns]
            order = np.argsort(-values, axis=1, kind="stable")[:, : form.top_k]  # of equals the first, as for the label
            for places in order.T:
                yield self._emptied([self._cell(classes[place]) for place in places.tolist()], lost)
                if form.values:
                    yield self._numbers(values[np.arange(len(values)), places])
            return
        if form.labels:
            for column in labels.reshape(len(labels), -1).T:
                cells = list(map(self._cell if labels.dtype.kind == "U" else str, column.tolist()))
                yield self._emptied(cells, lost)
        if form.values:
            yield from map(self._numbers, values.T)

    def _numbers(self, values: Array) -> list[str]:
        texts = list(map(repr, values.tolist()))
        if self.form.separator is None and not np.isfinite(values).all():
            return [text if math.isfinite(float(text)) else "null" for text in texts]
        return texts

    def _emptied(self, cells: list[str], which: Sequence[bool]) -> list[str]:
        """The cells, empty ones where `which` says so."""
        if not any(which):
            return cells
        empty = "null" if self.form.separator is None else ""
        return [empty if is_empty else cell for cell, is_empty in zip(cells, which, strict=True)]

    def _line_of(self, names: Sequence[str]) -> Callable[[tuple[str, ...]], str]:
        """The function that makes a line of a row's cells."""
        if self.form.separator is not None:
            join = self.form.separator.join
            return join if len(names) > 1 else lambda row: row[0] or '""'  # an empty line would be no row
        keys = (json.dumps(name, ensure_ascii=False).replace("%", "%%") for name in names)
        return ("{" + ", ".join(f"{key}: %s" for key in keys) + "}").__mod__

    def _cell(self, text: str) -> str:
        """A name or label as a cell."""
        cell = self._cells.get(text)
        if cell is None:
            if is_formula(text):
                self._formulas.add(text)
            cell = self._cells[text] = self._written(text)
        return cell

    def _kept_cell(self, text: str) -> str:
        if is_formula(text):
            self._kept_formulas += 1
            self._first_kept = self._first_kept or text
        return self._written(text)

    def _written(self, text: str) -> str:
        separator = self.form.separator
        if separator is None:
            return json.dumps(text, ensure_ascii=False)
        if self.form.spreadsheet_safe and is_formula(text):
            text = f"'{text}"
        if not any(mark in text for mark in (separator, '"', "\n", "\r")):
            return text
        out = io.StringIO()
        csv.writer(out, lineterminator="\n", delimiter=separator).writerow([text])
        return out.getvalue()[:-1]


def is_formula(text: object) -> bool:
    """Whether a spreadsheet would read the cell as a formula; numbers such as -1 are not formulas."""
    if not isinstance(text, str) or not text.startswith(FORMULA_STARTS):
        return False
    try:
        return float(text) is None
    except ValueError:
        return True
