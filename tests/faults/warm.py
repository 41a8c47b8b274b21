"""Runs bpcli once as it is imported, for the process that others are forked from: then they have nothing to import."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from small_run import write_config

from bpcli.cli.main import main


def run_once() -> None:
    """Trains, goes on and evaluates in a folder that is then removed."""
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        os.chdir(folder)
        arguments = ["--out", "run", "--set", "training.epochs=1"]
        for command in (["train", write_config(), *arguments], ["resume", "run"], ["eval", "run"]):
            sys.argv = ["bpcli", *map(str, command)]
            with (
                contextlib.redirect_stdout(nowhere),
                contextlib.redirect_stderr(nowhere),
                contextlib.suppress(SystemExit),
            ):
                main()
        os.chdir(here)


run_once()
