"""A trained network, loaded from a run: it evaluates, and predicts in the data's own terms."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bpcli.build.locations import data_files, data_note, data_plan, of_a_run, split_stream
from bpcli.build.memory import fits_into_memory
from bpcli.build.model import Model, build_model, metric_name
from bpcli.config.load import ConfigFile, parse
from bpcli.config.tree import YamlTree
from bpcli.data.columns import lacking
from bpcli.data.content import inputs_to_drop_for
from bpcli.data.datasets import fill_notes, load_datasets, load_part, read_like
from bpcli.data.in_memory import samples
from bpcli.data.preparation import Preparation
from bpcli.data.types import Part, RawData, Source
from bpcli.engine import registry
from bpcli.engine.arrays import Array
from bpcli.engine.measure.bootstrap import Interval, resamples
from bpcli.engine.metrics.confusion import ClassCounts, confusion_matrix
from bpcli.engine.training.evaluation import Evaluator, predict
from bpcli.errors import DataError, RunError, UsageError
from bpcli.runs.checkpoint import Checkpoint, damage_is_a_run_error, load_checkpoint
from bpcli.runs.folder import RunFolder, find_run, folder_of, refuse_other_files
from bpcli.runs.recorder import last_checkpoint
from bpcli.runs.summary import read_summary
from bpcli.system import one_blas_thread
from bpcli.text import typed
from bpcli.workflows.baselines import Baselines
from bpcli.workflows.comparison import intervals_on, stored_threshold
from bpcli.workflows.importance import ImportanceResult, importance_on, input_groups
from bpcli.workflows.thresholds import Threshold, threshold_of


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says of N samples.

    values: a regression's outputs in the data's own units (N, M); a classification's outputs, one column for each class
    (N, K). labels: the most probable class of each sample; for several yes-or-no targets 0 or 1 for each (N, M); None
    for a regression. columns: the names of the columns of `values`.
    missing: (N,), which samples have a missing input and so, with data.missing: drop, no prediction: their values are
    NaN, their labels empty, or -1. Values that are not finite, which inputs far beyond the training data's can lead to,
    stay as they are, and such a sample has no label either. notes: what became of missing inputs, and which samples
    have values that are not finite.
    """

    values: Array
    labels: Array | None
    columns: tuple[str, ...]
    missing: Array
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ClassResult:
    """The true and the predicted class of each sample: indices (N,), of K classes."""

    target: Array
    predicted: Array
    k: int

    def counts(self) -> ClassCounts:
        """What the scores of the classes are read off."""
        return ClassCounts.of(self.target, self.predicted, self.k)

    def confusion(self) -> Array:
        """(K, K): row the true class, column the predicted one."""
        return confusion_matrix(self.target, self.predicted, self.k)


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """Loss and metrics on one split.

    metrics: those of the config. all_metrics: these and every other one for the task, with its defaults. notes: what
    became of missing values, and a warning of outputs that are not finite. classes: the true and the predicted ones,
    where there are classes.
    baselines: all metrics of the simple models that were fitted to the training split, by name: majority or mean, and
    linear; empty for a run without them. baseline_note: what to know of the linear one. threshold: where the line
    between two classes is. importance: of each column, where it was asked for. resamples: how many
    `intervals` come from; draw_intervals: computes them.
    """

    split: str
    samples: int
    loss: float
    metrics: Mapping[str, float]
    all_metrics: Mapping[str, float]
    notes: tuple[str, ...] = ()
    classes: ClassResult | None = None
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    baseline_note: str = ""
    threshold: Threshold | None = None
    importance: ImportanceResult | None = None
    resamples: int = 0
    draw_intervals: Callable[[], Mapping[str, Interval]] = dict

    @cached_property
    def intervals(self) -> Mapping[str, Interval]:
        """The 95 % interval of each metric of the config, by bootstrap; computed when it is asked for.

        A metric has none for fewer than 10 samples, or where all resamples agree, as when every label is right.
        """
        return self.draw_intervals()

    @property
    def confusion(self) -> Array | None:
        """The confusion matrix (K, K), row the true class, where there are classes; made when it is asked for."""
        return None if self.classes is None else self.classes.confusion()


