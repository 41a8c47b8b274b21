"""From what files hold to what a network sees, and back: learnt on the training data, stored with the model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bpcli.data import columns, scaling
from bpcli.data.classes import Labels, class_indices, find_classes
from bpcli.data.csv_cells import how_to_write, is_plain_label
from bpcli.data.encoding import PreparedColumn, encoded, fit_columns, input_names
from bpcli.data.kinds import kinds
from bpcli.data.large import NpyRows, StoredInputs
from bpcli.data.scaling import Scaler
from bpcli.data.types import ColumnKind, DataPlan, Missing, RawData, Scaling, Targets, sample_number
from bpcli.engine.arrays import Array, DType, Shape
from bpcli.engine.training.samples import BYTE_SCALE
from bpcli.errors import DataError
from bpcli.text import shown

Task: TypeAlias = Literal["classification", "regression"]


@dataclass(frozen=True, eq=False)
class Preparation:
    """How raw data becomes inputs and targets, and outputs predictions.

    classes: the labels in the order of their indices, as text; None for a regression, and for a classification with
    several target columns, each of which is a yes-or-no of its own (0 or 1).
    in_shape: of one raw sample. byte_input: samples are bytes, scaled to 0..1. target_width: target columns.
    class_weights: what multiplies the loss of each class's samples; None where all are 1.
    fill: (D,), what each column of the inputs has in place of a missing value, before scaling; None: nothing.
    columns: how each column of a table with columns of several kinds becomes inputs; None for data of numbers alone.
    """

    task: Task
    in_shape: Shape
    byte_input: bool
    feature_names: tuple[str, ...] | None
    target_names: tuple[str, ...] | None
    classes: tuple[str, ...] | None
    target_width: int = 1
    class_weights: tuple[float, ...] | None = None
    x_scaler: Scaler | None = None
    y_scaler: Scaler | None = None
    fill: npt.NDArray[np.float64] | None = None
    columns: tuple[PreparedColumn, ...] | None = None

    @property
    def input_shape(self) -> Shape:
        """Of one sample as the network gets it."""
        return self.in_shape if self.columns is None else (len(input_names(self.columns)),)

    @property
    def input_names(self) -> tuple[str, ...] | None:
        """Of the inputs that the network gets, where they have names."""
        return self.feature_names if self.columns is None else input_names(self.columns)

    @property
    def several_yes_or_no(self) -> bool:
        """Whether each output is a yes-or-no of its own."""
        return self.task == "classification" and self.classes is None

    @property
    def target_kind(self) -> Targets:
        """What the targets of a further file are, where it would not be plain from that file alone.

        Among the labels 01, 1 and x the first two are not the same, and neither are they in a file that lacks the x.
        """
        if self.task == "regression":
            return "numbers"
        return "classes" if all(map(is_plain_label, self.classes or ())) else "labels"

    def inputs(self, raw: RawData, dtype: DType, rows: Array | None = None) -> Array | StoredInputs:
        """Network inputs (N, *input_shape): bytes as they are, or floats, scaled. Rows in a file stay there.

        rows: the rows of the file that `raw` is, for messages; None for all.

        Raises:
            DataError: another shape than the training data's, or a number that `dtype` cannot hold.
        """
        if raw.x.shape[1:] != self.in_shape:
            raise DataError(
                f"{raw.source}: samples of shape {raw.x.shape[1:]}, but the network was trained on {self.in_shape}"
            )
        if isinstance(raw.x, NpyRows):
            return self._stored_inputs(raw, raw.x, dtype)
        return self._inputs(raw, raw.x, dtype, rows)

    def _inputs(self, raw: RawData, values: Array, dtype: DType, rows: Array | None) -> Array:
        if self.columns is not None:
            return _cast(encoded(self.columns, raw, rows), dtype, raw, rows, self.input_names)
        if self.byte_input:
            values = _as_bytes(values, raw.source)
            if self.x_scaler is None:
                return values
        x = self.filled(as_floats(values, bytes_to_unit=self.byte_input))
        return _cast(self.x_scaler.apply(x) if self.x_scaler else x, dtype, raw, rows, self.feature_names)

    def filled(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Inputs (N, *in_shape) with what stands for missing ones filled in."""
        return x if self.fill is None else columns.filled(x, self.fill)

    def _stored_inputs(self, raw: RawData, x: NpyRows, dtype: DType) -> StoredInputs:
        """The same for rows in a file, block by block as they are read; what cannot be is found now."""
        try:
            self._inputs(raw, np.stack([x.low, x.high]), dtype, None)  # scaling is monotone: these are the extremes
        except DataError:
            for block, values in enumerate(x.blocks()):
                self._inputs(raw, values, dtype, x.rows_in(block))
        prepared = np.dtype(np.uint8 if self.byte_input and self.x_scaler is None else dtype)
        if self.x_scaler is None and x.dtype == prepared:
            return StoredInputs(x, None, prepared)
        return StoredInputs(x, lambda values, rows: self._inputs(raw, values, dtype, rows), prepared)

    def targets(self, raw: RawData, dtype: DType, rows: Array | None = None) -> Array:
        """Class indices (N,) int64, or floats (N, M), scaled. rows: as for `inputs`.

        Raises:
            DataError: no target, a class the training data does not have, or another number of target columns.
        """
        if raw.y is None:
            raise DataError(f"{raw.source}: has no target column")
        if self.classes is not None:
            return class_indices(raw.y, self.classes, raw.source, rows)
        y = _columns(raw.y, raw.source)
        if y.shape[1] != self.target_width:
            raise DataError(f"{raw.source}: has {y.shape[1]} target columns, the training data has {self.target_width}")
        if self.several_yes_or_no:
            _check_yes_or_no(y, raw.source, rows)
        return _cast(self.y_scaler.apply(y) if self.y_scaler else y, dtype, raw, rows, self.target_names)

    def values(self, output: Array) -> Array:
        """Outputs (N, M) of a regression in the data's own units, float64."""
        output = output.astype(np.float64)
        return self.y_scaler.undo(output) if self.y_scaler else output

    def probabilities(self, output: Array, boundary: float = 0.5) -> Array:
        """Outputs as one column for each class (N, K), float64: a single output p becomes 1 - p and p.

        boundary: where a single output turns from one class to the other.
        """
        output = output.astype(np.float64)
        if self.classes is not None and output.shape[1] == 1:
            return np.hstack([2.0 * boundary - output, output])
        return output


