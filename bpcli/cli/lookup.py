"""bpcli parts and epochs-calc: what can be looked up without a config or a run."""

from __future__ import annotations

from typing import Annotated

import typer

from bpcli.cli.output import write

MOST = 10**18


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


def epochs_calc(
    n: Annotated[int, typer.Option("--n", min=1, max=MOST, help="Samples in the training set.", show_default=False)],
    batch: Annotated[int, typer.Option("--batch", min=1, max=MOST, help="Samples in a batch.", show_default=False)],
    epochs: Annotated[int | None, typer.Option(min=1, max=MOST, help="Epochs, to count all iterations.")] = None,
    drop_last: Annotated[bool, typer.Option("--drop-last", help="Leave a short last batch out.")] = False,
) -> None:
    """Counts the iterations (updates) of an epoch.

    ceil(N / B) for N samples in batches of B.

    Example: bpcli epochs-calc --n 50000 --batch 256 --epochs 10
    """
    drops = drop_last and batch <= n  # as in training, where a batch larger than the data is reduced to their size
    iterations = n // batch if drops else -(-n // batch)
    formula = f"floor({n}/{batch})" if drops else f"ceil({n}/{batch})"
    left = n % batch
    last = f", {left} samples left out" if drops and left else f", the last batch with {left}" if left else ""
    if batch > n:
        last = f", with all {n} samples"
    write(f"{n} samples in batches of {batch}: {formula} = {_count(iterations, 'iteration')} per epoch{last}.")
    if epochs is not None:
        total = _count(iterations * epochs, "iteration")
        write(f"{_count(epochs, 'epoch')}: {epochs} x {iterations} = {total} in all.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
