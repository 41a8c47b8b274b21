"""The examples that come with bpcli: configs, each with a comment on what it shows, and the data they use."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from bpcli.errors import UsageError
from bpcli.runs.files import disk_errors
from bpcli.runs.held import HeldFolder
from bpcli.text import nearest, printable, shown


def examples_folder() -> Path:
    """Where configs/ and datasets/ lie: inside the installed package, or beside it in a source tree."""
    package = Path(__file__).parent
    installed = package / "examples"
    return installed if installed.is_dir() else package.parent


def example_names() -> list[str]:
    """Every example's name, in alphabetical order."""
    return sorted(path.stem for path in (examples_folder() / "configs").glob("*.yaml"))


def describe_examples() -> str:
    """A line for each example: its name, and the first sentence of its comment."""
    names = example_names()
    width = max(map(len, names))
    lines = [f"{name:{width}}  {_first_comment(name)}" for name in names]
    return "\n".join([*lines, "", f"Write one with its data: bpcli init {'iris' if 'iris' in names else names[0]}"])


def _first_comment(name: str) -> str:
    text = _config(name).read_text(encoding="utf-8")
    return text.splitlines()[0].removeprefix("#").strip()


def write_example(name: str, target: Path) -> list[Path]:
    """Copies an example's config and data into target/configs and target/datasets; gives what was written.

    Raises:
        UsageError: there is no such example, its config exists already, if only as a link that leads nowhere, or there
            is another file where its data belong.
        DiskError: a file cannot be written. RunError: configs or datasets is a symbolic link.
    """
    if name not in example_names():
        if Path(name).suffix not in ("", ".yaml", ".yml") and Path(name).is_file():
            option = f"bpcli init --data {shlex.quote(name)}"
            raise UsageError(f"{printable(name)} is a table, for which a config is written with: {printable(option)}")
        near = nearest(Path(name).stem, example_names())
        hint = f"; did you mean {near}?" if near else f"; there are {', '.join(example_names())}"
        raise UsageError(f"no example is called {shown(name)}{hint}")
    source = _config(name)
    config = target / "configs" / source.name
    if os.path.lexists(config):
        raise UsageError(f"{config} exists already: bpcli init overwrites nothing")
    data = {target / name: examples_folder() / name for name in dict.fromkeys(_data_of(source))}
    for path, origin in data.items():
        if os.path.lexists(path) and not _holds_the_same(path, origin):
            raise UsageError(f"{path} exists already and is not the example's: rename it, or work in another folder")
    written = []
    with HeldFolder.opened(target) as held:
        for path, origin in {**data, config: source}.items():  # the config last: what is cut off can be repeated
            if not path.exists():
                held.make_folder(path.parent)
                held.create(path, origin.read_bytes())
                written.append(path)
    return written


def _holds_the_same(path: Path, origin: Path) -> bool:
    with disk_errors(f"cannot read {path}"):
        if not path.is_file() or path.stat().st_size != origin.stat().st_size:
            return False
        return path.read_bytes() == origin.read_bytes()


def needs_data(name: str) -> bool:
    """Whether the example's data does not come with bpcli, and the user has to say where it is."""
    return not _data_of(_config(name))


def _config(name: str) -> Path:
    return examples_folder() / "configs" / f"{name}.yaml"


def _data_of(config: Path) -> list[str]:
    """The data files in datasets/ that a config names."""
    return re.findall(r"\.\./(datasets/[\w.-]+)", config.read_text(encoding="utf-8"))
