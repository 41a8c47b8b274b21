"""bpcli epochs-calc: how many iterations an epoch has."""

from __future__ import annotations

from typing import Annotated

import typer

from bpcli.cli.output import write

MOST = 10**18


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
    drops = (
        drop_last and batch <= n
    )  # as in training: a batch larger than the data is reduced to its size and is then not a short one
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