def prepare(raw: RawData, *, task: str, loss_for_classes: bool) -> Preparation:
    """What can be said before any scaling: task, classes, names, shapes.

    task: `auto` is classification for a loss that is for classes alone, or text labels, else regression.

    Raises:
        DataError: a task that does not fit the targets.
    """
    if raw.y is None:
        raise DataError(f"{raw.source}: has no target")
    text = raw.y.dtype.kind == "U"
    several = raw.y.ndim == 2 and raw.y.shape[1] > 1
    if task == "auto":
        task = "classification" if text or loss_for_classes else "regression"
    if task == "regression" and text:
        example = str(raw.y.flat[0])
        fix = "that is a classification, not a regression; set data.task: classification and loss: log_likelihood"
        if how := how_to_write(example, ".", comma_is_free=False):
            fix = f"if it is meant as a number, {how}; otherwise {fix}"
        raise DataError(f"{raw.source}: the target holds text such as {shown(example)}: {fix}")
    classes: tuple[str, ...] | None = None
    if task == "classification" and not several:
        classes = find_classes(raw, raw.y)
    return Preparation(
        task="classification" if task == "classification" else "regression",
        in_shape=raw.x.shape[1:],
        byte_input=raw.x.dtype == np.uint8,
        feature_names=raw.feature_names,
        target_names=raw.target_names,
        classes=classes,
        target_width=raw.y.shape[1] if raw.y.ndim == 2 else 1,
    )


def fit_scalers(preparation: Preparation, raw: RawData, rows: Array, *, x_kind: str, y_kind: str) -> Preparation:
    """The preparation with scalers fitted on these rows: for inputs, and for the targets of a regression.

    Raises:
        DataError: a column's smallest and largest value are further apart than float64 can say.
    """
    x_scaler = y_scaler = None
    as_bytes = preparation.byte_input
    if x_kind != "none" and preparation.columns is None:
        if isinstance(raw.x, NpyRows):
            blocks = (as_floats(block, bytes_to_unit=as_bytes) for block in raw.x.part(rows).blocks())
            low, high = (as_floats(values, bytes_to_unit=as_bytes) for values in (raw.x.low, raw.x.high))
            x_scaler = scaling.fit_blocks(x_kind, blocks, np.maximum(np.abs(low), np.abs(high)))
        else:
            x_scaler = scaling.fit(x_kind, preparation.filled(as_floats(raw.x[rows], bytes_to_unit=as_bytes)))
        _check_range(x_scaler, raw.source, raw.feature_names)
    if y_kind != "none" and preparation.task == "regression" and raw.y is not None:
        y_scaler = scaling.fit(y_kind, _columns(raw.y[rows], raw.source))
        _check_range(y_scaler, raw.source, raw.target_names)
    return dataclasses.replace(preparation, x_scaler=x_scaler, y_scaler=y_scaler)


def _check_range(scaler: Scaler | None, source: str, names: tuple[str, ...] | None) -> None:
    """DataError for a range that overflows, as from -1e308 to 1e308."""
    if scaler is None or np.isfinite(scaler.scale).all():
        return
    index = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(scaler.scale)))
    column = f"column {shown(names[index[0]]) if names and len(index) == 1 else index[0] + 1}"
    raise DataError(
        f"{source}: {column} starts at {scaler.shift[index]:g} and spans more than float64 holds, 1.8e308, so that "
        "data.scale: minmax has no scale for it: divide its values, or take data.scale: standard"
    )


