"""A config's data section as samples for the engine: read, split, scaled, encoded."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bpcli.data.npy_rows import NpyRows
from bpcli.data.preparation import Preparation, class_indices, fit_scalers, prepare
from bpcli.data.source import RawData, Source, read
from bpcli.data.splits import Split, split_blocks, split_rows
from bpcli.data.stored_inputs import StoredInputs
from bpcli.engine.arrays import Array, DType
from bpcli.errors import DataError

Names = str | Sequence[str] | None


@dataclass(frozen=True)
class DataPlan:
    """What the config says of the data, with paths resolved. val, test: a source, a fraction of train, or None."""

    train: Source
    val: Source | float | None
    test: Source | float | None
    target: Names
    features: Names
    header: bool | None
    task: str
    loss_for_classes: bool
    stratify: bool
    in_order: bool
    x_scale: str
    y_scale: str
    dtype: DType
    sample_weight: str | None = None
    class_weights: str | Mapping[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """One split as the engine takes it: inputs, in memory or in a file; targets as class indices (N,) or floats (N, M).

    raw_targets: as in the file, float64 (N, M), for metrics in the data's own units; None for classes.
    weights: (N, 1), what multiplies each sample's loss; None where all are 1.
    """

    x: Array | StoredInputs
    y: Array
    raw_targets: Array | None
    weights: Array | None

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Datasets:
    """The splits that there are, by name (train, val, test), how they were prepared, and each file's SHA-256."""

    parts: Mapping[str, Part]
    preparation: Preparation
    hashes: Mapping[str, str]


def load_datasets(plan: DataPlan, rng: np.random.Generator) -> Datasets:
    """Reads and prepares every split.

    rng: draws fractional splits.

    Raises:
        DataError: a file cannot be used, or the splits do not fit together.
    """
    raw, weights = _without_weights(
        read(plan.train, features=_with_weights(plan.features, plan), target=plan.target, header=plan.header), plan
    )
    preparation = prepare(raw, task=plan.task, loss_for_classes=plan.loss_for_classes)
    fractions = {name: part for name, part in (("val", plan.val), ("test", plan.test)) if isinstance(part, float)}
    classes = None
    if preparation.classes is not None and raw.y is not None:
        classes = class_indices(raw.y, preparation.classes, raw.source)
    rows = _split(raw, plan, fractions, classes, rng)
    if classes is not None and preparation.classes is not None:
        _check_classes(raw.source, preparation.classes, classes[rows.train])
        class_weights = class_weights_for(plan.class_weights, preparation.classes, classes[rows.train])
        preparation = dataclasses.replace(preparation, class_weights=class_weights)
    if plan.class_weights is not None and preparation.classes is None:
        raise DataError(f"{raw.source}: data.class_weights is for a classification with one target column")
    preparation = fit_scalers(preparation, raw, rows.train, x_kind=plan.x_scale, y_kind=plan.y_scale)

    parts = {"train": _part(preparation, _rows_of(raw, rows.train), weights, plan.dtype, rows.train)}
    hashes = file_hashes("train", raw.files)
    for name, source, own_rows in (("val", plan.val, rows.val), ("test", plan.test, rows.test)):
        if isinstance(source, Source):
            other, other_weights = _without_weights(read_like(preparation, source, plan, weighted=True), plan)
            parts[name] = _part(preparation, other, other_weights, plan.dtype)
            hashes |= file_hashes(name, other.files)
        elif source is not None:
            parts[name] = _part(preparation, _rows_of(raw, own_rows), weights, plan.dtype, own_rows)
    return Datasets(parts, preparation, hashes)


def _split(
    raw: RawData, plan: DataPlan, fractions: Mapping[str, float], classes: Array | None, rng: np.random.Generator
) -> Split:
    """Which rows are for what: rows one by one, or whole blocks of those that stay in their file."""
    split: Callable[..., Split] = split_rows
    if isinstance(raw.x, NpyRows):
        split = partial(split_blocks, block_rows=raw.x.block_rows)
    try:
        return split(
            len(raw.x),
            val=fractions.get("val", 0.0),
            test=fractions.get("test", 0.0),
            in_order=plan.in_order,
            classes=classes if plan.stratify else None,
            rng=rng,
        )
    except DataError as error:
        raise DataError(f"{raw.source}: {error}") from None


def load_part(preparation: Preparation, source: Source, plan: DataPlan) -> Part:
    """A further file, prepared as the training data was.

    Raises:
        DataError: the file cannot be used, or does not fit.
    """
    raw, weights = _without_weights(read_like(preparation, source, plan, weighted=True), plan)
    return _part(preparation, raw, weights, plan.dtype)


