"""A config's data section as samples for the engine: read, split, scaled, encoded."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bpcli.data.preparation import Preparation, class_indices, fit_scalers, prepare
from bpcli.data.source import RawData, Source, read
from bpcli.data.splits import split_rows
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
    log_likelihood: bool
    stratify: bool
    in_order: bool
    x_scale: str
    y_scale: str
    dtype: DType


@dataclass(frozen=True, eq=False)
class Part:
    """One split as the engine takes it: inputs, and targets as class indices (N,) or floats (N, M).

    raw_targets: as in the file, float64 (N, M), for metrics in the data's own units; None for classes.
    """

    x: Array
    y: Array
    raw_targets: Array | None

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
    raw = read(plan.train, features=plan.features, target=plan.target, header=plan.header)
    preparation = prepare(raw, task=plan.task, log_likelihood=plan.log_likelihood)
    fractions = {name: part for name, part in (("val", plan.val), ("test", plan.test)) if isinstance(part, float)}
    classes = None
    if preparation.classes is not None and plan.stratify and raw.y is not None:
        classes = class_indices(raw.y, preparation.classes, raw.source)
    rows = split_rows(
        len(raw.x),
        val=fractions.get("val", 0.0),
        test=fractions.get("test", 0.0),
        in_order=plan.in_order,
        classes=classes,
        rng=rng,
    )
    preparation = fit_scalers(preparation, raw, rows.train, x_kind=plan.x_scale, y_kind=plan.y_scale)

    parts = {"train": _part(preparation, _rows_of(raw, rows.train), plan.dtype)}
    files = list(raw.files)
    for name, source, own_rows in (("val", plan.val, rows.val), ("test", plan.test, rows.test)):
        if isinstance(source, Source):
            other = read_like(preparation, source, plan)
            parts[name] = _part(preparation, other, plan.dtype)
            files += other.files
        elif source is not None:
            parts[name] = _part(preparation, _rows_of(raw, own_rows), plan.dtype)
    return Datasets(parts, preparation, file_hashes(files))


def load_part(preparation: Preparation, source: Source, plan: DataPlan) -> Part:
    """A further file, prepared as the training data was.

    Raises:
        DataError: the file cannot be used, or does not fit.
    """
    return _part(preparation, read_like(preparation, source, plan), plan.dtype)


def read_like(preparation: Preparation, source: Source, plan: DataPlan, *, need_target: bool = True) -> RawData:
    """A file's raw data: columns matched by the names of the training data, arrays by the names in the config.

    Raises:
        DataError: the file cannot be used, or lacks a column.
    """
    return read(
        source,
        features=preparation.feature_names or plan.features,
        target=preparation.target_names or plan.target,
        header=plan.header,
        need_target=need_target,
    )


def file_hashes(files: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of each file, by its name without the folder, in the order given."""
    hashes = {}
    for file in dict.fromkeys(files):
        with file.open("rb") as stream:
            hashes[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def _part(preparation: Preparation, raw: RawData, dtype: DType) -> Part:
    if len(raw.x) == 0:
        raise DataError(f"{raw.source}: holds no samples")
    y = preparation.targets(raw, dtype)
    raw_targets = None
    if preparation.classes is None and raw.y is not None:
        raw_targets = raw.y.astype(np.float64).reshape(len(raw.y), -1)
    return Part(preparation.inputs(raw, dtype), y, raw_targets)


def _rows_of(raw: RawData, rows: Array) -> RawData:
    """The raw data of these rows; the data itself, uncopied, if they are all."""
    if len(rows) == len(raw.x):
        return raw
    return dataclasses.replace(raw, x=raw.x[rows], y=None if raw.y is None else raw.y[rows])
