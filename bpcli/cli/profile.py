"""bpcli profile: the time of each part of training."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import write


def profile(
    config: options.Config,
    set_: options.Set = None,
    threads: options.Threads = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="About how many seconds to measure.")] = 2.0,
    json: options.Json = False,
) -> None:
    """Shows where the time of training goes, layer by layer.

    Trains for some seconds without writing a run, and shows the cost of a step and of the work between steps.

    Example: bpcli profile configs/xor.yaml
    """
    from bpcli.config.load import load_config
    from bpcli.views.profile import profile_json, profile_text, unseen_display
    from bpcli.workflows.profile import profile_config

    if not math.isfinite(seconds):
        raise typer.BadParameter(f"expected a finite number, got {seconds}", param_hint="--seconds")
    file = load_config(config, set_ or ())
    with unseen_display() as display:
        found = profile_config(file, display, threads=threads, seconds=seconds)
    write(profile_json(found) if json else profile_text(found))
