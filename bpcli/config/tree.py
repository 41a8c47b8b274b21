"""A config's text as plain values with their line numbers, and `--set` overrides of them.

    tree = read_yaml(pathlib.Path("configs/xor.yaml"))
    tree = set_value(tree, *parse_override("training.epochs=300"))
    tree.value["training"]["epochs"]           # 300
    tree.where(("network", "layers", 1))       # "configs/xor.yaml:10"
    tree.where(("training", "epochs"))         # "--set training.epochs"

`bpcli.config.reader` defines how YAML is read.
"""

from __future__ import annotations

import difflib
import pathlib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from bpcli.config.dump import dump_yaml
from bpcli.config.reader import MAX_BYTES, MAX_DEPTH, MAX_KEY, KeyPath, read_value
from bpcli.errors import ConfigError
from bpcli.text import brief

__all__ = [
    "KeyPath",
    "YamlTree",
    "dotted",
    "dump_yaml",
    "parse_override",
    "parse_yaml",
    "read_yaml",
    "set_value",
]

# training.epochs, network.layers.0.units, network.layers[0].units
_OVERRIDE_KEY = re.compile(r"[^\s.\[\]]+(?:\.[^\s.\[\]]+|\[[0-9]+\])*")
_STEP = re.compile(r"[^.\[\]]+")
_INDEX = re.compile(r"[0-9]+")
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # pathlib turns two slashes into one
_ZIP = b"PK\x03\x04"
_DATA_ENDINGS = (".csv", ".tsv", ".npy")


@dataclass(frozen=True)
class YamlTree:
    """Plain values with the source location of each.

    `source` is the file's name as the user typed it, `lines` the 1-based line of each mapping key and list item by its
    path (the root has the path ()), `overrides` the paths that were set from the command line.
    """

    source: str
    value: Any
    lines: Mapping[KeyPath, int]
    overrides: frozenset[KeyPath] = frozenset()

    def where(self, path: KeyPath) -> str:
        """`file:line` or `--set key` of the value at `path`, or of the innermost known value around it."""
        for length in range(len(path), -1, -1):
            prefix = path[:length]
            if prefix in self.overrides:
                return f"--set {dotted(prefix)}"
            if length and prefix in self.lines:
                return f"{self.source}:{self.lines[prefix]}"
        makers = [override for override in self.overrides if path and override[: len(path)] == path]
        if len(makers) == 1:  # a mapping that only this override created
            return f"--set {dotted(makers[0])}"
        return f"{self.source}:{self.lines[()]}" if () in self.lines else self.source

    def line(self, path: KeyPath) -> int | None:
        """The 1-based line of `path` or of the innermost known value around it; None if that was set by an override."""
        known = next(path[:length] for length in range(len(path), -1, -1) if self._knows(path[:length]))
        return None if known in self.overrides else self.lines.get(known)

    def _knows(self, path: KeyPath) -> bool:
        return not path or path in self.overrides or path in self.lines


