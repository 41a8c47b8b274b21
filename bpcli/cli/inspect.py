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


def step(
    config: Subject,
    set_: options.Set = None,
    checkpoint: options.Which = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, help="Take this sample of the training data alone, counted from 1.", show_default=False),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER.UNIT",
            help="Follow one neuron through its operations on one sample; dense_1.2 is the second of dense_1.",
            show_default=False,
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="How many steps, one after the other.")] = 1,
    format_: Annotated[
        str, typer.Option("--format", metavar="text|markdown|latex|html|json", help="How the page is written.")
    ] = "text",
    digits: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=17,
            help="Digits after the point, in JSON significant ones. Default: 12 in text, 6 on a page, all in JSON.",
            show_default=False,
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Shows one training step as a textbook does, with every number and its equation.

    Shows z, a, the loss, delta, every gradient, and the update. Of a run it is the step that would follow.

    The batch is the first training.batch_size samples in their own order; further steps take the next batches.

    Example: bpcli step configs/textbook-2-2-2.yaml
    """
    from bpcli.views.step_formats import FORMATS, WRITERS
    from bpcli.workflows.step import Which, node_of, steps_of_config, steps_of_run

    if format_ not in FORMATS:
        raise typer.BadParameter(f"expected one of {', '.join(FORMATS)}, got {format_}", param_hint="--format")
    if json and format_ not in ("text", "json"):
        raise typer.BadParameter(f"contradicts --format {format_}", param_hint="--json")
    if node is not None and (steps > 1 or format_ not in ("text", "json")):
        raise typer.BadParameter("shows one step, as text or json", param_hint="--node")
    which = Which(steps, 1 if node is not None and sample is None else sample)
    if _is_run(config, set_, checkpoint):
        found = steps_of_run(config, checkpoint, which, notify)
    else:
        found = steps_of_config(config, set_ or (), which, notify)
    if not found.traces[-1].finite:
        notify("warning: a value in this step is not finite: training would stop here as diverged, with exit code 5")
    as_json = json or format_ == "json"
    if node is not None:
        from bpcli.views.node import node_json, node_text

        write(node_json(node_of(found, node)) if as_json else node_text(node_of(found, node), digits))
        return
    write(WRITERS["json" if json else format_](found, digits))


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
    is_run = (path / "config.yaml").is_file() or path.suffix == ".npz"
    if checkpoint not in (None, "best", "last"):
        raise typer.BadParameter(f"expected best or last, got {checkpoint}", param_hint="--checkpoint")
    if checkpoint is not None and not path.is_dir():
        raise typer.BadParameter(f"{path} is no run folder", param_hint="--checkpoint")
    if set_ and is_run:
        raise typer.BadParameter("changes a config; a run keeps its own", param_hint="--set")
    return is_run
