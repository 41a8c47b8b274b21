"""What is in the data of a config, or in a data file alone, and what will go wrong with it: what `bpcli data` shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from bpcli.build.advice import lone_samples, row_numbers_as_features, warnings
from bpcli.build.locations import data_plan
from bpcli.build.session import Session, open_session
from bpcli.config.load import ConfigFile
from bpcli.data.choices import Choices, choose
from bpcli.data.classes import label_texts
from bpcli.data.content import Content, content_of
from bpcli.data.csv_file import layout_of_file
from bpcli.data.datasets import Datasets, load_datasets, read_like
from bpcli.data.drift import drifts
from bpcli.data.large import NpyRows
from bpcli.data.read import kind_of, read
from bpcli.data.row_hashes import chance_of_equal_rows, hashes_of_columns, row_hashes, with_targets
from bpcli.data.survey import Survey, survey
from bpcli.data.types import DataPlan, Source
from bpcli.engine.arrays import distinct
from bpcli.errors import ConfigError, DataError, collected, together
from bpcli.text import MOST_LISTED, did_you_mean, listed, shown
from bpcli.workflows.findings import Finding, in_order
from bpcli.workflows.findings_of_arrays import ArrayFacts, Drawn, array_facts, array_findings, images_to_draw
from bpcli.workflows.findings_of_columns import Use, column_findings, to_leave_out
from bpcli.workflows.findings_of_rows import PartRows, class_findings, drift_findings, equal_rows, target_drift

MANY_PARAMETERS = 10.0  # for each row of training, from which on a network may learn the rows by heart
FEW_ROWS = 10  # a data set of fewer is a toy
_ALL = frozenset(("train", "test"))  # parts of which each is a file of its own


@dataclass(frozen=True, eq=False)
class Inspection:
    """What is in the data, and what is noticed about it.

    parts: part -> rows. classes: part -> class -> rows; empty where the target does not hold classes. survey, use: of a
    table. arrays, drawn: of arrays. parameters: of the config's network. is_file: there is no config. error: why
    training would refuse the data; what is known without it is there all the same.
    """

    name: str
    parts: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    findings: tuple[Finding, ...]
    survey: Survey | None = None
    use: Use | None = None
    arrays: ArrayFacts | None = None
    drawn: Drawn | None = None
    parameters: int | None = None
    is_file: bool = False
    error: ConfigError | DataError | None = None


def inspect_config(file: ConfigFile, test: Source | None = None) -> Inspection:
    """Looks at a config's data as training would take it. test: a further file, to be compared with training.

    Raises:
        DataError: there is nothing to look at: the training file cannot be read at all.
    """
    plan, contents = data_plan(file), dict[str, Content]()
    session: Session | None = None
    errors: list[ConfigError | DataError] = []
    with collected(errors):
        session = open_session(file, load=partial(load_datasets, on_content=contents.__setitem__))
        if test is not None:
            contents["test"] = _further(session.datasets, test, plan)
    own_files = frozenset(name for name in contents if isinstance(getattr(plan, name), Source))
    own_files |= {"test"} if test is not None else set()
    table = _survey_of(plan, errors)
    classes = session is not None and session.model.preparation.classes is not None
    use = None if table is None else _use_of_config(table, plan, classes=classes)
    findings = [] if table is None or use is None else column_findings(table, use)
    if session is not None:
        findings += [*_config_findings(session), *_parameter_findings(session)]
    arrays = _arrays_of(contents)
    if arrays is not None:
        findings += array_findings(arrays, scaled=plan.x_scale != "none")
    counts = _class_counts(contents) if classes else {}
    if counts:
        target = ", ".join(contents["train"].raw.target_names or ())
        findings += class_findings(counts, target, balanced=plan.class_weights is not None, own_files=own_files)
    findings += _part_findings(contents, own_files, classes=classes)
    return Inspection(
        file.tree.source,
        {name: len(content.raw.x) for name, content in contents.items()} or _all_rows(table),
        counts,
        in_order(findings),
        survey=table,
        use=use,
        arrays=arrays,
        drawn=images_to_draw(contents["train"]) if arrays is not None else None,
        parameters=None if session is None else session.model.network.layout.size,
        error=together(errors) if errors else None,
    )


def inspect_file(source: Source, targets: Sequence[str] = (), test: Source | None = None) -> Inspection:
    """Looks at a data file without a config. targets: columns of a table; none: as `bpcli init --data` chooses.

    Raises:
        DataError: the file cannot be read, has no such column, or none that can be predicted.
    """
    if kind_of(source.paths, source.label, is_argument=True) == "csv":
        return _inspect_table(source, targets, test)
    if targets:
        raise DataError(f"{source.label}: has no named columns, which --target is for; leave it out")
    contents = {"train": _array_content(source)} | ({} if test is None else {"test": _array_content(test)})
    arrays = array_facts(contents["train"])
    y = contents["train"].raw.y
    classes = y is not None and y.ndim == 1 and (y.dtype.kind == "U" or len(distinct(y)[0]) <= max(2, len(y) / 2))
    counts = _class_counts(contents) if classes else {}
    findings = [*array_findings(arrays, scaled=False), *_part_findings(contents, _ALL, classes=classes)]
    findings += class_findings(counts, "", balanced=False, own_files=_ALL) if counts else ()
    return Inspection(
        source.label,
        {name: len(content.raw.x) for name, content in contents.items()},
        counts,
        in_order(findings),
        arrays=arrays,
        drawn=images_to_draw(contents["train"]),
        is_file=True,
    )


def _inspect_table(source: Source, targets: Sequence[str], test: Source | None) -> Inspection:
    table, errors, contents = survey(source.x), list[ConfigError | DataError](), dict[str, Content]()
    if unknown := [name for name in targets if name not in table.table.names]:
        choose(table, unknown)  # says so
    choices: Choices | None = None
    with collected(errors):
        choices = choose(table, targets)
    use = Use(tuple(targets) or table.table.names[-1:])
    if choices is not None:
        is_classes, group = choices.task == "classification", choices.group
        use = Use(choices.targets, frozenset([group] if group else ()), classes=is_classes, group=group)
    findings = column_findings(table, use)
    left_out = to_leave_out(findings) | use.left_out
    with collected(errors):
        if test is not None and choices is not None:
            plan = _plan_of_file(source, table, choices, left_out)
            datasets = load_datasets(plan, np.random.default_rng(0), contents.__setitem__)
            contents["test"] = _further(datasets, test, plan)
    counts = _class_counts(contents) if use.classes else {}
    counts = counts or ({"train": choices.classes} if choices is not None and use.classes else {})
    if counts:
        findings += class_findings(counts, use.target[0], balanced=False, own_files=_ALL)
    findings += (
        _part_findings(contents, _ALL, classes=use.classes) if contents else _equal_rows_of(table, use, left_out)
    )
    parts = {name: len(content.raw.x) for name, content in contents.items()}
    return Inspection(
        source.label,
        parts or _all_rows(table),
        counts,
        in_order(findings),
        survey=table,
        use=use,
        is_file=True,
        error=together(errors) if errors else None,
    )


def _survey_of(plan: DataPlan, errors: list[ConfigError | DataError]) -> Survey | None:
    """The survey of the training file, if it is a table.

    Raises:
        DataError, ConfigError: it cannot be read, or not even its kind is known; what was found before is told too.
    """
    with collected(errors):
        source = plan.train
        if source.y is not None or kind_of(source.paths, source.label, is_argument=False) != "csv":
            return None
        return survey(source.x, header=plan.header, decimal="," if plan.decimal == "," else ".")
    raise together(errors)


def _use_of_config(table: Survey, plan: DataPlan, *, classes: bool) -> Use:
    """How the config uses the columns; of names that the file does not have the error is told already."""
    names = table.table.names
    target = (names[-1],) if plan.target is None else (plan.target,) if isinstance(plan.target, str) else plan.target
    left_out = {*plan.exclude, plan.group, plan.sample_weight} - {None}
    if plan.features is not None:
        features = {plan.features} if isinstance(plan.features, str) else set(plan.features)
        left_out |= set(names) - features
    return Use(
        tuple(name for name in target if name in names),
        frozenset(name for name in names if name in left_out),
        plan.columns,
        plan.missing,
        plan.x_scale,
        in_order=plan.in_order,
        classes=classes,
        excluded=plan.exclude,
        group=plan.group,
    )


def _plan_of_file(source: Source, table: Survey, choices: Choices, left_out: frozenset[str]) -> DataPlan:
    """What a config for this file would say, as far as it matters for a comparison with another file."""
    inputs = {choice.name: choice.kind for choice in choices.inputs if choice.name not in left_out}
    return DataPlan(
        train=source,
        val=None,
        test=None,
        target=choices.targets if len(choices.targets) > 1 else choices.targets[0],
        features=tuple(inputs),
        header=table.table.has_header,
        task=choices.task,
        loss_for_classes=choices.task == "classification",
        stratify=True,
        in_order=False,
        x_scale="none",
        y_scale="none",
        dtype="float64",
        decimal=table.table.decimal,
        missing="median",
        columns=inputs,
    )


def _further(datasets: Datasets, source: Source, plan: DataPlan) -> Content:
    """A further file, with its targets where it has some.

    Raises:
        DataError: it cannot be read, or lacks a column of the training file.
    """
    preparation = datasets.preparation
    if preparation.feature_names is not None and kind_of(source.paths, source.label, is_argument=True) == "csv":
        names = layout_of_file(source.x, plan.header, plan.decimal).names
        need_target = set(preparation.target_names or ()) <= set(names)
        if missing := [name for name in preparation.feature_names if name not in names]:
            guesses = ", ".join(shown(name) + did_you_mean(name, names) for name in missing[:MOST_LISTED])
            raise DataError(
                f"{source.label}: no column {guesses}, which {plan.train.label} has; it has {listed(names)}"
            )
    else:
        need_target = source.y is not None or source.x.suffix == ".npz" or source.x.is_dir()
    return content_of(read_like(preparation, source, plan, need_target=need_target), plan)


def _array_content(source: Source) -> Content:
    return Content(read(source, need_target=False, missing="drop"), None)


def _arrays_of(contents: Mapping[str, Content]) -> ArrayFacts | None:
    train = contents.get("train")
    return None if train is None or train.raw.feature_names is not None else array_facts(train)


def _all_rows(table: Survey | None) -> dict[str, int]:
    return {} if table is None else {"train": table.rows}


def _class_counts(contents: Mapping[str, Content]) -> dict[str, dict[str, int]]:
    """part -> class -> rows, for parts that have a target."""
    found = {}
    for name, content in contents.items():
        y = content.raw.y
        if y is not None:
            labels, places = distinct(y)
            counts = np.bincount(places, minlength=len(labels)).tolist()
            found[name] = dict(zip(label_texts(labels), counts, strict=True))
    return found if "train" in found else {}


def _part_findings(contents: Mapping[str, Content], own_files: frozenset[str], *, classes: bool) -> Iterator[Finding]:
    """What is noticed between the parts: equal rows, and drift."""
    if "train" not in contents:
        return
    train = contents["train"].raw
    with_y = all(content.raw.y is not None for content in contents.values())
    rows = {name: _hashed(content, with_y=with_y) for name, content in contents.items()}
    is_table = train.feature_names is not None and not isinstance(train.x, NpyRows)
    yield from equal_rows(rows, lambda: chance_of_equal_rows(train.read_x.T) if is_table else 0.0, own_files)
    for name, content in contents.items():
        if name == "train":
            continue
        if is_table:
            yield from drift_findings(drifts(train, content.raw), name, len(content.raw.x))
        if not classes and train.y is not None and content.raw.y is not None:
            for place, target in enumerate(train.target_names or ("",)):
                own, other = (y.reshape(len(y), -1)[:, place] for y in (train.y, content.raw.y))
                yield from target_drift(target, own, other, name, own_file=name in own_files)


def _hashed(content: Content, *, with_y: bool) -> PartRows:
    inputs = row_hashes(content.raw)
    return PartRows(inputs, with_targets(inputs, content.raw.y) if with_y else inputs, content.rows)


def _equal_rows_of(table: Survey, use: Use, left_out: frozenset[str]) -> Iterator[Finding]:
    """Equal rows within a table, without what is left out of it."""
    inputs = [c.values for c in table.columns if use.is_input(c.name) and c.name not in left_out]
    if inputs:
        hashes = hashes_of_columns(inputs)
        samples = hashes_of_columns([*inputs, *(table[name].values for name in use.target)])
        rows = None if table.step == 1 else np.arange(0, table.rows, table.step)
        yield from equal_rows({"train": PartRows(hashes, samples, rows)}, lambda: chance_of_equal_rows(inputs))


def _config_findings(session: Session) -> Iterator[Finding]:
    """The warnings of training, but for those of rows and columns, which are looked at more closely here."""
    for text in warnings(session, but=(row_numbers_as_features, lone_samples)):
        yield Finding("warning", "config", text.removeprefix("warning: "))


def _parameter_findings(session: Session) -> Iterator[Finding]:
    """A network of far more parameters than rows, with nothing to prevent that it learns them by heart.

    Where there is a validation part, the weights of its best epoch are kept.
    """
    network, parts, optimizer = session.model.network, session.datasets.parts, session.model.config.optimizer
    rows, parameters = len(parts["train"]), network.layout.size
    is_held = "val" in parts or network.has_trait("noise") or optimizer.weight_decay or optimizer.l1
    if rows >= FEW_ROWS and parameters > MANY_PARAMETERS * rows and not is_held:
        what = (
            f"the network has {parameters:,} parameters, {parameters / rows:.3g} for each of {rows:,} rows, and may "
            "learn them by heart: with a validation part the weights of its best epoch are kept"
        )
        yield Finding("warning", "parameters", what, part="train", rows=rows, mend={"data.val": 0.2})
