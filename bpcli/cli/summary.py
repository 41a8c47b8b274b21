"""bpcli summary: the table of layers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import write


def summary(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG|RUN",
            help="A YAML file, a run folder or a checkpoint.",
            show_default=False,
            callback=options.no_example,
        ),
    ],
    set_: options.Set = None,
) -> None:
    """Shows the layers, their shapes and parameters.

    Example: bpcli summary configs/mnist-30.yaml
    """
    from bpcli.build.session import check_alone, open_session
    from bpcli.config.load import load_config
    from bpcli.views.summary import summary_text
    from bpcli.workflows.trained import TrainedModel

    if config.is_dir() or config.suffix == ".npz":
        model = TrainedModel.load(config).model
        network, settings = model.network, model.config
    else:
        file = load_config(config, set_ or ())
        settings = file.config
        network = check_alone(file) or open_session(file).model.network
    write(summary_text(network, settings))
