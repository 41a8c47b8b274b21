"""A config file, with overrides, as a checked `Config` that still knows on which line each key stands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bpcli.config.schema import Config
from bpcli.config.strict import how_to_write
from bpcli.config.yaml_tree import Path as KeyPath
from bpcli.config.yaml_tree import YamlTree, dotted, parse_override, read_yaml, set_value
from bpcli.errors import ConfigError
from bpcli.text import brief

LOCATIONS = ("train", "val", "test")
LONGEST_LINE = 1000  # characters of one problem


@dataclass(frozen=True)
class ConfigFile:
    """A config and where it came from. Relative paths in it start at `folder`."""

    config: Config
    tree: YamlTree
    folder: Path

    def located(self, key: KeyPath, message: str) -> str:
        """`file:line key: message`, or `--set key: message`."""
        return _line(self.tree, key, message)

    def error(self, *problems: tuple[KeyPath, str]) -> ConfigError:
        """An error that shows each problem at its key."""
        return ConfigError(self.located(key, message) for key, message in problems)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> ConfigFile:
    """Reads and checks a config.

    Args:
        path: the YAML file. Relative paths in it are relative to its folder.
        overrides: KEY=VALUE, as after `--set`. Relative paths in them are relative to the current folder, where they
            are typed.

    Raises:
        ConfigError: every problem found, one `file:line key: ...` each.
    """
    path = Path(path)
    tree = read_yaml(path)
    for text in overrides:
        key, value = parse_override(text)
        tree = set_value(tree, key, _from_here(key, value))
    config = parse(tree)
    if config.name is None:
        config = config.model_copy(update={"name": _plain_name(path)})
    return ConfigFile(config, tree, path.parent)


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
