"""What a checkpoint's metadata hold, field by field, and of what kind: checked before any of it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

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
    _check(meta["preparation"], PREPARATION, "preparation.")
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
