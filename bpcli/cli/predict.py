"""bpcli predict: predictions of a trained network for new data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import notify, write_data, write_output
from bpcli.text import typed


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[RUN] INPUT",
            help="A run folder or checkpoint (default: the newest run), and the data file.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write to this file instead of the terminal: .csv, .tsv or .txt, each also .gz.",
            show_default=False,
            parser=options.place,
            metavar="PATH",
        ),
    ] = None,
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe", help="Put ' before names and labels that a spreadsheet would take for formulas."
        ),
    ] = False,
) -> None:
    """Writes predictions as CSV, one row for each sample.

    A row holds the label and the probabilities, or the values in the data's own units. Input columns are matched by
    name.

    Line i belongs to row i. Its cells are empty if a value is missing and data.missing is drop.

    Example: bpcli predict runs/iris new-flowers.csv -o predictions.csv
    """
    from bpcli.cli.evaluate import chosen_run
    from bpcli.views.predictions import ENDINGS, formula_note, packed_for, predictions_csv, separator_of
    from bpcli.workflows.trained import TrainedModel

    if len(paths) > 2:
        raise typer.BadParameter("takes a run and one data file", param_hint="[RUN] INPUT")
    if len(paths) == 1 and (paths[0] / "config.yaml").is_file():
        raise typer.BadParameter(f"name the data file after the run: bpcli predict {typed(paths[0])} FILE.csv")
    if len(paths) == 2 and (paths[1] / "config.yaml").is_file():
        fix = f"the run comes first: bpcli predict {typed(paths[1])} {typed(paths[0])}"
        if (paths[0] / "config.yaml").is_file():
            fix = f"two runs; name a data file after the run: bpcli predict {typed(paths[0])} FILE.csv"
        raise typer.BadParameter(fix, param_hint="[RUN] INPUT")
    model = TrainedModel.load(chosen_run(paths[0] if len(paths) == 2 else None))
    if output is not None:
        _check_output(output, paths[-1], model.files)
    separator = separator_of("" if output is None else output.name)
    if separator is None:
        raise typer.BadParameter(f"{output}: expected {ENDINGS}: predictions are written as CSV", param_hint="-o")
    for note in model.notes:
        notify(note)
    prediction = model.predict_file(paths[-1])
    for note in prediction.notes:
        notify(note)
    if not spreadsheet_safe and (warning := formula_note(prediction)):
        notify(warning)
    text = predictions_csv(prediction, separator=separator, spreadsheet_safe=spreadsheet_safe)
    if output is None:
        write_data(text)
    else:
        write_output(output, packed_for(output.name, text))
        notify(f"{output}: {int((~prediction.missing).sum())} predictions by {model.checkpoint.path}")


def _check_output(output: Path, data: Path, others: Sequence[Path]) -> None:
    """Raises BadParameter if no file can be written there, or it is one that the command reads or a run keeps."""
    from bpcli.runs.folder import run_that_keeps

    what = ""
    if str(output) == "-":
        raise typer.BadParameter("-: names a file; without -o the predictions go to stdout", param_hint="-o")
    if output.is_dir():
        raise typer.BadParameter(
            f"{output} is a folder; name a file in it: {output / 'predictions.csv'}", param_hint="-o"
        )
    if not os.path.lexists(output.parent):
        raise typer.BadParameter(f"{output}: there is no folder {output.parent}", param_hint="-o")
    if output.is_file() and not os.access(output, os.W_OK):
        raise typer.BadParameter(f"{output} is write-protected; name another", param_hint="-o")
    if _same_file(output, data):
        what = "the data file itself"
    elif (run := run_that_keeps(output)) is not None:
        what = f"a file of the run {run.path}"
    elif (same := next((other for other in others if _same_file(output, other)), None)) is not None:
        what = f"the file {same}, which belongs to the run"
    if what:
        raise typer.BadParameter(f"{output} is {what}; name another", param_hint="-o")


def _same_file(path: Path, other: Path) -> bool:
    """Whether both exist and are the same file, also through links."""
    try:
        return path.samefile(other)
    except OSError:
        return False
