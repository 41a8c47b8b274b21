"""The command `bpcli`: registers the commands, and turns errors into messages and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from bpcli import __version__
from bpcli.cli.data import data
from bpcli.cli.evaluate import evaluate
from bpcli.cli.init import init
from bpcli.cli.inspect import gradcheck, step, summary, validate
from bpcli.cli.lookup import epochs_calc, parts
from bpcli.cli.output import fill_closed_streams, let_go_of_stdout, notify, write
from bpcli.cli.predict import predict
from bpcli.cli.profile import profile
from bpcli.cli.train import resume, train
from bpcli.errors import BpcliError, ConfigError, DataError, DiskError
from bpcli.system import raise_on_interrupt

HELP = """Trains back-propagation neural networks from YAML files, on the CPU.

Start with an example: bpcli init xor, then bpcli train configs/xor.yaml
"""

USAGE_ERROR: Any = typer.BadParameter.__bases__[0]  # click's UsageError, or typer's own copy of it
NO_FOLDER = "the current folder does not exist any more: change to another one with cd"


class InterruptedCommandError(BpcliError):
    """Ctrl-C that nothing else has handled."""

    exit_code = 130


@contextmanager
def plain_usage_errors() -> Iterator[None]:
    """Rewords the usage errors that typer raises."""
    try:
        yield
    except USAGE_ERROR as error:
        from bpcli.cli.usage import reword

        reword(error)
        raise


class Commands(TyperGroup):
    """The group of commands. On Ctrl-C typer itself would exit without a message."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Reads bpcli's own options."""
        if not args:  # the help, which typer raises as a usage error
            return super().parse_args(ctx, args)
        with plain_usage_errors():
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is named."""
        word = args[0]
        if word not in self.commands and word[:1] not in ("-", "") and not ctx.resilient_parsing:
            from bpcli.cli.usage import unknown_command

            ctx.fail(unknown_command(word, self.commands))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Runs a command.

        Raises:
            InterruptedCommandError: on Ctrl-C.
        """
        raise_on_interrupt()
        try:
            with plain_usage_errors():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise InterruptedCommandError(*interrupt.args or ["interrupted"]) from None


app = typer.Typer(
    cls=Commands,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train")(train)
app.command("resume")(resume)
app.command("eval")(evaluate)
app.command("predict")(predict)
app.command("validate")(validate)
app.command("data")(data)
app.command("summary")(summary)
app.command("step")(step)
app.command("gradcheck")(gradcheck)
app.command("profile")(profile)
app.command("parts")(parts)
app.command("init")(init)
app.command("epochs-calc")(epochs_calc)


def _show_version(wanted: bool) -> None:
    if wanted:
        write(f"bpcli {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options of bpcli itself."""


options.__doc__ = None  # the help text is HELP


def main() -> None:
    """Runs the command line and exits with one of the exit codes in the README."""
    try:
        _run()
    except KeyboardInterrupt:  # a second one, while the command was already on its way out
        leave(InterruptedCommandError("interrupted"))


def _run() -> None:
    fill_closed_streams()
    try:
        app(prog_name="bpcli")
    except BpcliError as error:
        leave(error)
    except MemoryError:
        leave(DiskError("not enough memory: close other programs, or give the command less to do"))
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):  # the reader of typer's help has closed the pipe, see `write`
            sys.exit(0)
        raise
    except OSError as error:
        if error.filename is not None:  # without a file name, typer failed to write its help or a usage error
            leave(DiskError(f"{os.fsdecode(error.filename)}: {error.strerror}"))
        if _is_in_no_folder():
            leave(DiskError(NO_FOLDER))
        let_go_of_stdout()
        if usage := getattr(error.__context__, "exit_code", None):
            sys.exit(usage)
        leave(DiskError(f"cannot write to stdout: {error.strerror or error}"))


def leave(error: BpcliError) -> NoReturn:
    """Prints the error to stderr and exits."""
    first, *more = error.lines
    if isinstance(error, (ConfigError, DataError)) and more:
        notify(f"{len(error.problems)} errors:")
        notify(first)
    else:
        notify(f"error: {first}")
    for line in more:
        notify(line)
    if _is_in_no_folder() and first != NO_FOLDER:
        notify(NO_FOLDER)
    sys.exit(error.exit_code)


def _is_in_no_folder() -> bool:
    """Whether the current folder was removed, so that relative paths do not work."""
    try:
        Path.cwd()
    except OSError:
        return True
    return False
