"""Loads a config file, with overrides, as a checked `Config` with the line number of each key."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bpcli.config.schema import Config
from bpcli.config.strict import how_to_write
from bpcli.config.tree import KeyPath, YamlTree, dotted, parse_override, read_yaml, set_value
from bpcli.errors import ConfigError
from bpcli.text import brief

LOCATIONS = ("train", "val", "test")
_SOUND: dict[str, Any] = {
    "network": {"layers": [1, 1]},
    "loss": "mse",
    "optimizer": {"type": "sgd", "learning_rate": 0.1},
    "training": {"epochs": 1},
}
LONGEST_LINE = 1000  # characters of one problem


@dataclass(frozen=True)
class ConfigFile:
    """A config and its source. Relative paths in it are relative to `folder`."""

    config: Config
    tree: YamlTree
    folder: Path
    assumed: frozenset[str] = frozenset()  # sections that replace wrong ones: errors in them are not reported

    def located(self, key: KeyPath, message: str) -> str:
        """`file:line key: message`, or `--set key: message`."""
        return _line(self.tree, key, message)

    def error(self, *problems: tuple[KeyPath, str]) -> ConfigError:
        """An error that shows each problem at its key."""
        return ConfigError(self.located(key, message) for key, message in problems if not self.assumed & {*key[:1]})


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> ConfigFile:
    """Reads and checks a config.

    Args:
        path: the YAML file. Relative paths in it are relative to its folder.
        overrides: KEY=VALUE, as after `--set`. Relative paths in them are relative to the current folder.

    Raises:
        ConfigError: lists every problem found, as `file:line key: ...`.
        TypeError: the overrides are not a list of texts.
    """
    path = Path(path)
    tree = _read(path, overrides)
    config = parse(tree)
    if config.name is None:
        config = config.model_copy(update={"name": _plain_name(path)})
    return ConfigFile(config, tree, path.parent)


def _texts(overrides: Iterable[str]) -> list[str]:
    """The overrides as a list; TypeError for a single string, which would be read letter by letter, and for a dict."""
    if not isinstance(overrides, (str, bytes, Mapping)):
        texts = list(overrides)
        if all(isinstance(text, str) for text in texts):
            return texts
    raise TypeError(
        f"overrides: expected a list of texts KEY=VALUE, such as ['training.epochs=3'], got {overrides!r:.100}"
    )


def load_sound_sections(path: str | Path, overrides: Sequence[str] = ()) -> ConfigFile | None:
    """A wrong config with its wrong sections replaced by valid ones, to find further errors.

    From its data section only the wrong keys are removed. None if the config cannot be read or does not name the
    training data.
    """
    path = Path(path)
    try:
        tree = _read(path, overrides)
    except ConfigError:
        return None
    values, assumed = dict(tree.value), set[str]()
    for _ in range(2):  # a key removed from the data section may be required
        try:
            config = Config.model_validate(values)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                section = str(item["loc"][0]) if item["loc"] else ""
                assumed.add(section)
                values = _without(values, section, item["loc"])
        else:
            return ConfigFile(config, tree, path.parent, frozenset(assumed))
    return None


def _without(values: dict[str, Any], section: str, loc: tuple[int | str, ...]) -> dict[str, Any]:
    """The config with the error at `loc` removed."""
    others = {key: value for key, value in values.items() if key != section}
    if section != "data":
        return others | {section: _SOUND[section]} if section in _SOUND else others
    data = values.get("data")
    if not isinstance(data, dict):
        return others
    return others | {"data": {key: value for key, value in data.items() if key not in loc[1:2]}}


def _read(path: Path, overrides: Iterable[str]) -> YamlTree:
    texts = _texts(overrides)
    tree = read_yaml(path)
    for text in texts:
        key, value = parse_override(text)
        tree = set_value(tree, key, _from_here(key, value))
    return tree


def parse(tree: YamlTree) -> Config:
    """The config in a tree.

    Raises:
        ConfigError: lists every problem found.
    """
    try:
        return Config.model_validate(tree.value)
    except ValidationError as error:
        raise ConfigError(_lines(tree, error)) from None


def _lines(tree: YamlTree, error: ValidationError) -> list[str]:
    """The problems sorted by line, those of overrides last."""
    found = []
    for item in error.errors(include_url=False):
        key = tuple(step for step in item["loc"] if isinstance(step, int) or "[" not in step)
        found.append((tree.line(key), key, str(item.get("ctx", {}).get("message", item["msg"]))))
    found.sort(key=lambda one: (one[0] is None, one[0] or 0))
    return [_line(tree, key, message) for _, key, message in found]


def _line(tree: YamlTree, key: KeyPath, message: str) -> str:
    where, name = tree.where(key), dotted(key)
    line = f"{where}: {message}" if not key or where == f"--set {name}" else f"{where} {name}: {message}"
    return brief(line, LONGEST_LINE)  # quoted values may be long and contain any character


def _from_here(key: KeyPath, value: Any) -> Any:
    """Makes paths in an override relative to the current folder, not to the config's."""
    if isinstance(value, dict):
        return {name: _from_here((*key, name), item) for name, item in value.items()}
    if key[:1] != ("data",) or len(key) not in (2, 3) or key[1] not in LOCATIONS:
        return value
    is_path = isinstance(value, str) and not how_to_write(value)  # else it is a fraction in the wrong notation
    return os.path.abspath(os.path.expanduser(value)) if is_path else value


def _plain_name(path: Path) -> str:
    """The config's file name, without characters that do not suit a folder's name."""
    name = "".join(c if c.isalnum() or c in " .+-_" else "-" for c in path.stem).lstrip(" .+-")
    return name[:100].rstrip(" .+-") or "run"
