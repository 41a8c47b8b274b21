"""Arguments and options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from bpcli.errors import UsageError


def no_example(config: Path) -> Path:
    """The path of a config, unchanged.

    Raises:
        UsageError: there is no such file, but an example of that name; the message says how to get it.
    """
    if not config.exists():
        from bpcli.examples import example_names

        copy = Path("configs") / f"{config.stem}.yaml"
        if config.stem in example_names() and not copy.exists() and not (config.parent / copy).exists():
            raise UsageError(f"{config}: there is no such file; {config.stem} is an example: bpcli init {config.stem}")
    return config


def place(text: str) -> Path:
    """The path that an option names, `~` being the home folder: no shell replaces that in --out=~/runs.

    Raises:
        BadParameter: it names nothing, or the home folder of nobody.
    """
    if not text.strip():
        raise typer.BadParameter("names nothing; the current folder is .")
    path = os.path.expanduser(text)
    if path.startswith("~"):
        raise typer.BadParameter(f"{text}: there is no such user; a folder of that name is ./{text}")
    return Path(path)


Config: TypeAlias = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The YAML file.", show_default=False, callback=no_example)
]
Set: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change a key of the config, such as training.epochs=300; may be given more than once. "
        "Paths are relative to the current folder.",
        show_default=False,
    ),
]
Which: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        metavar="best|last",
        help="Of a run. Default: best, or last with early_stopping.restore_best: false.",
        show_default=False,
    ),
]
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1, max=1024, help="Number of threads; results do not depend on it. Default: one for each processor."
    ),
]
Quiet: TypeAlias = Annotated[bool, typer.Option("--quiet", "-q", help="Show errors only.")]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
