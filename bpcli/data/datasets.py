"""A config's data section as samples for the engine: read, split, scaled, encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from bpcli.data.classes import check_every_class, class_indices, class_weights_for
from bpcli.data.columns import column_names, counts_by_column, flattened, row_numbers
from bpcli.data.content import Content, cast_weights, content_of, with_weights
from bpcli.data.encoding import encoding_notes, is_scaled_unclipped
from bpcli.data.input_columns import TextColumnsError
from bpcli.data.kinds import Number
from bpcli.data.large import NpyRows
from bpcli.data.preparation import Preparation, as_floats, fit_fill, fit_kinds, fit_scalers, kinds_of_columns, prepare
from bpcli.data.read import missing_files as missing_in
from bpcli.data.read import read
from bpcli.data.splits import Split, split_blocks, split_groups, split_rows
from bpcli.data.stored import counted, file_hashes, unchanged
from bpcli.data.types import DataPlan, Images, Missing, Part, RawData, Source, Targets, sample_number
from bpcli.engine.arrays import Array
from bpcli.errors import ConfigError, DataError, collected, together


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
                parts[name] = _part(preparation, content_of(other, plan), plan, name)
            elif source is not None:
                parts[name] = _part(preparation, _share(content, own_rows, name, source), plan, name)
    if errors:
        raise together(errors)
    return Datasets(parts, preparation, hashes, _row_numbers(content.raw))


def _training_file(plan: DataPlan, rng: np.random.Generator) -> tuple[Content, Preparation, Split, dict[str, str]]:
    """What the training file holds, how it is prepared, which rows are for what, and the file's hash."""
    with unchanged(plan.train.paths, plan.train.label):
        raw, note = _read_as_training(plan.train, plan)
        hashes = file_hashes("train", raw.files)
    content = content_of(raw, plan)
    content = dataclasses.replace(content, notes=(*note, *content.notes))
    raw = content.raw
    preparation = prepare(raw, task=plan.task, loss_for_classes=plan.loss_for_classes)
    fractions = {name: part for name, part in (("val", plan.val), ("test", plan.test)) if isinstance(part, float)}
    classes = None
    if preparation.classes is not None and raw.y is not None:
        classes = class_indices(raw.y, preparation.classes, raw.source)
    rows = _split(raw, plan, fractions, classes, rng)
    if classes is not None and preparation.classes is not None:
        check_every_class(raw.source, preparation.classes, classes[rows.train])
        class_weights = class_weights_for(plan.class_weights, preparation.classes, classes[rows.train])
        preparation = dataclasses.replace(preparation, class_weights=class_weights)
    if plan.class_weights is not None and preparation.classes is None:
        raise DataError(f"{raw.source}: data.class_weights is for a classification with one target column")
    preparation = fit_kinds(preparation, raw, rows.train, missing=plan.missing, scale=plan.x_scale)
    preparation = fit_fill(preparation, raw, rows.train, plan.missing)
    preparation = fit_scalers(preparation, raw, rows.train, x_kind=plan.x_scale, y_kind=plan.y_scale)
    return content, preparation, rows, hashes


def _read_as_training(source: Source, plan: DataPlan) -> tuple[RawData, tuple[str, ...]]:
    """A file's raw data by the plan alone, and a note of columns whose kind was inferred, if some were.

    A column of texts that no kind is given for is taken as one of categories where that is plain.
    """
    read_it = partial(
        read,
        source,
        features=with_weights(plan.features, plan),
        target=plan.target,
        header=plan.header,
        missing=plan.missing,
        decimal=plan.decimal,
        targets=_targets_of(plan),
        exclude=plan.exclude,
        group=plan.group,
        images=plan.images,
    )
    by_kind = bool(plan.columns) or plan.group is not None or plan.x_scale == "robust"
    try:
        return read_it(columns=plan.columns if by_kind else None), ()
    except TextColumnsError as found:
        return read_it(columns={**plan.columns, **found.categories()}), (found.note(),)


def _share(content: Content, rows: Array, name: str, fraction: float) -> Content:
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
            _read_as_training(source, plan)
    return [problem for error in errors for problem in error.problems]


