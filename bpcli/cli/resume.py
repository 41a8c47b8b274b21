"""bpcli resume: continues a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import say, tell
from bpcli.system import before_training


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
        from bpcli.config.load import load_config
        from bpcli.runs.folder import run_of
        from bpcli.views.progress import progress
        from bpcli.views.run_table import run_table
        from bpcli.workflows.resume import resume_run

        folder = run_of(run)
        epochs = load_config(folder.config, set_ or ()).config.training.epochs
        with progress(epochs, quiet=quiet) as show:
            notes = (lambda text: None) if quiet else tell
            result = resume_run(run, set_ or (), threads=threads, show=show, tell=notes)
    if result is not None and not quiet:
        say(run_table(result))
