"""bpcli eval: loss and metrics of a trained network."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import notify, write


def evaluate(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run folder or a checkpoint file. Default: the newest under runs/.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Evaluate on this file instead of the run's own data; give it twice for inputs and labels.",
            show_default=False,
            parser=options.place,
            metavar="PATH",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="train, val or test. Default: test if there is one, else val, else train.")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="best or last. Default: best, or last with early_stopping.restore_best: false.", show_default=False
        ),
    ] = None,
    importance: Annotated[
        bool,
        typer.Option("--importance", help="Show by how much the first metric gets worse when a column is shuffled."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Shows loss and metrics of a trained network, beside those of simple models.

    For a classification also the scores of each class and the confusion matrix.

    Example: bpcli eval runs/iris --split train
    """
    from bpcli.views.scores import evaluation_json, evaluation_text
    from bpcli.workflows.trained import TrainedModel

    if checkpoint not in (None, "best", "last"):
        raise typer.BadParameter(f"expected best or last, got {checkpoint}", param_hint="--checkpoint")
    if checkpoint is not None and run is not None and run.is_file():
        raise typer.BadParameter(f"{run} is a checkpoint itself; name its run folder", param_hint="--checkpoint")
    if data and split is not None:
        raise typer.BadParameter("a file given with --data has no splits", param_hint="--split")
    if data and len(data) > 2:
        raise typer.BadParameter("takes one file, or two: inputs and labels", param_hint="--data")
    model = TrainedModel.load(chosen_run(run), which=checkpoint)
    for note in model.notes:
        notify(note)
    if not data and (reading := model.data_note):
        notify(reading)
    evaluated = partial(model.evaluate_file, *data) if data else partial(model.evaluate, split)
    result = evaluated(importance=importance)
    for note in result.notes:
        notify(note)
    write(evaluation_json(model, result) if json else evaluation_text(model, result))


def chosen_run(run: Path | None) -> Path:
    """The given run, or the newest one under runs/; prints a note if it is unclear which is newest."""
    from bpcli.runs.folder import future_note, newest_run

    if run is not None:
        return run
    newest = newest_run(Path("runs"))
    if note := future_note(newest):
        notify(note)
    return newest.path
