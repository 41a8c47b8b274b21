"""Whether a checkpoint holds what bpcli saves: each field of its kind, names with shapes, arrays with their state.

The digests say only that nothing has changed since the file was made, not that bpcli made it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.training.state import AT_END_OF_EPOCH, KINDS, is_count, is_number

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _texts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _list_of(check: Check) -> Check:
    return lambda value: isinstance(value, list) and all(map(check, value))


PREPARATION: Mapping[str, Check] = {
    "task": lambda value: value in ("classification", "regression"),
    "in_shape": _list_of(lambda value: is_count(value) and value > 0),
    "byte_input": lambda value: isinstance(value, bool),
    "feature_names": _or_none(_list_of(_text)),
    "target_names": _or_none(_list_of(_text)),
    "classes": _or_none(_list_of(_text)),
    "target_width": lambda value: is_count(value) and value > 0,
    "class_weights": _or_none(_list_of(lambda value: is_number(value) and value >= 0)),
}
_OF_SOME_DATA: Mapping[str, Check] = {
    "columns": _list_of(_mapping),
    "x_clips": lambda value: value is True,
}
_STATE: Mapping[str, Check] = {**{name: kind.is_saved for name, kind in KINDS.items()}, "best": _or_none(_mapping)}
_BEST: Mapping[str, Check] = {"value": is_number, **{name: kind.is_saved for name, kind in AT_END_OF_EPOCH.items()}}
INFO: Mapping[str, Check] = {"data": _texts_by_name, "stop": _or_none(_text), "environment": _texts_by_name}
_PARTS: Mapping[str, Check] = {
    "config": _mapping,
    "preparation": _mapping,
    "state": _mapping,
    "info": _mapping,
    "arrays": _mapping,
}


def check_metadata(meta: Mapping[str, Any]) -> None:
    """ValueError naming the first field that is missing, unknown or of another kind than was saved."""
    _check(meta, {**_PARTS, "format": is_count}, "")
    of_these_data = {name: check for name, check in _OF_SOME_DATA.items() if name in meta["preparation"]}
    _check(meta["preparation"], {**PREPARATION, **of_these_data}, "preparation.")
    no_clock = {"seconds"} - set(meta["state"])  # in best.npz: see save_checkpoint
    _check(meta["state"], {name: check for name, check in _STATE.items() if name not in no_clock}, "state.")
    _check(meta["info"], INFO, "info.")
    if meta["state"]["best"] is not None:
        _check(meta["state"]["best"], _BEST, "state.best.")


def _check(values: Mapping[str, Any], checks: Mapping[str, Check], prefix: str) -> None:
    for name, check in checks.items():
        if name not in values or not check(values[name]):
            raise ValueError(f"{prefix}{name} is not what was saved")
    if more := set(values) - set(checks):
        raise ValueError(f"{prefix}{min(more)} is unknown")


_SCALER = {"shift", "scale"}


def is_weight(name: str) -> bool:
    """Whether an array is a layer's, LAYER.W, or one of a folder, such as optimizer/m."""
    return "." in name


def folder(arrays: Mapping[str, Array], name: str) -> dict[str, Array]:
    """The arrays called name/KEY, by KEY."""
    return {
        path.partition("/")[2]: array
        for path, array in arrays.items()
        if path.startswith(f"{name}/") and not is_weight(path)
    }


def check_sound(meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """ValueError naming what does not fit. meta: in the form that `check_metadata` has passed."""
    preparation = meta["preparation"]
    _check_names(preparation)
    _check_prepared(preparation, arrays)
    weights = {name: array for name, array in arrays.items() if is_weight(name)}
    optimizer, best = folder(arrays, "optimizer"), folder(arrays, "best")
    if best and (meta["state"]["best"] is None or set(best) != {"theta", "stats", *optimizer}):
        raise ValueError("the best weights are not those of its state")
    others = ("optimizer", "best", "x_scaler", "y_scaler", "fill")
    known = sum(len(folder(arrays, name)) for name in others)
    if len(weights) + known < len(arrays):
        raise ValueError("an array in it is neither a weight nor anything else that is saved")
    own = {f"best/{name}": best.pop(name) for name in ("theta", "stats") if best}
    for name, array in {**weights, **own}.items():
        if array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"{name} holds what is not a finite number")
    for name, array in [*optimizer.items(), *best.items()]:  # infinite where squares have overflown
        if array.dtype.kind != "f" or np.isnan(array).any():
            raise ValueError(f"the optimizer's {name} holds what is not a number")


def _check_names(preparation: Mapping[str, Any]) -> None:
    shape, width = preparation["in_shape"], preparation["target_width"]
    classes, weights = preparation["classes"], preparation["class_weights"]
    features, targets = preparation["feature_names"], preparation["target_names"]
    if not shape:
        raise ValueError("preparation.in_shape is empty")
    can_be_classes = preparation["task"] == "classification" and width == 1
    if classes is not None and not (can_be_classes and 2 <= len(set(classes)) == len(classes)):
        raise ValueError("preparation.classes are no classes of such a target")
    if weights is not None and len(weights) != len(classes or ()):
        raise ValueError("preparation.class_weights has not one number for each class")
    if features is not None and not shape == [len(features)] == [len(set(features))]:
        raise ValueError("preparation.feature_names has not one name for each input")
    columns = preparation.get("columns")
    if columns is not None and [column.get("name") for column in columns] != features:
        raise ValueError("preparation.columns has not one column for each input")
    if targets is not None and not width == len(targets) == len(set(targets)):
        raise ValueError("preparation.target_names has not one name for each target")


def _check_prepared(preparation: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Scalers and what is filled in: float64, a number for each input or target."""
    inputs, targets = tuple(preparation["in_shape"]), (preparation["target_width"],)
    for name, keys, shape in (
        ("x_scaler", _SCALER, inputs),
        ("y_scaler", _SCALER, targets),
        ("fill", {"values"}, inputs),
    ):
        found = folder(arrays, name)
        if found and set(found) != keys:
            raise ValueError(f"{name} has {sorted(found)} instead of {sorted(keys)}")
        for key, array in found.items():
            if array.shape != shape or array.dtype != np.float64 or np.isnan(array).any():
                raise ValueError(f"{name}/{key} has not one number for each column")
        if "scale" in found and not (found["scale"] > 0).all():
            raise ValueError(f"{name}/scale is not above 0")