def missing_files(plan: DataPlan) -> list[str]:
    """What to say of each of the plan's files that is not there."""
    sources = (source for source in (plan.train, plan.val, plan.test) if isinstance(source, Source))
    return [problem for source in sources for problem in missing_in(source)]


def _row_numbers(raw: RawData) -> tuple[str, ...]:
    """Which features only number the rows; only a CSV file has named ones."""
    if raw.feature_names is None:
        return ()
    if raw.kinds is None:
        return row_numbers(raw.read_x, raw.feature_names)
    own = [place for place, kind in enumerate(raw.kinds) if isinstance(kind, Number)]
    return row_numbers(raw.read_x[:, own], tuple(raw.feature_names[place] for place in own))


def _targets_of(plan: DataPlan) -> Targets:
    """What the target column of the training data is read as."""
    if plan.task == "regression":
        return "numbers"
    return "classes" if plan.task == "classification" or plan.loss_for_classes else "any"


def _flattened(preparation: Preparation, content: Content) -> Iterator[str]:
    """A warning of each input beside which the others of its column vanish in scaling, of at most 5 columns."""
    raw, rows = content.raw, content.rows
    if isinstance(raw.x, NpyRows) or raw.x.ndim != 2 or preparation.byte_input:
        return
    names = column_names(raw.feature_names, raw.x.shape[1])
    if preparation.columns is not None:
        own = [place for place, column in enumerate(preparation.columns) if is_scaled_unclipped(column)]
        own = [place for place in own if not np.isnan(raw.x[:, place]).any()]
        x, names = raw.x[:, own], tuple(names[place] for place in own)
    elif preparation.x_scaler is None or preparation.x_scaler.clips:
        return
    else:
        x = preparation.filled(as_floats(raw.x))
    for column, row in flattened(x)[:5]:
        number = sample_number(row, rows)
        yield (
            f"warning: {raw.source}: sample {number} holds {x[row, column]:g} in {names[column]}, beside which "
            "data.scale makes all other values of that column the same: is it a mistake? robust bears such values"
        )


def _split(
    raw: RawData, plan: DataPlan, fractions: Mapping[str, float], classes: Array | None, rng: np.random.Generator
) -> Split:
    """Which rows are for what: rows one by one, whole groups, or whole blocks of those that stay in their file."""
    split: Callable[..., Split] = split_rows
    if raw.groups is not None and fractions:
        split = partial(split_groups, groups=raw.groups)
    elif isinstance(raw.x, NpyRows):
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
        return _part(preparation, content_of(read_like(preparation, source, plan, weighted=True), plan), plan)


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
    columns = None if preparation.columns is None else kinds_of_columns(preparation, plan)
    if columns is not None and target is not None:
        columns |= {name: plan.columns[name] for name in preparation.target_names or () if name in plan.columns}
    return read(
        source,
        features=with_weights(names, plan) if weighted else names,
        target=target,
        header=plan.header,
        need_target=need_target,
        missing=plan.missing,
        decimal=plan.decimal,
        targets=preparation.target_kind,
        columns=columns,
        images=_images_like(preparation, plan) if source.x.is_dir() else None,
    )


def _images_like(preparation: Preparation, plan: DataPlan) -> Images:
    """How a further folder of images is read: as the first one was."""
    size = None if plan.images is None else plan.images.size
    return Images(size, "grey" if len(preparation.in_shape) == 2 else "rgb")


def _part(preparation: Preparation, content: Content, plan: DataPlan, name: str = "") -> Part:
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
        None if weights is None else cast_weights(weights, plan, content),
        content.notes + fill_notes(preparation, raw, plan.missing, name),
    )


def fill_notes(preparation: Preparation, raw: RawData, missing: Missing, part: str = "") -> tuple[str, ...]:
    """What is filled in of a part of the data, if anything is, and what of it is unknown."""
    where = f"{raw.source}, {part}" if part else raw.source
    if preparation.columns is not None:
        return tuple(encoding_notes(preparation.columns, raw, where))
    if preparation.fill is None:
        return ()
    counts = counts_by_column(dataclasses.replace(raw, y=None))
    total = sum(counts.values())
    if not total:
        return ()
    return (
        f"{where}: filled in {total} missing value{'' if total == 1 else 's'} with the column's {missing} over the "
        f"training part ({counted(counts, len(raw.x))})",
    )
