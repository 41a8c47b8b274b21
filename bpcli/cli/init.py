"""bpcli init: an example to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli.output import write


def init(
    name: Annotated[str | None, typer.Argument(help="The example's name; see --list.", show_default=False)] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the examples.")] = False,
) -> None:
    """Writes an example config and its data.

    The files are configs/NAME.yaml and its data in datasets/. No file is overwritten.

    Example: bpcli init iris
    """
    from bpcli.examples import describe_examples, needs_data, write_example

    if list_ or name is None:
        write(describe_examples())
        return
    for path in write_example(name, Path()):
        write(f"wrote {path}")
    if needs_data(name):
        write(f"its data is not included: the comment at the top of configs/{name}.yaml says how to name the files")
    else:
        write(f"next: bpcli train configs/{name}.yaml")
