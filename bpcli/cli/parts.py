"""bpcli parts: every part that a config can name."""

from __future__ import annotations

from typing import Annotated

import typer

from bpcli.cli.output import write


def parts(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="layers, activations, losses, optimizers, schedules, metrics or initializers; default: all of them.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Lists the available parts, with keys and defaults.

    Example: bpcli parts optimizers
    """
    from bpcli.views.reference import KINDS, parts_called, reference

    if kind is not None and kind not in KINDS:
        hint = "".join(f"; {name} is one of the {where}: bpcli parts {where}" for where, name in parts_called(kind))
        raise typer.BadParameter(f"expected one of {', '.join(KINDS)}, got {kind}{hint}", param_hint="[KIND]")
    write(reference(None if kind is None else [kind]))
