"""What a checkpoint's metadata hold, field by field, and of what kind: checked before any of it is used."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from bpcli.engine.training.state import generator_at

Kind = Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _generator(value: Any) -> bool:
    """Whether a generator can be put into that state; ValueError and others where NumPy refuses it."""
    return generator_at(value) is not None


def _texts_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


def _numbers_by_name(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_number, value.values()))


def _or_none(kind: Kind) -> Kind:
    return lambda value: value is None or kind(value)


def _list_of(kind: Kind) -> Kind:
    return lambda value: isinstance(value, list) and all(map(kind, value))


PREPARATION: Mapping[str, Kind] = {
    "task": lambda value: value in ("classification", "regression"),
    "in_shape": _list_of(lambda value: _whole(value) and value > 0),
    "byte_input": lambda value: isinstance(value, bool),
    "feature_names": _or_none(_list_of(_text)),
    "target_names": _or_none(_list_of(_text)),
    "classes": _or_none(_list_of(_text)),
    "target_width": lambda value: _whole(value) and value > 0,
    "class_weights": _or_none(_list_of(lambda value: _number(value) and value >= 0)),
}
STATE: Mapping[str, Kind] = {
    "epoch": _whole,
    "step": _whole,
    "position": _whole,
    "loss_sum": _number,
    "shuffle_before": _or_none(_generator),
    "stall_value": _or_none(_number),
    "stall_epoch": _whole,
    "memory": _numbers_by_name,
    "scalars": _numbers_by_name,
}
BEST: Mapping[str, Kind] = {
    "value": _number,
    "epoch": _whole,
    "step": _whole,
    "shuffle": _generator,
    "noise": _list_of(_generator),
    "memory": _numbers_by_name,
    "scalars": _numbers_by_name,
    "stall_value": _number,
    "stall_epoch": _whole,
}
_STATE_AND_MORE: Mapping[str, Kind] = {
    **STATE,
    "shuffle": _generator,
    "noise": _list_of(_generator),
    "best": _or_none(_mapping),
}
INFO: Mapping[str, Kind] = {"data": _texts_by_name, "stop": _or_none(_text), "environment": _texts_by_name}
_PARTS: Mapping[str, Kind] = {
    "config": _mapping,
    "preparation": _mapping,
    "state": _mapping,
    "info": _mapping,
    "arrays": _mapping,
}


def check_metadata(meta: Mapping[str, Any]) -> None:
    """ValueError naming the first field that is missing, unknown or of another kind than was saved."""
    _check(meta, {**_PARTS, "format": _whole}, "")
    _check(meta["preparation"], PREPARATION, "preparation.")
    # best.npz has no clock: see save_checkpoint
    clock = {"seconds": _number} if "seconds" in meta["state"] else {}
    _check(meta["state"], {**_STATE_AND_MORE, **clock}, "state.")
    _check(meta["info"], INFO, "info.")
    if meta["state"]["best"] is not None:
        _check(meta["state"]["best"], BEST, "state.best.")


def _check(values: Mapping[str, Any], kinds: Mapping[str, Kind], prefix: str) -> None:
    for name, kind in kinds.items():
        if name not in values or not kind(values[name]):
            raise ValueError(f"{prefix}{name} is not what was saved")
    if more := set(values) - set(kinds):
        raise ValueError(f"{prefix}{min(more)} is unknown")