class TrainedModel:
    """The network of a checkpoint."""

    def __init__(self, checkpoint: Checkpoint, folder: Path | None, notes: Sequence[str] = ()) -> None:
        self.checkpoint = checkpoint
        self.notes = tuple(notes)  # what the user should know of how it was found
        self.folder = folder
        source = str(checkpoint.path)
        tree = YamlTree(source, dict(checkpoint.config), {})
        base = folder if folder is not None else Path()
        with damage_is_a_run_error(checkpoint.path):
            self.file = ConfigFile(parse(tree), tree, base)
            self.plan = data_plan(self.file)
            self.model: Model = build_model(self.file, self.plan, checkpoint.preparation)
        self.theta, self.stats = checkpoint.weights(self.model.network)

    @classmethod
    def load(cls, path: str | Path, *, which: str | None = None) -> TrainedModel:
        """From a run folder or a checkpoint file.

        which: "best" or "last" of a run folder; None is the best, or the last with early_stopping.restore_best: false.

        Raises:
            RunError: there is no checkpoint, or it cannot be used.
            ValueError: `which` is something else, or the path is a checkpoint itself.
        """
        if which not in (None, "best", "last"):
            raise ValueError(f"which: expected 'best' or 'last', got {which!r}")
        try:
            return cls._load(Path(path), which)
        except MemoryError:
            raise RunError(f"{path}: its network does not fit into memory") from None

    @classmethod
    def _load(cls, path: Path, which: str | None) -> TrainedModel:
        if path.is_file():
            if which is not None:
                raise ValueError(f"which: {path} is a checkpoint itself; name its run folder to take the {which} one")
            refuse_other_files(path)
            folder = folder_of(path)
            return cls(load_checkpoint(path), folder if (folder / "config.yaml").is_file() else None)
        run = find_run(path)
        checkpoint, notes = _checkpoint_of(run, which)
        return cls(checkpoint, run.path, notes)

    @property
    def preparation(self) -> Preparation:
        """How raw data becomes inputs, learnt on the training data."""
        return self.checkpoint.preparation

    def predict(self, x: Any) -> Prediction:
        """Predictions for raw samples, unscaled.

        Args:
            x: numbers (N, *shape), the columns in the order of training; or a table, whose columns are matched by
                name: a frame as of pandas or polars, a dictionary of columns, a structured array. Columns that the
                network was not trained on are not looked at. None and NA are missing values.

        Raises:
            DataError: a column is missing, a value is no number, or the shape is not that of the training data.
        """
        return self._predict_raw(samples(x, self.preparation, self.plan))

    def predict_file(self, path: str | Path) -> Prediction:
        """Predictions for a file, a line for each of its rows.

        CSV columns are matched by name, and a target column may be there or not. A row with a missing input has no
        prediction, where the network was trained with data.missing: drop.

        Raises:
            DataError: the file cannot be used, or lacks a column.
        """
        source = Source(Path(path), label=str(path), is_argument=True)
        with fits_into_memory(str(path)):
            return self._predict_raw(read_like(self.preparation, source, self.plan, need_target=False))

    def _predict_raw(self, raw: RawData) -> Prediction:
        missing, rows = np.zeros(len(raw.x), bool), None
        notes = fill_notes(self.preparation, raw, self.plan.missing)
        dropped = inputs_to_drop_for(raw, self.plan.missing)
        if dropped is not None and (missing := lacking(dropped)).any():
            if missing.all():
                raise DataError(f"{raw.source}: every row has a missing value, so that there is nothing to predict")
            rows = np.flatnonzero(~missing)
            raw = dataclasses.replace(raw, x=raw.read_x[rows])
            lost = np.flatnonzero(missing)
            first = [row + 1 for row in lost[:10].tolist()]
            notes = (*fill_notes(self.preparation, raw, self.plan.missing),)
            notes += (no_prediction_note(raw.source, len(lost), len(missing), first),)
        with one_blas_thread():
            x = self.model.inputs(self.preparation.inputs(raw, self.plan.dtype, rows))
            prediction = self.said(predict(self.model.network, self.theta, x, stats=self.stats))
        prediction, not_finite = without_labels_of_nothing(prediction if rows is None else spread(prediction, missing))
        if not_finite.any():
            first = [row + 1 for row in np.flatnonzero(not_finite)[:10].tolist()]
            has_class = prediction.labels is not None
            notes += (not_finite_note(raw.source, int(not_finite.sum()), len(not_finite), first, has_class=has_class),)
        return dataclasses.replace(prediction, notes=notes)

    def said(self, output: Array) -> Prediction:
        """The network's outputs (N, *out_shape) in the data's own terms, without notes."""
        preparation, missing, notes = self.preparation, np.zeros(len(output), bool), ()
        if preparation.classes is not None:
            values = preparation.probabilities(output, self.file.config.loss.boundary)
            labels = np.array(preparation.classes)[values.argmax(axis=1)]
            prefix = "p_" if self.gives_probabilities else "score_"
            columns = tuple(f"{prefix}{name}" for name in preparation.classes)
            return Prediction(values, labels, columns, missing, notes)
        values = preparation.values(output)
        names = preparation.target_names or tuple(f"y{k + 1}" for k in range(values.shape[1]))
        if preparation.several_yes_or_no:
            columns = tuple(f"p_{name}" for name in names)
            return Prediction(values, (values > 0.5).astype(np.int64), columns, missing, notes)
        return Prediction(values, None, names, missing, notes)

    @property
    def files(self) -> tuple[Path, ...]:
        """What it comes from and no output may replace: the checkpoint, the other files of its run, the run's data."""
        if self.folder is None:
            return (self.checkpoint.path,)
        return (self.checkpoint.path, *RunFolder(self.folder).files(), *data_files(self.plan).values())

    @property
    def gives_probabilities(self) -> bool:
        """Whether the outputs lie in 0..1 by their activation."""
        return self.model.gives_probabilities

    @cached_property
    def _summary(self) -> Mapping[str, Any]:
        """The summary.json of the run; empty without one, or if it is of other data."""
        values = {} if self.folder is None else read_summary(RunFolder(self.folder).summary)
        return values if values.get("data_sha256") == self.checkpoint.info["data"] else {}

    @cached_property
    def baselines(self) -> Baselines | None:
        """The simple models that were fitted when training ended; None for a run that has none."""
        return Baselines.from_plain(self._summary.get("baselines"), self.model)

    @property
    def data_note(self) -> str | None:
        """What to say before `parts` are read: which files outside of the run's folder that is."""
        return None if self.folder is None else data_note(self.plan, self.folder)

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """The splits of the training run, read again from their files.

        Raises:
            RunError: the checkpoint lies in no run folder, so nothing says where its data is; or the data has changed.
        """
        if self.folder is None:
            raise RunError(f"{self.checkpoint.path}: lies in no run folder; name the data: --data FILE")
        return self._read_parts("name the file to evaluate on: --data FILE")

    def training_part(self) -> Part:
        """The training split, for a command that takes no other data.

        Raises:
            RunError: as for `parts`.
        """
        if self.folder is None:
            raise RunError(
                f"{self.checkpoint.path}: lies in no run folder, so nothing says where its data is: name the run"
            )
        return self._read_parts("put back the files that the run was trained on")["train"]

    def _read_parts(self, remedy: str) -> Mapping[str, Part]:
        with of_a_run(self.plan, remedy):
            datasets = load_datasets(self.plan, split_stream(self.file.config))
        if dict(datasets.hashes) != self.checkpoint.info["data"]:
            raise RunError(
                f"{self.folder}: the data files have changed since the training (see data_sha256 in summary.json); "
                f"{remedy}"
            )
        if datasets.preparation.input_shape != self.preparation.input_shape:
            raise RunError(
                f"{self.checkpoint.path}: damaged: its inputs are not those that its config makes of the data"
            )
        return datasets.parts

    def evaluate(self, split: str | None = None, *, importance: bool = False) -> EvaluationResult:
        """On a split of the run: test if there is one, else val, else train.

        importance: whether the importance of each column is computed too.

        Raises:
            UsageError: there is no such split, or importance is asked for and the inputs are images.
        """
        if importance:
            input_groups(self.preparation)
        parts = self.parts
        name = next(name for name in ("test", "val", "train") if name in parts) if split is None else split
        if name not in parts:
            raise UsageError(f"--split {name}: this run has {', '.join(parts)}")
        return self._evaluate(name, parts[name], importance)

    def evaluate_file(
        self, path: str | Path, targets: str | Path | None = None, *, importance: bool = False
    ) -> EvaluationResult:
        """On another file, prepared as the training data was.

        importance: whether the importance of each column is computed too.

        Raises:
            DataError: the file cannot be used, or has no target.
            UsageError: importance is asked for and the inputs are images.
        """
        if importance:
            input_groups(self.preparation)
        pair = Path(path), None if targets is None else Path(targets)
        source = Source(*pair, label=str(path), is_argument=True)
        with fits_into_memory(str(path)):
            part = load_part(self.preparation, source, self.plan)
        return self._evaluate(str(path), part, importance)

    def _evaluate(self, name: str, part: Part, importance: bool) -> EvaluationResult:
        with fits_into_memory(name), one_blas_thread():
            result = self._evaluated(name, part)
            if not importance:
                return result
            columns = importance_on(self.model, part, self.theta, self.stats)
        return dataclasses.replace(result, importance=columns)

    def _evaluated(self, name: str, part: Part) -> EvaluationResult:
        model = self.model
        if objection := model.objection_to(part):
            raise DataError(f"{name}: {objection[1]}")
        evaluation = Evaluator(model.network, model.config.loss, self.theta, model.samples(part), stats=self.stats)()
        known = (registry.metrics.get(key)() for key in registry.metrics.names())
        others = {metric_name(metric): metric for metric in known if metric.task == self.preparation.task}
        every, output = {**model.metrics, **others}, evaluation.output
        with np.errstate(all="ignore"):  # what overflows is shown as it is, inf or nan
            values = {key: metric(output) for key, metric in model.metric_functions(part, every).items()}
        metrics = {key: values[key] for key in model.metrics}
        classes = None
        if self.preparation.classes is not None:
            predicted = self.preparation.probabilities(output, model.config.loss.boundary).argmax(axis=1)
            classes = ClassResult(part.y, predicted, len(self.preparation.classes))
        baselines = self.baselines
        compared = {} if baselines is None else baselines.scores(model, part, every)
        return EvaluationResult(
            split=name,
            samples=len(part),
            loss=evaluation.loss,
            metrics=metrics,
            all_metrics=values,
            notes=(*part.notes, *_not_finite_note(name, output), *self._missing_baselines()),
            classes=classes,
            baselines=compared,
            baseline_note="" if baselines is None else baselines.note,
            threshold=threshold_of(model, part, output, stored_threshold(self._summary, self.checkpoint.state["step"])),
            resamples=resamples(model.metric_arguments(part, output)[1]),
            draw_intervals=partial(intervals_on, model, part, output, model.metrics),
        )

    def _missing_baselines(self) -> tuple[str, ...]:
        """What to say of a run whose summary lacks baselines: one that has not ended, or an older version's."""
        if self.folder is None or self.baselines is not None:
            return ()
        return (f"{self.folder}: has no baselines to compare with: bpcli resume {self.folder} adds them",)