def dotted(path: KeyPath) -> str:
    """`network.layers[2].units` for ("network", "layers", 2, "units")."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def parse_yaml(text: str | bytes, source: str) -> YamlTree:
    """The tree of a complete config, whose root is a mapping.

    Raises:
        ConfigError: the text is not strict YAML, is empty or not a mapping; one `source:line: ...` for each problem.
    """
    value, lines = read_value(text, source)
    if value is None:
        raise ConfigError([f"{source}: the file is empty; `bpcli init` writes an example"])
    if not isinstance(value, dict):
        example = "`key: value` lines, such as `name: xor`, with a space after the colon"
        raise ConfigError([f"{source}:{lines[()]}: a config consists of {example}"])
    return YamlTree(source, value, lines)


def read_yaml(path: pathlib.Path, source: str | None = None) -> YamlTree:
    """The tree of the file at `path`, called `source` in messages (default: the path itself).

    Raises:
        ConfigError: it is missing, no regular file, unreadable, too large or not UTF-8; or as in `parse_yaml`.
    """
    source = str(path) if source is None else source
    try:
        status = path.stat()
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):  # it may never end
            raise ConfigError([f"{source}: not a file but a device, pipe or socket; save the config in a file"])
        if stat.S_ISREG(status.st_mode) and status.st_size == 0:
            text = b""  # not even opened: a kernel log such as /proc/kmsg never ends
        else:
            with path.open("rb") as file:
                text = file.read(MAX_BYTES + 1)  # one byte more than the limit, to detect larger files
    except FileNotFoundError:
        what = "this is a URL; save the file and name it" if _URL.match(source) else "there is no such file"
        raise ConfigError([f"{source}: {what}{'' if _URL.match(source) else _suggestion(path)}"]) from None
    except IsADirectoryError:
        raise ConfigError([f"{source}: {_of_a_folder(path)}"]) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError([f"{source}: cannot be read: {reason}"]) from None
    if text.startswith(_ZIP):
        raise ConfigError([f"{source}: {_of_a_zip(path)}"])
    if text and path.suffix.lower() in _DATA_ENDINGS:
        raise ConfigError([f"{source}: this is a data file; a config names it as data.train; see bpcli init"])
    return parse_yaml(text, source)


def _of_a_folder(path: pathlib.Path) -> str:
    if (path / "config.yaml").is_file():
        return f"this is a run folder; its config is {path / 'config.yaml'}"
    files = sorted(str(file) for file in list(path.iterdir())[:1000] if file.suffix in (".yaml", ".yml"))
    return "this is a folder; name a YAML file in it" + (f", such as {files[0]}" if files else "")


def _of_a_zip(path: pathlib.Path) -> str:
    config = path.parent.parent / "config.yaml"
    beside = f"the config of its run is {config}" if config.is_file() else "the config of a run is its config.yaml"
    return f"this is a checkpoint (.npz) or another zip file, not a config; {beside}"


def _suggestion(path: pathlib.Path) -> str:
    """`; did you mean ...?` with YAML files of similar names near a missing one, or ""."""
    folders = [path.parent, path.parent / "configs"]
    try:
        beside = [file for folder in folders if folder.is_dir() for file in list(folder.iterdir())[:1000]]
    except OSError:
        return ""
    if not path.parent.exists():
        return f"; the folder {path.parent} does not exist either"
    files = [file for file in beside if file.suffix in (".yaml", ".yml")]
    # without suffixes, which would make all names similar
    by_stem = {file.stem.casefold(): file for file in files if file.is_file()}
    stem = path.stem.casefold()
    close = [stem] if stem in by_stem else difflib.get_close_matches(stem, by_stem)
    return f"; did you mean {' or '.join(str(by_stem[stem]) for stem in close)}?" if close else ""


def parse_override(text: str) -> tuple[KeyPath, Any]:
    """Path and value of `training.epochs=300`, `network.layers[0].units=5`, `loss={type: mse, delta: 1e-3}`.

    The value is read as in a file; an empty value is null.

    Raises:
        ConfigError: the text is not of the form KEY=VALUE, or the value is not strict YAML.
    """
    key, equals, value_text = text.partition("=")
    key = key.strip()
    steps = _STEP.findall(key)
    fits = _OVERRIDE_KEY.fullmatch(key) and key.isprintable() and all(len(step) <= MAX_KEY for step in steps)
    if not equals or not fits:
        raise ConfigError([f"--set {brief(text)}: expected KEY=VALUE, such as --set training.epochs=300"])
    path: KeyPath = tuple(int(step) if _INDEX.fullmatch(step) else step for step in steps)
    if len(path) >= MAX_DEPTH:
        raise ConfigError([f"--set {brief(key)}: nested deeper than {MAX_DEPTH} levels"])
    if value_text == ",":  # a value of data.decimal: the shell removes the quotes that YAML requires
        return path, value_text
    value, _ = read_value(value_text, f"--set {key}", numbered=False, max_depth=MAX_DEPTH - len(path))
    return path, value


def set_value(tree: YamlTree, path: KeyPath, value: Any) -> YamlTree:
    """A new tree with `value` at `path`; `tree` is not changed.

    Missing mappings along the path are created. A plain text along the path becomes {"type": text}, as for `optimizer:
    adam` and the path optimizer.learning_rate; not under `data`, where texts are not types.

    Raises:
        ConfigError: the path is empty, names an item beyond a list's end, or leads into a number or boolean.
    """
    if not path:
        raise ConfigError(["--set: name a key, such as --set training.epochs=300"])
    root = parent = _entered(tree.value, path, 0)
    for depth, step in enumerate(path[:-1], start=1):
        child = parent.get(step) if isinstance(parent, dict) else parent[step]
        parent[step] = child = _entered(child, path, depth)
        parent = child
    parent[path[-1]] = value

    def stays(known: KeyPath) -> bool:
        return known[: len(path)] != path

    return replace(
        tree,
        value=root,
        lines={known: line for known, line in tree.lines.items() if stays(known)},
        overrides=frozenset({path, *filter(stays, tree.overrides)}),
    )


def _entered(value: Any, path: KeyPath, depth: int) -> Any:
    """A copy of the mapping or list at path[:depth], after checking that path[depth] can be set in it."""
    step, name = path[depth], dotted(path[:depth]) or "the config"
    if value is None or (isinstance(value, str) and path[0] != "data"):
        value = {} if value is None else {"type": value}
    if isinstance(value, dict) and isinstance(step, str):
        return dict(value)
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return list(value)
    if isinstance(value, list):
        reason = f"is a list of {len(value)}, whose first item is {name}[0]" if value else "is an empty list"
    else:
        reason = "is a mapping, not a list" if isinstance(value, dict) else f"is {brief(repr(value))} and holds no keys"
    raise ConfigError([f"--set {dotted(path)}: {name} {reason}"])
