"""A config file, with overrides, as a checked `Config` that still knows on which line each key stands."""

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
    """A config and where it came from. Relative paths in it start at `folder`."""

    config: Config
    tree: YamlTree
    folder: Path
    assumed: frozenset[str] = frozenset()  # sections that stand in for wrong ones: no error is about them

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
        overrides: KEY=VALUE, as after `--set`. Relative paths in them are relative to the current folder, where they
            are typed.

    Raises:
        ConfigError: every problem found, one `file:line key: ...` each.
        TypeError: the overrides are not a list of texts.
    """
    path = Path(path)
    tree = _read(path, overrides)
    config = parse(tree)
    if config.name is None:
        config = config.model_copy(update={"name": _plain_name(path)})
    return ConfigFile(config, tree, path.parent)


def _texts(overrides: Iterable[str]) -> list[str]:
    """The overrides; a TypeError for a single text, whose letters would be taken one by one, and for a dictionary."""
    if not isinstance(overrides, (str, bytes, Mapping)):
        texts = list(overrides)
        if all(isinstance(text, str) for text in texts):
            return texts
    raise TypeError(
        f"overrides: expected a list of texts KEY=VALUE, such as ['training.epochs=3'], got {overrides!r:.100}"
    )


def load_sound_sections(path: str | Path, overrides: Sequence[str] = ()) -> ConfigFile | None:
    """A wrong config with something sound in place of its wrong sections, to find what else is wrong.

    Of its data section only the keys that are wrong are left out. None if it cannot be read, or does not say what the
    training data is.
    """
    path = Path(path)
    try:
        tree = _read(path, overrides)
    except ConfigError:
        return None
    values, assumed = dict(tree.value), set[str]()
    for _ in range(2):  # a key of the data that is left out may be missed
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
    """The config without what is wrong at `loc`."""
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
        ConfigError: every problem found.
    """
    try:
        return Config.model_validate(tree.value)
    except ValidationError as error:
        raise ConfigError(_lines(tree, error)) from None


def _lines(tree: YamlTree, error: ValidationError) -> list[str]:
    """The problems in the order of their lines, those of overrides last."""
    found = []
    for item in error.errors(include_url=False):
        key = tuple(step for step in item["loc"] if isinstance(step, int) or "[" not in step)
        found.append((tree.line(key), key, str(item.get("ctx", {}).get("message", item["msg"]))))
    found.sort(key=lambda one: (one[0] is None, one[0] or 0))
    return [_line(tree, key, message) for _, key, message in found]


def _line(tree: YamlTree, key: KeyPath, message: str) -> str:
    where, name = tree.where(key), dotted(key)
    line = f"{where}: {message}" if not key or where == f"--set {name}" else f"{where} {name}: {message}"
    return brief(line, LONGEST_LINE)  # what was quoted from the config may be long, and hold any character


def _from_here(key: KeyPath, value: Any) -> Any:
    """Paths typed in an override start at the current folder, not at the config's."""
    if isinstance(value, dict):
        return {name: _from_here((*key, name), item) for name, item in value.items()}
    if key[:1] != ("data",) or len(key) not in (2, 3) or key[1] not in LOCATIONS:
        return value
    is_path = isinstance(value, str) and not how_to_write(value)  # else a fraction, wrongly written
    return os.path.abspath(os.path.expanduser(value)) if is_path else value


def _plain_name(path: Path) -> str:
    """The config's own file name, without what a folder's name should not hold."""
    name = "".join(c if c.isalnum() or c in " .+-_" else "-" for c in path.stem).lstrip(" .+-")
    return name[:100].rstrip(" .+-") or "run"
