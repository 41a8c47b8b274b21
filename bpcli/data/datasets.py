"""A config's data section as samples for the engine: read, split, scaled, encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from bpcli.data.columns import column_names, counts_by_column, flattened, lacking, row_numbers
from bpcli.data.large import NpyRows
from bpcli.data.preparation import Preparation, as_floats, class_indices, fit_fill, fit_scalers, prepare
from bpcli.data.read import missing_files as missing_in
from bpcli.data.read import read
from bpcli.data.splits import Split, split_blocks, split_rows
from bpcli.data.stored import counted, file_hashes, unchanged
from bpcli.data.types import DataPlan, Missing, Names, Part, RawData, Source, Targets
from bpcli.engine.arrays import Array
from bpcli.errors import ConfigError, DataError, collected, together
from bpcli.text import did_you_mean, listed, printable, shown, told_apart


@dataclass(frozen=True, eq=False)
class Datasets:
    """The splits that there are, by name (train, val, test), how they were prepared, and each file's SHA-256."""

    parts: Mapping[str, Part]
    preparation: Preparation
    hashes: Mapping[str, str]
    row_numbers: tuple[str, ...] = ()  # which features only number the rows of the training file

    @property
    def notes(self) -> tuple[str, ...]:
        """What became of missing values, each note once."""
        return tuple(dict.fromkeys(note for part in self.parts.values() for note in part.notes))


@dataclass(frozen=True, eq=False)
class _Content:
    """What is used of a file: without the column of weights, and with `data.missing: drop` complete rows alone.

    weights: (N, 1). rows: the numbers of the file's rows that are there, None for all.
    """

    raw: RawData
    weights: Array | None
    rows: Array | None = None
    notes: tuple[str, ...] = ()

    def part(self, own: Array) -> _Content:
        """Of these rows alone."""
        weights = None if self.weights is None else self.weights[own]
        return _Content(_rows_of(self.raw, own), weights, own if self.rows is None else self.rows[own], self.notes)


def load_datasets(plan: DataPlan, rng: np.random.Generator) -> Datasets:
    """Reads and prepares every split.

    rng: draws fractional splits.

    Raises:
        DataError: a file cannot be used, or the splits do not fit together; of several files each is told.
    """
    with _enough_memory(plan.train):
        return _load_datasets(plan, rng)


def _load_datasets(plan: DataPlan, rng: np.random.Generator) -> Datasets:
    try:
        content, preparation, rows, hashes = _training_file(plan, rng)
    except DataError as error:
        others = (source for source in (plan.val, plan.test) if isinstance(source, Source))
        raise DataError(*dict.fromkeys([*error.problems, *_problems_of_files(others, plan)])) from error
    own = content.part(rows.train)
    train = _part(preparation, own, plan, "train")
    parts = {"train": dataclasses.replace(train, notes=(*train.notes, *_flattened(preparation, own)))}
    errors: list[ConfigError | DataError] = []
    for name, source, own_rows in (("val", plan.val, rows.val), ("test", plan.test, rows.test)):
        with collected(errors):
            if isinstance(source, Source):
                with unchanged(source.paths, source.label):
                    other = read_like(preparation, source, plan, weighted=True)
                    hashes |= file_hashes(name, other.files)
                parts[name] = _part(preparation, _content(other, plan), plan, name)
            elif source is not None:
                parts[name] = _part(preparation, _share(content, own_rows, name, source), plan, name)
    if errors:
        raise together(errors)
    return Datasets(parts, preparation, hashes, _row_numbers(content.raw))


def _training_file(plan: DataPlan, rng: np.random.Generator) -> tuple[_Content, Preparation, Split, dict[str, str]]:
    """What the training file holds, how it is prepared, which rows are for what, and the file's hash."""
    with unchanged(plan.train.paths, plan.train.label):
        raw = read(
            plan.train,
            features=_with_weights(plan.features, plan),
            target=plan.target,
            header=plan.header,
            missing=plan.missing,
            decimal=plan.decimal,
            targets=_targets_of(plan),
        )
        hashes = file_hashes("train", raw.files)
    content = _content(raw, plan)
    raw = content.raw
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
    preparation = fit_fill(preparation, raw, rows.train, plan.missing)
    preparation = fit_scalers(preparation, raw, rows.train, x_kind=plan.x_scale, y_kind=plan.y_scale)
    return content, preparation, rows, hashes


