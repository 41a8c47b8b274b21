"""Samples handed over in memory: arrays, whose columns are in the order of training, and tables, by their names.

A table is whatever knows its columns by name: a frame as of pandas, polars or PyArrow, a mapping of columns, a
structured array. It is told by what it offers, so that none of these libraries is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from bpcli.data.csv_cells import label_text
from bpcli.data.input_columns import InputColumn, matrix, texts_of
from bpcli.data.preparation import Preparation, kinds_of_columns
from bpcli.data.types import DataPlan, RawData
from bpcli.engine.arrays import Array
from bpcli.errors import DataError
from bpcli.text import did_you_mean, listed, shown

_NAME = "x"


def samples(x: Any, preparation: Preparation, plan: DataPlan) -> RawData:
    """Samples (N, *shape) as the readers of files give them; None, NA and what is masked are missing values.

    Raises:
        DataError: a column is missing, a value is no number, or the shape is not that of the training data.
    """
    names = _column_names(x)
    if preparation.columns is not None:
        return _by_kind(x, names, preparation, plan)
    array = _array(x, preparation) if names is None else _by_name(x, names, preparation)
    _refuse_infinity(array, preparation.feature_names)
    if not preparation.byte_input:
        array = array.astype(np.float64)
    elif not len(array):
        array = array.astype(np.uint8)  # numbers that are not there are bytes too
    return RawData(_NAME, array, None, preparation.feature_names, None, ())


def _column_names(x: Any) -> list[Any] | None:
    """The names of a table's columns; None for what is no table."""
    if isinstance(x, Mapping):
        return list(x)
    if isinstance(x, np.ndarray):
        return None if x.dtype.names is None else list(x.dtype.names)
    if not (hasattr(x, "columns") and hasattr(x, "__getitem__") and hasattr(x, "__len__")):
        return None
    # PyArrow's `columns` are the columns themselves; asked of the type, for pandas takes any name for a column's
    return list(x.column_names if hasattr(type(x), "column_names") else x.columns)


def _by_kind(x: Any, names: list[Any] | None, preparation: Preparation, plan: DataPlan) -> RawData:
    """The columns that the network was trained on, each by its kind; columns without names in their order."""
    wanted = preparation.feature_names
    assert wanted is not None
    given = kinds_of_columns(preparation, plan)
    if names is None:
        array = np.array(x, dtype=object)
        if array.ndim != 2 or array.shape[1] != len(wanted):
            raise DataError(
                f"{_NAME}: has the shape {array.shape}, expected (N, {len(wanted)}): the columns {listed(wanted)}"
            )
        values: list[Any] = list(array.T)
    else:
        _check_names(names, wanted)
        values = [x[name] for name in wanted]
    inputs = [InputColumn(place, kind, ".") for place, kind in enumerate(given.values())]
    for name, column, own in zip(wanted, inputs, values, strict=True):
        cells = [cell_text(value) for value in np.asarray(own, dtype=object)]
        column.take(cells, range(1, len(cells) + 1))
        if column.wrong:
            raise DataError(
                f"{_NAME}: column {shown(name)}: sample {column.wrong[0]} holds {shown(column.wrong[1])}, expected "
                f"{column.kind.expected}"
            )
    if len({len(column.values) for column in inputs}) > 1:
        raise DataError(f"{_NAME}: the columns have different numbers of values")
    kinds = tuple(given.values())
    return RawData(_NAME, matrix(inputs), None, wanted, None, (), kinds=kinds, texts=texts_of(wanted, inputs))


def cell_text(value: Any) -> str:
    """A value in memory as a file would have it; empty for None, NA and NaN."""
    if value is None or type(value).__name__ in ("NAType", "NaTType") or value != value:
        return ""
    if isinstance(value, (float, np.floating)):
        return label_text(float(value)) if np.isfinite(value) else repr(float(value))
    return str(value)


def _by_name(table: Any, names: list[Any], preparation: Preparation) -> Array:
    """The columns that the network was trained on (N, D), in that order."""
    wanted = preparation.feature_names
    if wanted is None:
        raise DataError(
            f"{_NAME}: has columns with names, but the network was trained on data without names: give "
            f"an array of shape {_expected(preparation)}"
        )
    _check_names(names, wanted)
    columns = [_column(table[name], f"{_NAME}: column {shown(name)}") for name in wanted]
    for name, column in zip(wanted, columns, strict=True):
        if len(column) != len(columns[0]):
            raise DataError(
                f"{_NAME}: column {shown(name)} has {len(column)} values, column {shown(wanted[0])} {len(columns[0])}"
            )
    return np.column_stack(columns)