def fit_kinds(preparation: Preparation, raw: RawData, rows: Array, *, missing: Missing, scale: Scaling) -> Preparation:
    """The preparation with the columns of a table of several kinds fitted on these rows.

    Raises:
        DataError: a column has no value in these rows.
    """
    if raw.kinds is None:
        return preparation
    return dataclasses.replace(preparation, columns=fit_columns(raw, rows, raw.kinds, missing, scale))


def kinds_of_columns(preparation: Preparation, plan: DataPlan) -> dict[str, ColumnKind]:
    """The kinds of the columns that the network was trained on, by name; none where all are numbers by themselves."""
    return {
        column.name: plan.columns.get(column.name) or kinds.get(column.kind)() for column in preparation.columns or ()
    }


def fit_fill(preparation: Preparation, raw: RawData, rows: Array, kind: str) -> Preparation:
    """The preparation with what stands for missing inputs fitted on these rows, for the kinds `mean` and `median`.

    Bytes cannot be missing.

    Raises:
        DataError: a column has no value in these rows; an image lacks a value.
    """
    if kind not in ("mean", "median") or preparation.byte_input or preparation.columns is not None:
        return preparation
    x = raw.read_x
    if x.ndim != 2:
        lacking = columns.lacking(x)
        if lacking.any():
            raise _missing_value(raw.source, f"sample {int(lacking.argmax()) + 1}", "", can_be_filled=False)
        return preparation
    names = columns.column_names(raw.feature_names, x.shape[1])
    fill = columns.fit_fill(kind, as_floats(x[rows]), names, raw.source)
    return dataclasses.replace(preparation, fill=fill)


def as_floats(x: Array, *, bytes_to_unit: bool = False) -> npt.NDArray[np.float64]:
    """x as float64; bytes are scaled to 0..1 if asked."""
    if x.dtype == np.uint8 and bytes_to_unit:
        return x * BYTE_SCALE
    return x.astype(np.float64, copy=False)


def _columns(y: Labels, source: str) -> npt.NDArray[np.float64]:
    if y.dtype.kind == "U":
        raise DataError(f"{source}: the target holds text such as {shown(str(y.flat[0]))}, a number is expected")
    return y.astype(np.float64).reshape(len(y), -1)


def _check_yes_or_no(y: Array, source: str, rows: Array | None) -> None:
    wrong = (y != 0) & (y != 1)
    if wrong.any():
        row, column = (int(index[0]) for index in np.nonzero(wrong))
        raise DataError(
            f"{source}: sample {sample_number(row, rows)}, target column {column + 1}: with several target columns a "
            f"classification takes 0 (no) or 1 (yes), got {y[row, column]:g}; for numbers to be predicted set "
            "data.task: regression and loss: mse"
        )


def _as_bytes(x: Array, source: str) -> npt.NDArray[np.uint8]:
    """Bytes as they are, other whole numbers from 0 to 255 as bytes: a network trained on bytes takes nothing else."""
    if x.dtype == np.uint8:
        return x
    if x.dtype.kind not in "iu" or x.min() < 0 or x.max() > 255:
        raise DataError(
            f"{source}: the network was trained on bytes (0 to 255), these are {x.dtype} from "
            f"{x.min():g} to {x.max():g}: store them as uint8"
        )
    return x.astype(np.uint8)


def _cast(
    x: npt.NDArray[np.float64], dtype: DType, raw: RawData, rows: Array | None, names: tuple[str, ...] | None
) -> Array:
    with np.errstate(over="ignore"):
        out = np.ascontiguousarray(x, dtype)
    if not np.isfinite(out).all():
        index = tuple(int(i[0]) for i in np.nonzero(~np.isfinite(out)))
        column = f" in column {shown(names[index[1]])}" if names and len(index) == 2 else ""
        sample = f"sample {sample_number(index[0], rows)}"
        if np.isnan(x[index]):
            raise _missing_value(raw.source, sample, column, can_be_filled=len(index) == 2)
        if np.isinf(x[index]):
            raise DataError(
                f"{raw.source}: {sample} is {x[index]:g}{column} as the network takes it, no "
                "finite number: is it in the units of the training data?"
            )
        raise DataError(f"{raw.source}: {sample} holds {x[index]:g}{column}, too large for {dtype}: set dtype: float64")
    return out


def _missing_value(source: str, sample: str, column: str, *, can_be_filled: bool) -> DataError:
    if can_be_filled:
        fix = "fill it; a network that is trained with data.missing: mean or median does so itself"
    else:
        fix = "an image is not filled in; leave it out, as data.missing: drop does"
    return DataError(f"{source}: {sample} has a missing value{column}: {fix}")
