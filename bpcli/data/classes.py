"""Classes: which labels are such, the index of each sample's own, and what each class weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from bpcli.data.csv_cells import label_text, number
from bpcli.data.types import RawData, sample_number
from bpcli.engine.arrays import Array, distinct
from bpcli.errors import DataError
from bpcli.text import MOST_LISTED, listed, printable, shown, told_apart

Labels: TypeAlias = npt.NDArray[Any]
_FEWEST_IDS = 100  # different labels; fewer may be classes of one row each
_LEAST_ROUNDED = 2.0**53  # it may have been 2^53 + 1 in the file


def find_classes(raw: RawData, labels: Labels) -> tuple[str, ...]:
    """The classes of the training data's labels, in the order of their indices.

    Raises:
        DataError: the labels are no classes: only one, as many as ids, fractions, or numbers that were rounded.
    """
    _refuse_rounded_labels(labels, raw.source)
    classes = _class_names(raw, labels)
    if len(classes) < 2:
        raise DataError(
            f"{raw.source}: the target has one class only, {shown(classes[0])}: nothing to tell apart; is "
            "data.target the right column?"
        )
    if len(classes) > max(_FEWEST_IDS, len(labels) / 2):
        raise DataError(
            f"{raw.source}: the target{_name_of_target(raw)} has {len(classes)} different labels in {len(labels)} "
            "rows, as ids have and classes have not: name another column in data.target, or for numbers to be "
            "predicted set data.task: regression and loss: mse"
        )
    if not _are_labels(raw, labels):
        raise DataError(
            f"{raw.source}: the target holds {len(classes)} different numbers with fractions, no classes: "
            "set data.task: regression, and a loss for it such as mse"
        )
    return classes


def _name_of_target(raw: RawData) -> str:
    return f" {shown(raw.target_names[0])}" if raw.target_names else ""


def _class_names(raw: RawData, labels: Labels) -> tuple[str, ...]:
    """The classes in the order of their indices: text by its characters, numbers by their size however written."""
    names = label_texts(distinct(labels)[0])
    numbers = raw.label_numbers
    return tuple(names if numbers is None else sorted(names, key=lambda name: (numbers.get(name, 0.0), name)))


def _are_labels(raw: RawData, labels: Labels) -> bool:
    """Whether the targets can stand for classes: text, whole numbers, or few different numbers."""
    y = labels if raw.label_numbers is None else np.array(list(raw.label_numbers.values()))
    if y.dtype.kind == "U":
        return True
    return bool((y == np.floor(y)).all()) or len(distinct(y)[0]) <= 20


def _refuse_rounded_labels(y: Labels, source: str) -> None:
    """DataError if a label is a float so large that several whole numbers are read as the same one."""
    if y.dtype.kind == "f" and (np.abs(y) >= _LEAST_ROUNDED).any():
        row = int((np.abs(y).reshape(len(y)) >= _LEAST_ROUNDED).argmax())
        raise DataError(
            f"{source}: sample {row + 1} has the class {label_texts(y.reshape(len(y))[row : row + 1])[0]}: numbers "
            "from 2^53 on are rounded, so that classes fall together; write them as text, such as id9007199254740993"
        )


def class_indices(y: Labels, classes: tuple[str, ...], source: str, rows: Array | None = None) -> npt.NDArray[np.int64]:
    """The index of each label in `classes`, (N,).

    rows: the rows of the file that these are, for messages; None for all.

    Raises:
        DataError: a label that is none of them; names the first row that has it.
    """
    labels, inverse = distinct(y)
    known = {name: index for index, name in enumerate(classes)}
    indices = np.array([known.get(text, -1) for text in label_texts(labels)], np.int64)
    found: npt.NDArray[np.int64] = indices[inverse]
    if (found < 0).any():
        row = int((found < 0).argmax())
        label = label_texts(y.reshape(len(y))[row : row + 1])[0]
        given, *trained = told_apart([label, *classes[:MOST_LISTED]], shown)
        raise DataError(
            f"{source}: sample {sample_number(row, rows)} has the class {given}, which the training data does not have "
            f"(it has {', '.join(trained)}{', ...' if len(classes) > MOST_LISTED else ''})"
            f"{_written_otherwise(label, classes)}"
        )
    return found


def _written_otherwise(label: str, classes: tuple[str, ...]) -> str:
    """What to say of a label that is the number of a class but not its text; empty for others."""
    value = number(label)
    same = [shown(name) for name in classes if value is not None and number(name) == value]
    if not same:
        return ""
    return f": a class is the text in the file, so write it as the training data does, {' or '.join(same)}"


def same_numbers(classes: tuple[str, ...]) -> tuple[str, str] | None:
    """The first two classes that are one number written in two ways, such as 1 and 1.0; None if there are none."""
    seen: dict[float, str] = {}
    for name in classes:
        value = number(name)
        if value is not None and seen.setdefault(value, name) != name:
            return seen[value], name
    return None


def check_every_class(source: str, classes: Sequence[str], trained: Array) -> None:
    """Every class must have a row in the training part: what is only validated is never learnt."""
    counts = np.bincount(trained, minlength=len(classes))
    missing = [name for name, count in zip(classes, counts, strict=True) if not count]
    if missing:
        named = listed(missing, 5, printable)
        raise DataError(
            f"{source}: the split leaves no row of class {named} to train on: take smaller fractions "
            "for data.val and data.test, data.split: shuffled with data.stratify: true, or leave the class out"
        )


def class_weights_for(
    wanted: str | Mapping[str, float] | None, classes: Sequence[str], trained: Array
) -> tuple[float, ...] | None:
    """Each class's weight, in the order of the classes. `balanced`: n / (K n_c), so that all classes weigh alike.

    Raises:
        DataError: weights for a class that there is not, or none for one that there is.
    """
    if wanted is None:
        return None
    if isinstance(wanted, str):
        counts = np.bincount(trained, minlength=len(classes))
        return tuple(float(len(trained) / (len(classes) * count)) for count in counts)
    if set(wanted) != set(classes):
        every = told_apart([*wanted, *classes])
        named, known = ", ".join(every[: len(wanted)]), ", ".join(every[len(wanted) :])
        raise DataError(f"data.class_weights names {named}; the classes are {known}: give each of them a number")
    return tuple(float(wanted[name]) for name in classes)


def label_texts(labels: Labels) -> list[str]:
    """Labels as text: the number 3.0 is "3"."""
    if labels.dtype.kind == "U":
        return [str(label) for label in labels]
    if labels.dtype.kind != "f":
        return [str(int(label)) for label in labels.ravel()]
    return [label_text(float(label)) for label in labels.ravel()]