def _share(content: _Content, rows: Array, name: str, fraction: float) -> _Content:
    """The rows of a split by fraction.

    Raises:
        DataError: there are none.
    """
    if not len(rows):
        raise DataError(
            f"{content.raw.source}: data.{name}: {fraction:g} leaves no row for {name}: each class needs one to train "
            "on; take a larger fraction, or data.stratify: false"
        )
    return content.part(rows)


def _problems_of_files(sources: Iterable[Source], plan: DataPlan) -> list[str]:
    """What is wrong with files whatever the training file holds."""
    errors: list[ConfigError | DataError] = []
    for source in sources:
        with collected(errors):
            read(
                source,
                features=_with_weights(plan.features, plan),
                target=plan.target,
                header=plan.header,
                missing=plan.missing,
                decimal=plan.decimal,
                targets=_targets_of(plan),
            )
    return [problem for error in errors for problem in error.problems]


def missing_files(plan: DataPlan) -> list[str]:
    """What to say of each of the plan's files that is not there."""
    sources = (source for source in (plan.train, plan.val, plan.test) if isinstance(source, Source))
    return [problem for source in sources for problem in missing_in(source)]


def _row_numbers(raw: RawData) -> tuple[str, ...]:
    """Which features only number the rows; only a CSV file has named ones."""
    return () if raw.feature_names is None else row_numbers(raw.read_x, raw.feature_names)


def _targets_of(plan: DataPlan) -> Targets:
    """What the target column of the training data is read as."""
    if plan.task == "regression":
        return "numbers"
    return "classes" if plan.task == "classification" or plan.loss_for_classes else "any"


def _flattened(preparation: Preparation, content: _Content) -> Iterator[str]:
    """A warning of each input beside which the others of its column vanish in scaling, of at most 5 columns."""
    raw, rows = content.raw, content.rows
    if preparation.x_scaler is None or isinstance(raw.x, NpyRows) or raw.x.ndim != 2 or preparation.byte_input:
        return
    x = preparation.filled(as_floats(raw.x))
    names = column_names(raw.feature_names, x.shape[1])
    for column, row in flattened(x)[:5]:
        number = row + 1 if rows is None else int(rows[row]) + 1
        yield (
            f"warning: {raw.source}: sample {number} holds {x[row, column]:g} in {names[column]}, beside which "
            "data.scale makes all other values of that column the same: is it a mistake?"
        )


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
    with _enough_memory(source):
        return _part(preparation, _content(read_like(preparation, source, plan, weighted=True), plan), plan)


@contextmanager
def _enough_memory(source: Source) -> Iterator[None]:
    """Turns a lack of memory into a DataError, whatever it is that does not fit: the file is read by then."""
    try:
        yield
    except MemoryError as error:
        raise DataError(
            f"{source.label}: not enough memory to prepare the data; use fewer rows or columns, or dtype: float32"
        ) from error


def read_like(
    preparation: Preparation, source: Source, plan: DataPlan, *, need_target: bool = True, weighted: bool = False
) -> RawData:
    """A file's raw data: columns matched by the names of the training data, arrays by the names in the config.

    weighted: the column of the samples' weights comes after the features, where there is one.

    Raises:
        DataError: the file cannot be used, or lacks a column.
    """
    names = preparation.feature_names or plan.features
    target = preparation.target_names or plan.target
    if preparation.feature_names is not None and not need_target:
        target = None  # columns that are not named are not looked at
    return read(
        source,
        features=_with_weights(names, plan) if weighted else names,
        target=target,
        header=plan.header,
        need_target=need_target,
        missing=plan.missing,
        decimal=plan.decimal,
        targets=preparation.target_kind,
    )


def _check_classes(source: str, classes: Sequence[str], trained: Array) -> None:
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


def _with_weights(features: Names, plan: DataPlan) -> Names:
    """The columns to read for these features: where they are listed, the column of weights besides."""
    if plan.sample_weight is None or features is None:
        return features
    names = [features] if isinstance(features, str) else features
    return tuple(names) if plan.sample_weight in names else (*names, plan.sample_weight)


def _content(raw: RawData, plan: DataPlan) -> _Content:
    """What is used of a file.

    Raises:
        DataError: no row is complete; a weight is wrong or missing.
    """
    raw, weights = _without_weights(raw, plan)
    if plan.missing != "drop":
        return _Content(raw, weights)
    incomplete = lacking(raw.read_x)
    for values in (raw.y, weights):
        if values is not None:
            incomplete = incomplete | lacking(values)
    if not incomplete.any():
        return _Content(raw, weights)
    counts = counted(counts_by_column(raw, weights, plan.sample_weight or ""), len(incomplete))
    if incomplete.all():
        raise DataError(f"{raw.source}: every row has a missing value, so data.missing: drop leaves none ({counts})")
    note = f"{raw.source}: left out {incomplete.sum()} of {len(incomplete)} rows, for a missing value ({counts})"
    rows = np.flatnonzero(~incomplete)
    return dataclasses.replace(_Content(raw, weights).part(rows), notes=(note,))


