"""bpcli predict: predictions of a trained network for new data."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import notify, write_data, write_output

if TYPE_CHECKING:
    from bpcli.views.predictions import Form
    from bpcli.workflows.prediction_stream import PredictionStream

_STDIN = Path("-")


def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[RUN] INPUT",
            help="A run folder or checkpoint (default: the newest run), and the data file; - is a CSV from stdin.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write to this file instead of the terminal: .csv, .tsv, .txt or .jsonl, each also .gz.",
            show_default=False,
            parser=options.place,
            metavar="PATH",
        ),
    ] = None,
    form: Annotated[
        Literal["csv", "jsonl"] | None,
        typer.Option("--format", help="CSV or JSON lines. Default: as the output's name says, else csv."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Copy this column of the input to the output, as text; may be given several times.",
            show_default=False,
        ),
    ] = None,
    proba: Annotated[
        bool | None,
        typer.Option(help="Only the probabilities, or only the label. Default: both.", show_default=False),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(metavar="K", help="The K most probable classes, each with its probability.", show_default=False),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="P",
            help="Of two classes, take the second one from this probability on. Default: the more probable one.",
            show_default=False,
        ),
    ] = None,
    on_bad_row: Annotated[
        Literal["error", "empty", "skip"],
        typer.Option(help="What becomes of a row that cannot be read: an error, an empty prediction, or none."),
    ] = "error",
    spreadsheet_safe: Annotated[
        bool,
        typer.Option(
            "--spreadsheet-safe", help="Put ' before names and texts that a spreadsheet would take for formulas."
        ),
    ] = False,
) -> None:
    """Writes predictions as CSV or JSON lines, one row for each sample.

    A row holds the label and the probabilities, or the values in the data's own units. Input columns are matched by
    name. Tables of any size are read block by block, also from a pipe.

    Line i belongs to row i. Its cells are empty if a value is missing and data.missing is drop.

    Example: bpcli predict runs/iris new-flowers.csv -o predictions.csv
    """
    from bpcli.cli.evaluate import chosen_run
    from bpcli.views.predictions import PredictionWriter
    from bpcli.workflows.prediction_stream import PredictionStream
    from bpcli.workflows.trained import TrainedModel

    run, data = _run_and_data(paths)
    model = TrainedModel.load(chosen_run(run))
    if output is not None:
        _check_output(output, data, model.files)
    if data.is_dir():  # of images, told apart by their paths
        if keep not in (None, [], ["file"]):
            raise typer.BadParameter("images have no columns; their paths are kept as `file`", param_hint="--keep")
        keep = ["file"]
    shape = _form(output, form, keep or [], proba, top_k, threshold, spreadsheet_safe=spreadsheet_safe)
    if objection := shape.objection(model):
        raise typer.BadParameter(objection[1], param_hint=objection[0])
    for note in model.notes:
        notify(note)
    stream = PredictionStream(
        model,
        Path("stdin") if data == _STDIN else data,
        stream=sys.stdin.buffer if data == _STDIN else None,
        keep=shape.kept,
        on_bad_row=on_bad_row,
        threshold=threshold,
    )
    writer = PredictionWriter(shape)

    def write(put: Callable[[bytes], object]) -> None:
        with _progress(stream, shown=output is not None or not sys.stdout.isatty()) as advance:
            for block in stream:
                put(writer.text(block).encode())
                advance()

    if output is None:
        write(lambda content: write_data(content.decode()))
    else:
        write_output(output, write)
    for note in stream.notes():
        notify(note)
    if warning := writer.formula_note():
        notify(warning)
    if output is not None:
        notify(f"{output}: {stream.predicted} predictions by {model.checkpoint.path}")


def _form(
    output: Path | None,
    form: str | None,
    keep: Sequence[str],
    proba: bool | None,
    top_k: int | None,
    threshold: float | None,
    *,
    spreadsheet_safe: bool,
) -> Form:
    """What the options ask for.

    Raises:
        BadParameter: the output is of a kind that is not written, or two options contradict each other.
    """
    from bpcli.views.predictions import ENDINGS, JSON_LINES, SEPARATORS, Form, suffix_of

    suffix = suffix_of("" if output is None else output.name)
    if suffix is None:
        raise typer.BadParameter(f"{output}: expected {ENDINGS}: predictions are CSV or JSON lines", param_hint="-o")
    as_json = form == "jsonl" if form else suffix == JSON_LINES
    if suffix and suffix != ".txt" and as_json != (suffix == JSON_LINES):
        raise typer.BadParameter(f"{form}, but the name {output} asks for {suffix[1:]}", param_hint="--format")
    if as_json and spreadsheet_safe:
        raise typer.BadParameter("is for CSV, which spreadsheets open", param_hint="--spreadsheet-safe")
    if len(set(keep)) < len(keep):
        raise typer.BadParameter("names a column twice", param_hint="--keep")
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise typer.BadParameter(f"must be a probability, from 0 to 1, got {threshold:g}", param_hint="--threshold")
    if top_k is not None and top_k < 1:
        raise typer.BadParameter(f"must be at least 1, got {top_k}", param_hint="--top-k")
    if top_k is not None and proba:
        raise typer.BadParameter("gives classes, which --proba leaves out", param_hint="--top-k")
    if threshold is not None and (proba or top_k is not None):
        other = "--proba" if proba else "--top-k"
        raise typer.BadParameter(f"chooses the label, which {other} leaves out", param_hint="--threshold")
    return Form(
        separator=None if as_json else SEPARATORS[suffix],
        labels=proba is not True,
        values=proba is not False,
        top_k=top_k or 0,
        threshold=threshold,
        kept=tuple(keep),
        spreadsheet_safe=spreadsheet_safe,
    )


@contextmanager
def _progress(stream: PredictionStream, *, shown: bool) -> Iterator[Callable[[], object]]:
    """Yields the function that shows how many rows were read, on a terminal and after a second."""
    if not (shown and sys.stderr.isatty()):
        yield lambda: None
        return
    from tqdm import tqdm

    with tqdm(unit=" rows", unit_scale=True, delay=1.0, leave=False, file=sys.stderr) as bar:
        yield lambda: bar.update(stream.rows - bar.n)


def _run_and_data(paths: Sequence[Path]) -> tuple[Path | None, Path]:
    """The run, None for the newest one, and the data file; raises BadParameter if the paths are something else."""
    from bpcli.text import typed

    if len(paths) > 2:
        raise typer.BadParameter("takes a run and one data file", param_hint="[RUN] INPUT")
    if len(paths) == 1 and (paths[0] / "config.yaml").is_file():
        raise typer.BadParameter(f"name the data file after the run: bpcli predict {typed(paths[0])} FILE.csv")
    if len(paths) == 2 and (paths[1] / "config.yaml").is_file():
        fix = f"the run comes first: bpcli predict {typed(paths[1])} {typed(paths[0])}"
        if (paths[0] / "config.yaml").is_file():
            fix = f"two runs; name a data file after the run: bpcli predict {typed(paths[0])} FILE.csv"
        raise typer.BadParameter(fix, param_hint="[RUN] INPUT")
    return (paths[0] if len(paths) == 2 else None), paths[-1]


def _check_output(output: Path, data: Path, others: Sequence[Path]) -> None:
    """Refuses a place where no file can be written, and a file that the command reads or a run keeps.

    Raises:
        BadParameter: the name is that of no file, or of such a file. DiskError: there is no such folder.
    """
    from bpcli.errors import DiskError
    from bpcli.runs.folder import run_that_keeps

    what = ""
    if str(output) == "-":
        raise typer.BadParameter("-: names a file; without -o the predictions go to stdout", param_hint="-o")
    if output.is_dir():
        raise typer.BadParameter(
            f"{output} is a folder; name a file in it: {output / 'predictions.csv'}", param_hint="-o"
        )
    if not os.path.lexists(output.parent):
        raise DiskError(f"{output}: cannot be written: there is no folder {output.parent}")
    if output.is_file() and not os.access(output, os.W_OK):
        raise typer.BadParameter(f"{output} is write-protected; name another", param_hint="-o")
    if _is_stdin(output) if data == _STDIN else _same_file(output, data):
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


def _is_stdin(path: Path) -> bool:
    """Whether it is the file that stdin is read from."""
    try:
        return path.is_file() and os.path.samestat(path.stat(), os.fstat(sys.stdin.fileno()))
    except (OSError, ValueError):
        return False