def _not_finite_note(name: str, output: Array) -> tuple[str, ...]:
    """What to say of an evaluation in which some outputs are not finite."""
    lost = int((~np.isfinite(output)).any(axis=1).sum())
    if not lost:
        return ()
    return (
        f"warning: {name}: what the network gives for {lost} of {len(output)} samples is not finite: no metric, and no "
        "row of a confusion matrix, is worth anything",
    )


def no_prediction_note(source: str, count: int, rows: int, first: Sequence[int]) -> str:
    """Which rows of the data have no prediction. first: the numbers of the first ten, from 1."""
    return (
        f"{source}: {count} of {rows} rows have a missing value and no prediction: "
        f"their lines are left empty ({_numbered(count, first)})"
    )


def not_finite_note(source: str, count: int, rows: int, first: Sequence[int], *, has_class: bool) -> str:
    """Which rows have values that are not finite. first: the numbers of the first ten, from 1."""
    return (
        f"warning: {source}: what the network gives for {count} of {rows} rows is not finite"
        f"{', so that they have no class' if has_class else ''} ({_numbered(count, first)}): are they in the units of "
        "the training data?"
    )


def _numbered(count: int, first: Sequence[int]) -> str:
    """`rows 1, 7, ...`."""
    return f"row{'' if len(first) == 1 else 's'} {', '.join(map(str, first))}{', ...' if count > len(first) else ''}"