def read_like(
    preparation: Preparation, source: Source, plan: DataPlan, *, need_target: bool = True, weighted: bool = False
) -> RawData:
    """A file's raw data: columns matched by the names of the training data, arrays by the names in the config.

    weighted: the column of the samples' weights comes after the features, where there is one.

    Raises:
        DataError: the file cannot be used, or lacks a column.
    """
    names = preparation.feature_names or plan.features
    return read(
        source,
        features=_with_weights(names, plan) if weighted else names,
        target=preparation.target_names or plan.target,
        header=plan.header,
        need_target=need_target,
    )


def file_hashes(split: str, files: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of each file of a split, under "train: iris.csv"; of a pair under "train x: ..." and "train y: ..."."""
    roles = ("",) if len(files) == 1 else (" x", " y")
    hashes = {}
    for role, file in zip(roles, files, strict=True):
        with file.open("rb") as stream:
            hashes[f"{split}{role}: {file.name}"] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def _check_classes(source: str, classes: Sequence[str], trained: Array) -> None:
    """Every class must have a row in the training part: what is only validated is never learnt."""
    missing = [name for index, name in enumerate(classes) if not (trained == index).any()]
    if missing:
        raise DataError(
            f"{source}: the split leaves no row of class {', '.join(missing[:5])} to train on: take smaller fractions "
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
        return tuple(float(len(trained) / (len(classes) * (trained == index).sum())) for index in range(len(classes)))
    if set(wanted) != set(classes):
        raise DataError(
            f"data.class_weights names {', '.join(wanted)}; the classes are {', '.join(classes)}: "
            "give each of them a number"
        )
    return tuple(float(wanted[name]) for name in classes)


def _with_weights(features: Names, plan: DataPlan) -> Names:
    """The columns to read for these features: where they are listed, the column of weights besides."""
    if plan.sample_weight is None or features is None:
        return features
    return (*([features] if isinstance(features, str) else features), plan.sample_weight)


def _without_weights(raw: RawData, plan: DataPlan) -> tuple[RawData, Array | None]:
    """The data without its column of weights, and the weights (N, 1), float64.

    Raises:
        DataError: there is no such column, or a weight is negative.
    """
    name = plan.sample_weight
    if name is None:
        return raw, None
    if raw.feature_names is None or name not in raw.feature_names:
        have = ", ".join(raw.feature_names or ()) or "no named columns"
        raise DataError(f"{raw.source}: has no column {name!r} for data.sample_weight; it has {have}")
    assert isinstance(raw.x, np.ndarray)  # only a CSV file has named columns
    column = raw.feature_names.index(name)
    weights = raw.x[:, column : column + 1].astype(np.float64)
    if (weights < 0).any():
        row = int((weights[:, 0] < 0).argmax())
        raise DataError(
            f"{raw.source}: sample {row + 1} has the weight {weights[row, 0]:g}: weights must be at least 0"
        )
    names = tuple(other for other in raw.feature_names if other != name)
    return dataclasses.replace(raw, x=np.delete(raw.x, column, axis=1), feature_names=names), weights


def _part(
    preparation: Preparation, raw: RawData, weights: Array | None, dtype: DType, rows: Array | None = None
) -> Part:
    """A split: `raw` holds its rows alone, `weights` those of the whole file, of which it is `rows` (None: all)."""
    if len(raw.x) == 0:
        raise DataError(f"{raw.source}: holds no samples")
    y = preparation.targets(raw, dtype, rows)
    raw_targets = None
    if preparation.classes is None and raw.y is not None:
        raw_targets = raw.y.astype(np.float64).reshape(len(raw.y), -1)
    own = weights if weights is None or rows is None else weights[rows]
    if preparation.class_weights is not None:
        by_class = np.array(preparation.class_weights)[y][:, None]
        own = by_class if own is None else own * by_class
    return Part(preparation.inputs(raw, dtype, rows), y, raw_targets, None if own is None else own.astype(dtype))


def _rows_of(raw: RawData, rows: Array) -> RawData:
    """The raw data of these rows; the data itself, uncopied, if they are all."""
    if len(rows) == len(raw.x):
        return raw
    x = raw.x.part(rows) if isinstance(raw.x, NpyRows) else raw.x[rows]
    return dataclasses.replace(raw, x=x, y=None if raw.y is None else raw.y[rows])