def _check_names(names: list[Any], wanted: Sequence[str]) -> None:
    texts = [name for name in names if isinstance(name, str)]
    missing = [name for name in wanted if name not in texts]
    if missing:
        guesses = ", ".join(shown(name) + did_you_mean(name, texts) for name in missing[:20])
        advice = (
            "" if texts or not names else "; columns without names: give them as an array, in the order of training"
        )
        raise DataError(
            f"{_NAME}: no column {guesses}, which the network was trained on; it has {listed(map(str, names))}{advice}"
        )
    for name in wanted:
        if texts.count(name) > 1:
            raise DataError(f"{_NAME}: has {texts.count(name)} columns {shown(name)}; rename or drop all but one")


def _column(values: Any, place: str) -> Array:
    """A column of a table, (N,)."""
    array = _as_array(values, f"{place}: the values are not all of one length, expected a number for each sample")
    if array.ndim != 1:
        got = f"the shape {array.shape}" if array.ndim else type(values).__name__
        raise DataError(f"{place}: expected a list of numbers, one for each sample, got {got}")
    return _numbers(array, values, place)


def _array(x: Any, preparation: Preparation) -> Array:
    """An array, or lists in lists, of the training data's shape."""
    expected, names = _expected(preparation), preparation.feature_names
    array = _as_array(x, f"{_NAME}: the samples are not all of one length, expected {expected}")
    if array.ndim == 0:
        file = "; for a file there is predict_file" if isinstance(x, (str, PathLike)) else ""
        raise DataError(f"{_NAME}: expected samples, numbers of shape {expected}, got {type(x).__name__}{file}")
    array = _numbers(array, x, _NAME)
    if array.shape == preparation.in_shape:
        raise DataError(f"{_NAME}: is one sample; give a list of samples, also for one: [{_NAME}]")
    if array.shape[1:] != preparation.in_shape:
        order = f": the columns {listed(names)} in this order" if names else ", samples as the network was trained on"
        raise DataError(f"{_NAME}: has the shape {array.shape}, expected {expected}{order}")
    return array


def _expected(preparation: Preparation) -> str:
    return f"({', '.join(['N', *map(str, preparation.in_shape)])})"


def _as_array(values: Any, ragged: str) -> Array:
    try:
        return np.asarray(values)
    except ValueError as error:
        raise DataError(ragged) from error


def _numbers(array: Array, values: Any, place: str) -> Array:
    """The array of these values, if they are numbers; those that Python or a frame holds one by one as float64."""
    mask = getattr(values, "mask", None)
    if isinstance(mask, (np.ndarray, np.bool)) and array.dtype.kind in "biuf" and mask.any():
        return np.where(mask, np.nan, array)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind not in "OUS":
        raise DataError(f"{place}: holds {array.dtype}, expected numbers")
    objects = np.asarray(values, dtype=object)  # among texts NumPy makes texts of numbers too
    numbers = np.empty(objects.shape)
    for index, value in np.ndenumerate(objects):
        numbers[index] = _number(value, f"{place}: sample {index[0] + 1}")
    return numbers


def _number(value: Any, place: str) -> float:
    if value is None or type(value).__name__ == "NAType":  # of pandas
        return np.nan
    if isinstance(value, (str, bytes)):
        raise DataError(f"{place} holds {shown(str(value))}, expected numbers")
    if not hasattr(value, "__float__") or np.ndim(value):
        kind = type(value).__name__
        raise DataError(f"{place} holds {'an' if kind[0] in 'aeiou' else 'a'} {kind}, expected numbers")
    try:
        return float(value)
    except OverflowError as error:
        raise DataError(f"{place} holds an int, too large for a number") from error


def _refuse_infinity(array: Array, names: tuple[str, ...] | None) -> None:
    if array.dtype.kind != "f" or not np.isinf(array).any():
        return
    index = tuple(int(axis[0]) for axis in np.nonzero(np.isinf(array)))
    column = f" in column {shown(names[index[1]])}" if names else ""
    raise DataError(f"{_NAME}: sample {index[0] + 1} holds {array[index]:g}{column}, expected a finite number")