def without_labels_of_nothing(prediction: Prediction) -> tuple[Prediction, npt.NDArray[np.bool_]]:
    """Takes the label from each sample whose values are not finite; also gives which they are, (N,).

    The largest of several values means nothing where one is NaN.
    """
    lost = ~np.isfinite(prediction.values).all(axis=1) & ~prediction.missing
    if prediction.labels is None or not lost.any():
        return prediction, lost
    labels = prediction.labels.copy()
    labels[lost] = _no_label(labels)
    return dataclasses.replace(prediction, labels=labels), lost


def _no_label(labels: Array) -> str | int:
    """What stands for no class among such labels."""
    return "" if labels.dtype.kind == "U" else -1


def spread(prediction: Prediction, missing: Array) -> Prediction:
    """Predictions for the complete rows as those for all of them."""
    values = np.full((len(missing), prediction.values.shape[1]), np.nan)
    values[~missing] = prediction.values
    labels = prediction.labels
    if labels is not None:
        spread = np.full((len(missing), *labels.shape[1:]), _no_label(labels), labels.dtype)
        spread[~missing] = labels
        labels = spread
    return dataclasses.replace(prediction, values=values, labels=labels, missing=missing)


def _checkpoint_of(run: RunFolder, which: str | None) -> tuple[Checkpoint, list[str]]:
    best, notes = run.checkpoints / "best.npz", list[str]()
    if which != "last" and best.exists():
        try:
            checkpoint = load_checkpoint(best)
        except RunError as error:
            raise RunError(
                f"{error}. last.npz holds the best weights too: bpcli resume {typed(run.path)} writes it anew"
            ) from error
        with damage_is_a_run_error(best):
            stopping = checkpoint.config["training"]["early_stopping"]
            restores_best = stopping is None or stopping["restore_best"]
        if which == "best" or restores_best:
            return checkpoint, []
    last, damaged = last_checkpoint(run)
    if last is None:
        raise RunError(f"{run.path}: has no checkpoint yet; go on training: bpcli resume {typed(run.path)}")
    if which != "last" and last.state["best"] is not None and not best.exists():
        missing = f"{best}: is missing; bpcli resume {typed(run.path)} writes it anew"
        if which == "best":
            raise RunError(f"{missing}; or take the last weights: --checkpoint last")
        notes.append(f"{missing}; taking {last.path} instead")
    return last, [*notes, *(f"{note}; taking {last.path} instead" for note in damaged)]
