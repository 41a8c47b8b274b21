"""bpcli init: an example to start from, or a config for a table of one's own."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bpcli.cli.output import notify, write
from bpcli.errors import UsageError
from bpcli.text import listed, printable, shown

if TYPE_CHECKING:
    from bpcli.data.choices import Choices
    from bpcli.data.survey import Survey

_MOST_LEFT_OUT = 10  # columns named on the terminal; the config has them all


def init(
    name: Annotated[str | None, typer.Argument(help="The example's name; see --list.", show_default=False)] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the examples.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Write a config for this table instead: .csv, .tsv or .txt, each also .gz.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="COLUMN",
            help="With --data: the column to predict; may be given more than once. Default: a column named target, "
            "label, class, y, outcome or response, else the last one.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        Literal["classification", "regression"] | None,
        typer.Option("--task", help="With --data: default: by the target's values.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="With --data: the config to write, or - for stdout. Default: NAME.yaml in the current folder.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Writes an example config and its data, or with --data a commented config for a table.

    An example's files are configs/NAME.yaml and its data in datasets/. No file is overwritten.

    Example: bpcli init iris

    bpcli init --data titanic.csv --target survived
    """
    if data is not None:
        if name is not None or list_:
            raise UsageError(f"--data writes a config for a table: leave out {'--list' if list_ else name}")
        _init_data(data, tuple(target or ()), task, output)
        return
    if target or task or output:
        given = "--target" if target else "--task" if task else "--output"
        raise UsageError(f"{given} is for a table, which --data FILE names")
    _init_example(name, list_=list_)


def _init_example(name: str | None, *, list_: bool) -> None:
    from bpcli.examples import describe_examples, needs_data, write_example

    if list_ or name is None:
        write(describe_examples())
        return
    for path in write_example(name, Path()):
        write(f"wrote {path}")
    if needs_data(name):
        write(f"its data is not included: the comment at the top of configs/{name}.yaml says how to name the files")
    else:
        write(f"next: bpcli train configs/{name}.yaml")


def _init_data(
    data: Path, targets: tuple[str, ...], task: Literal["classification", "regression"] | None, output: Path | None
) -> None:
    from bpcli.data.choices import choose
    from bpcli.data.survey import survey
    from bpcli.runs.held import HeldFolder
    from bpcli.views.table_config import table_config

    to_stdout = output == Path("-")
    path = Path(f"{_stem(data)}.yaml") if output is None or to_stdout else output
    if not to_stdout and os.path.lexists(path):
        other = "" if output else ": write to another one with -o FILE"
        raise UsageError(f"{path} exists already, and bpcli init overwrites nothing{other}")
    found = survey(data)
    choices = choose(found, targets, task)
    train = str(data) if data.is_absolute() else os.path.relpath(data, Path() if to_stdout else path.parent)
    text = table_config(found, choices, name=str(path), train=Path(train).as_posix(), call=_call(data, targets, task))
    for line in _told(found, choices):
        notify(line)
    if to_stdout:
        write(text, end="")
        return
    with HeldFolder.opened(path.parent) as held:
        held.create(path, text.encode())
    write(f"wrote {printable(str(path))}\nnext: bpcli train {shlex.quote(printable(str(path)))}")


def _stem(data: Path) -> str:
    name = data.name.removesuffix(".gz")
    return Path(name).stem


def _call(data: Path, targets: tuple[str, ...], task: str | None) -> str:
    """The command as it was typed, but for -o."""
    words = ["bpcli", "init", "--data", str(data)]
    words += [word for name in targets for word in ("--target", name)]
    words += ["--task", task] if task else []
    return printable(shlex.join(words))


def _told(survey: Survey, choices: Choices) -> list[str]:
    """What was decided, in a few lines."""
    what = f"{choices.task}, {len(choices.classes)} classes" if choices.classes else choices.task
    lines = [
        f"{survey.table.path}: {survey.rows:,} rows, {len(survey.columns)} columns",
        f"target: {listed(choices.targets)} ({what}); {choices.target_reason}",
        f"inputs: {len(choices.inputs)}; left out: {len(choices.left_out) or 'none'}",
    ]
    lines += [f"  {shown(name)}: {why}" for name, why in choices.left_out[:_MOST_LEFT_OUT]]
    if len(choices.left_out) > _MOST_LEFT_OUT:
        lines.append(f"  and {len(choices.left_out) - _MOST_LEFT_OUT} more, see the config")
    if choices.group is not None:
        lines.append(f"groups: {shown(choices.group)}, {choices.group_reason}")
    if choices.in_order:
        lines.append(f"split: {choices.order_reason}")
    return lines
