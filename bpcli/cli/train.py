"""bpcli train and bpcli resume: from a config to a trained network, at once or in several goes."""

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
        from bpcli.build.session import load_checked
        from bpcli.views.progress import progress, run_table
        from bpcli.workflows.train import start_run

        file = load_checked(config, set_ or ())
        with progress(quiet=quiet) as on_report:
            notes = (lambda text: None) if quiet else notify
            run = start_run(file, out=out, threads=threads, on_report=on_report, notify=notes)
    if not quiet:
        write(run_table(run))


def resume(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder, or a checkpoint in it.", show_default=False)
    ],
    set_: options.Set = None,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
) -> None:
    """Continues a run from its last checkpoint.

    The result is the same, bit for bit, as if the run had never stopped.

    Example: bpcli resume runs/xor --set training.epochs=10000
    """
    with before_training():
        from bpcli.views.progress import progress, run_table
        from bpcli.workflows.resume import resume_run

        with progress(quiet=quiet) as on_report:
            notes = (lambda text: None) if quiet else notify
            result = resume_run(run, set_ or (), threads=threads, on_report=on_report, notify=notes)
    if result is not None and not quiet:
        write(run_table(result))
