"""bpcli train: from a config to a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import notify, write
from bpcli.system import before_training


def train(
    config: options.Config,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The run folder. Default: runs/NAME, or NAME-2, ... if that exists.",
            show_default=False,
            parser=options.place,
            metavar="PATH",
        ),
    ] = None,
    set_: options.Set = None,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
) -> None:
    """Trains a network from a config and writes a run folder.

    The folder holds the config as used, the losses, the checkpoints and a summary.

    Example: bpcli train configs/xor.yaml --set training.epochs=2000
    """
    with before_training():
        from bpcli.build.checks import load_checked
        from bpcli.views.progress import progress, run_table
        from bpcli.workflows.train import start_run

        file = load_checked(config, set_ or ())
        with progress(quiet=quiet) as on_report:
            notes = (lambda text: None) if quiet else notify
            run = start_run(file, out=out, threads=threads, on_report=on_report, notify=notes)
    if not quiet:
        write(run_table(run))
