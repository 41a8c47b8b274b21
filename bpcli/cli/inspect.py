"""bpcli validate, summary, step and gradcheck: what a config or a run amounts to, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from bpcli.cli import arguments as options
from bpcli.cli.output import notify, write

Subject: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG|RUN",
        help="A YAML file, a run folder or a checkpoint.",
        show_default=False,
        callback=options.no_example,
    ),
]


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
    config: Subject,
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


def gradcheck(
    config: Subject,
    set_: options.Set = None,
    checkpoint: options.Which = None,
    samples: Annotated[
        int, typer.Option(min=1, max=10**9, help="How many numbers of a large W or b are checked, drawn at random.")
    ] = 50,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Draws the numbers that are checked.")] = 0,
    json: options.Json = False,
) -> None:
    """Compares the gradients of back-propagation with numerical ones.

    A line for each array of parameters shows the worst error and where it is. The exit code is 0 if every gradient is
    right and 8 if one is wrong.

    Example: bpcli gradcheck configs/digits-cnn.yaml
    """
    from bpcli.views.gradcheck import gradients_json, gradients_text
    from bpcli.workflows.gradcheck import check_config, check_run

    if _is_run(config, set_, checkpoint):
        found = check_run(config, checkpoint, notify, samples, seed)
    else:
        found = check_config(config, set_ or (), notify, samples, seed)
    write(gradients_json(found) if json else gradients_text(found))
    found.raise_if_wrong()


def _is_run(path: Path, set_: list[str] | None, checkpoint: str | None) -> bool:
    """Whether it names a run rather than a config; refuses the options of the other kind."""
    is_run = path.is_dir() or path.suffix == ".npz"
    if checkpoint not in (None, "best", "last"):
        raise typer.BadParameter(f"expected best or last, got {checkpoint}", param_hint="--checkpoint")
    if checkpoint is not None and not path.is_dir():
        raise typer.BadParameter(f"{path} is no run folder", param_hint="--checkpoint")
    if set_ and is_run:
        raise typer.BadParameter("changes a config; a run keeps its own", param_hint="--set")
    return is_run