def _without_weights(raw: RawData, plan: DataPlan) -> tuple[RawData, Array | None]:
    """The data without its column of weights, and the weights (N, 1), float64.

    Raises:
        DataError: there is no such column, a weight is negative, or missing where it may not be.
    """
    name = plan.sample_weight
    if name is None:
        return raw, None
    if raw.feature_names is None or name not in raw.feature_names:
        have = listed(raw.feature_names or ()) if raw.feature_names else "no named columns"
        near = did_you_mean(name, raw.feature_names or ())
        raise DataError(f"{raw.source}: has no column {shown(name)}{near} for data.sample_weight; it has {have}")
    assert isinstance(raw.x, np.ndarray)  # only a CSV file has named columns
    column = raw.feature_names.index(name)
    weights = raw.x[:, column : column + 1].astype(np.float64)
    if (weights < 0).any():
        row = int((weights[:, 0] < 0).argmax())
        raise DataError(
            f"{raw.source}: sample {row + 1} has the weight {weights[row, 0]:g}: weights must be at least 0"
        )
    if plan.missing != "drop" and lacking(weights).any():
        raise DataError(
            f"{raw.source}: sample {int(lacking(weights).argmax()) + 1} has no weight in column {shown(name)}: "
            "a weight is never filled in: fill it or drop the row, or set data.missing: drop"
        )
    names = tuple(other for other in raw.feature_names if other != name)
    return dataclasses.replace(raw, x=np.delete(raw.x, column, axis=1), feature_names=names), weights


def _part(preparation: Preparation, content: _Content, plan: DataPlan, name: str = "") -> Part:
    """A split, or with no name a whole file."""
    raw, rows = content.raw, content.rows
    if len(raw.x) == 0:
        raise DataError(f"{raw.source}: holds no samples")
    y = preparation.targets(raw, plan.dtype, rows)
    raw_targets = None
    if preparation.classes is None and raw.y is not None:
        raw_targets = raw.y.astype(np.float64).reshape(len(raw.y), -1)
    weights = content.weights
    if preparation.class_weights is not None:
        by_class = np.array(preparation.class_weights)[y][:, None]
        weights = by_class if weights is None else weights * by_class
    return Part(
        preparation.inputs(raw, plan.dtype, rows),
        y,
        raw_targets,
        None if weights is None else _cast_weights(weights, plan, content),
        content.notes + fill_notes(preparation, raw, plan.missing, name),
    )


def _cast_weights(weights: Array, plan: DataPlan, content: _Content) -> Array:
    """Weights (N, 1) in the network's dtype.

    Raises:
        DataError: one is too large for it.
    """
    with np.errstate(over="ignore"):
        cast = weights.astype(plan.dtype)
    if not np.isfinite(cast).all():
        row = int((~np.isfinite(cast[:, 0])).argmax())
        sample = row + 1 if content.rows is None else int(content.rows[row]) + 1
        by_class = "" if plan.class_weights is None else ", data.class_weights included"
        raise DataError(
            f"{content.raw.source}: sample {sample} has the weight {weights[row, 0]:g}{by_class}, "
            f"too large for {plan.dtype}: weigh all samples by smaller numbers"
        )
    return cast


def fill_notes(preparation: Preparation, raw: RawData, missing: Missing, part: str = "") -> tuple[str, ...]:
    """What is filled in of a part of the data, if anything is."""
    if preparation.fill is None:
        return ()
    counts = counts_by_column(dataclasses.replace(raw, y=None))
    total = sum(counts.values())
    if not total:
        return ()
    where = f"{raw.source}, {part}" if part else raw.source
    return (
        f"{where}: filled in {total} missing value{'' if total == 1 else 's'} with the column's {missing} over the "
        f"training part ({counted(counts, len(raw.x))})",
    )


def _rows_of(raw: RawData, rows: Array) -> RawData:
    """The raw data of these rows; the data itself, uncopied, if they are all."""
    if len(rows) == len(raw.x):
        return raw
    x = raw.x.part(rows) if isinstance(raw.x, NpyRows) else raw.x[rows]
    return dataclasses.replace(raw, x=x, y=None if raw.y is None else raw.y[rows])
