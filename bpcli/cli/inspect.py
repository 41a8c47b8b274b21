"""bpcli validate, summary and step: what a config amounts to, before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import notify, write


def validate(config: options.Config, set_: options.Set = None) -> None:
    """Checks a config and its data without training.

    Example: bpcli validate configs/iris.yaml
    """
    from bpcli.build.advice import warnings
    from bpcli.build.session import load_checked, open_session
    from bpcli.text import printable
    from bpcli.views.inspect import data_text

    session = open_session(load_checked(config, set_ or ()))
    for note in session.datasets.notes:
        notify(note)
    for text in warnings(session):
        notify(text)
    write(f"{printable(str(config))}: OK\n{data_text(session)}")


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
    from bpcli.views.inspect import summary_text
    from bpcli.workflows.trained import TrainedModel

    if config.is_dir() or config.suffix == ".npz":
        model = TrainedModel.load(config).model
        network, settings = model.network, model.config
    else:
        file = load_config(config, set_ or ())
        settings = file.config
        network = check_alone(file) or open_session(file).model.network
    write(summary_text(network, settings))


def step(config: options.Config, set_: options.Set = None, json: options.Json = False) -> None:
    """Shows one training step with every number in it.

    Shows z, a, the loss, delta, every gradient, and the weights before and after.

    The batch is the first training.batch_size samples in their own order.

    Example: bpcli step configs/textbook-2-2-2.yaml
    """
    from bpcli.build.session import open_session
    from bpcli.config.load import load_config
    from bpcli.views.inspect import first_step, step_json, step_text

    session = open_session(load_config(config, set_ or ()))
    for note in session.datasets.notes:
        notify(note)
    with session.memory_errors():
        trace = first_step(session)
    if not trace.finite:
        notify("warning: a value in this step is not finite: training would stop here as diverged, with exit code 5")
    write(step_json(trace) if json else step_text(trace, session.model.config.optimizer))
