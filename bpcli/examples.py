"""The examples that come with bpcli: configs, each with a comment on what it shows, and the data they use."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from bpcli.errors import UsageError
from bpcli.runs.files import disk_errors
from bpcli.text import nearest, shown


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
        UsageError: there is no such example, or its config exists already.
        DiskError: a file cannot be written.
    """
    if name not in example_names():
        near = nearest(Path(name).stem, example_names())
        hint = f"; did you mean {near}?" if near else f"; there are {', '.join(example_names())}"
        raise UsageError(f"no example is called {shown(name)}{hint}")
    source = _config(name)
    config = target / "configs" / source.name
    if config.exists():
        raise UsageError(f"{config} exists already: bpcli init overwrites nothing")
    used = _data_of(source)
    written = []
    for origin, path in [
        (source, config),
        *((examples_folder() / data, target / data) for data in dict.fromkeys(used)),
    ]:
        if not path.exists():
            with disk_errors(f"cannot write {path}"):
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(origin, path)
            written.append(path)
    return written


def needs_data(name: str) -> bool:
    """Whether the example's data does not come with bpcli, and the user has to say where it is."""
    return not _data_of(_config(name))


def _config(name: str) -> Path:
    return examples_folder() / "configs" / f"{name}.yaml"


def _data_of(config: Path) -> list[str]:
    """The data files in datasets/ that a config names."""
    return re.findall(r"\.\./(datasets/[\w.-]+)", config.read_text(encoding="utf-8"))
