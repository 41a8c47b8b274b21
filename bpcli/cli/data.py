"""bpcli data: what is in the data, and what will go wrong with it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import write

if TYPE_CHECKING:
    from bpcli.data.types import Source

_CONFIGS = (".yaml", ".yml")


def _no_example(paths: list[Path]) -> list[Path]:
    return [options.no_example(path) if path.suffix in _CONFIGS else path for path in paths]


def data(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="CONFIG|FILE...",
            help="A YAML file, or a data file; npy and IDX: two files, inputs and labels.",
            show_default=False,
            callback=_no_example,
        ),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="The target of a table without a config; may be given more than once. Default: as for init --data.",
            show_default=False,
        ),
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Compare the training data with this file; give it twice for inputs and labels.",
            show_default=False,
        ),
    ] = None,
    set_: options.Set = None,
    json: options.Json = False,
) -> None:
    """Shows what is in the data and what will go wrong: holes, ids, outliers, leaks, doubled rows, drift.

    Each warning has its columns, its rows and the line of a config that mends it.

    Example: bpcli data titanic.csv --target survived
    """
    from bpcli.build.session import load_checked
    from bpcli.views.data import data_json, data_text
    from bpcli.views.pictures import ASCII, BLOCKS
    from bpcli.workflows.inspection import inspect_config, inspect_file

    first, *others = files
    is_config = first.suffix in _CONFIGS
    _check(is_config=is_config, others=others, target=target, test=test, overrides=set_)
    further = _source(test) if test else None
    if is_config:
        found = inspect_config(load_checked(first, set_ or ()), further)
    else:
        found = inspect_file(_source(files), target or (), further)
    shades = BLOCKS if _can_show(BLOCKS) else ASCII
    write(data_json(found) if json else data_text(found, width=shutil.get_terminal_size().columns, shades=shades))
    if found.error is not None:
        raise found.error


def _check(
    *,
    is_config: bool,
    others: list[Path],
    target: list[str] | None,
    test: list[Path] | None,
    overrides: list[str] | None,
) -> None:
    """Refuses options that would not be looked at."""
    if is_config and others:
        raise typer.BadParameter("takes one config", param_hint="CONFIG")
    if len(others) > 1:
        raise typer.BadParameter("takes one data file, or two: inputs and labels", param_hint="FILE")
    if is_config and target:
        raise typer.BadParameter("is for a data file; for a config --set data.target=COLUMN", param_hint="--target")
    if not is_config and overrides:
        raise typer.BadParameter("is for a config; a data file has no keys", param_hint="--set")
    if test and len(test) > 2:
        raise typer.BadParameter("takes one file, or two: inputs and labels", param_hint="--test")


def _source(paths: list[Path]) -> Source:
    from bpcli.data.types import Source

    x, y = paths[0], paths[1] if len(paths) > 1 else None
    return Source(x, y, label=", ".join(map(str, paths)), is_argument=True)


def _can_show(text: str) -> bool:
    """Whether stdout's encoding has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
