"""Messages for a command line that typer rejects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from bpcli.text import nearest, printable, typed

_EXTRA = re.compile(r"Got unexpected extra argument\(?s?\)? \((\S+)\)")
_SETTING = re.compile(r"[\w.]+=\S+")
USAGE_ERROR: Any = typer.BadParameter.__bases__[0]  # click's UsageError, or typer's own copy of it

# What other tools call the commands, and what is an option here.
_COMMANDS_ELSEWHERE = {
    command: tuple(words.split())
    for command, words in {
        "train": "fit learn run start",
        "resume": "continue restart",
        "eval": "evaluate metrics score test",
        "predict": "apply classify forward infer inference",
        "validate": "check lint verify",
        "summary": "describe info inspect model show",
        "step": "debug trace",
        "profile": "bench benchmark time",
        "parts": "activations layers list losses optimizers schedules",
        "init": "create example examples new",
        "epochs-calc": "epochs",
        "--help": "help man usage",
        "--version": "version",
    }.items()
}
_OUT = "The run folder is named by --out DIR"
# What to say of other tools' options, by command.
_OPTIONS_ELSEWHERE = {
    "train": {
        **dict.fromkeys(("--output", "--output-dir", "--dir", "-o"), _OUT),
        **dict.fromkeys(("--config", "-c", "-f"), "The config is named without an option: bpcli train CONFIG"),
        **dict.fromkeys(("--resume", "--continue"), "A run goes on with: bpcli resume RUN"),
        "--data": "The data are a key of the config: --set data.train=FILE",
    },
    "predict": {
        **dict.fromkeys(("--data", "--input", "-i"), "The data file is named last: bpcli predict RUN FILE"),
        **dict.fromkeys(("--run", "--model", "-m"), "The run is named first: bpcli predict RUN FILE"),
        "--out": "The file for the predictions is named by -o FILE",
    },
    "eval": dict.fromkeys(("--run", "--model", "-m"), "The run is named without an option: bpcli eval RUN"),
    "resume": dict.fromkeys(("--run", "--model", "-m"), "The run is named without an option: bpcli resume RUN"),
}


@contextmanager
def plain_usage_errors() -> Iterator[None]:
    """Makes typed text printable in usage errors, and adds how to write what was meant."""
    try:
        yield
    except USAGE_ERROR as error:
        hint = _option_hint(error) or _key_hint(error) or _setting_hint(error)
        error.message = printable(error.message) + hint
        if possible := getattr(error, "possibilities", None):
            option = error.option_name
            error.possibilities = [] if hint else [name for name in possible if nearest(option, [name], share=0.5)]
        raise


def unknown_command(word: str, commands: Iterable[str]) -> str:
    """What to say of a word that is no command: another tool's, misspelt, or a file that a command takes."""
    commands = list(commands)
    said = f"No such command '{printable(word)}'."
    if Path(word).is_file() and word.endswith((".yaml", ".yml")):
        return f"{said} To train it: bpcli train {printable(typed(word))}"
    if (Path(word) / "config.yaml").is_file():
        return f"{said} To evaluate this run: bpcli eval {printable(typed(word))}"
    near = nearest(word, [*commands, "--help", "--version"], _COMMANDS_ELSEWHERE, share=0.5)
    return f"{said} Did you mean '{near}'?" if near else f"{said} There are {', '.join(commands)}."


def _option_hint(error: Any) -> str:
    option = getattr(error, "option_name", "")
    if not option or error.ctx is None:
        return ""
    said = _OPTIONS_ELSEWHERE.get(error.ctx.command.name, {}).get(option)
    return f". {said}" if said else ""


def _key_hint(error: Any) -> str:
    option = getattr(error, "option_name", "")
    if not option or not _takes_keys(error):
        return ""
    from bpcli.config.schema import full_key

    key = full_key(option.rpartition(".")[2].lstrip("-"))
    return f". It is a key of the config: --set {key}=VALUE" if key else ""


def _setting_hint(error: Any) -> str:
    """What to say of `--set KEY VALUE`, and of KEY=VALUE alone."""
    extra = _EXTRA.fullmatch(error.message)
    if not extra or not _takes_keys(error):
        return ""
    given = error.ctx.params.get("set_") or ()
    key = next((setting for setting in given if "=" not in setting), None)
    setting = extra[1] if key is None else f"{key}={extra[1]}"
    return f". A key is set in one word: --set {printable(setting)}" if _SETTING.fullmatch(setting) else ""


def _takes_keys(error: Any) -> bool:
    return error.ctx is not None and any(param.name == "set_" for param in error.ctx.command.params)
