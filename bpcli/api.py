"""The library: what `import bpcli` offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import bpcli.errors as errors
from bpcli.build.session import load_checked
from bpcli.config.load import ConfigFile, load_config
from bpcli.workflows.resume import resume_run
from bpcli.workflows.train import Notify, OnReport, Run, start_run
from bpcli.workflows.trained import EvaluationResult, Prediction, TrainedModel

__all__ = [
    "ConfigFile",
    "EvaluationResult",
    "Prediction",
    "Run",
    "TrainedModel",
    "errors",
    "load",
    "load_config",
    "resume",
    "train",
]

MOST_THREADS = 1024  # as for the commands' --threads


def train(
    config: str | Path | ConfigFile,
    overrides: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    threads: int | None = None,
    on_report: OnReport = lambda report: None,
    notify: Notify = lambda text: None,
) -> Run:
    """Trains a config, as `bpcli train` does, and returns how it went.

    Args:
        config: a YAML file, or what `load_config` gave.
        overrides: KEY=VALUE, as after `--set`.
        out: the run folder; default: the next free one under the config's output.dir.
        threads: how many to work with, the results are the same with any number; default: one for each processor.
        on_report: called with a report after each epoch.
        notify: called with each warning and note that the command prints on stderr; `print`, for example.

    Raises:
        BpcliError: ConfigError, DataError, ... as the exit codes of the command.
        ValueError, TypeError: an argument is wrong; nothing has been written then.
    """
    _check(threads, on_report, notify)
    if out == "":
        raise ValueError("out: names no folder, got an empty text; the current folder is '.'")
    if isinstance(config, ConfigFile) and overrides:
        raise ValueError("a loaded config has its overrides already: give them to load_config")
    file = config if isinstance(config, ConfigFile) else load_checked(config, overrides)
    return start_run(file, out=None if out is None else Path(out), threads=threads, on_report=on_report, notify=notify)


def resume(
    run: str | Path,
    overrides: Sequence[str] = (),
    *,
    threads: int | None = None,
    on_report: OnReport = lambda report: None,
    notify: Notify = lambda text: None,
) -> Run | None:
    """Goes on with a run from its last checkpoint, as `bpcli resume` does.

    Gives None where there is nothing to do: the run has ended, and no override gives it a reason to go on.

    Args:
        run: the run folder, or one of its checkpoint files.
        overrides: KEY=VALUE, as after `--set`; ["training.epochs=300"] extends a run.
        threads, on_report, notify: as for `train`.

    Raises:
        BpcliError: RunError, DataError, ... as the exit codes of the command.
        ValueError, TypeError: an argument is wrong; nothing has been written then.
    """
    _check(threads, on_report, notify)
    return resume_run(Path(run), overrides, threads=threads, on_report=on_report, notify=notify)


def load(path: str | Path, *, which: str | None = None) -> TrainedModel:
    """The trained network of a run folder or of a checkpoint file.

    which: "best" or "last" of a run folder; None is the best, or the last with early_stopping.restore_best: false.

    Raises:
        RunError: there is no checkpoint, or it cannot be used.
        ValueError: `which` is something else, or the path is a checkpoint itself.
    """
    return TrainedModel.load(path, which=which)


def _check(threads: int | None, on_report: OnReport, notify: Notify) -> None:
    """What would otherwise fail only when the run folder is there already."""
    if threads is not None:
        if not isinstance(threads, int):
            raise TypeError(f"threads: expected a whole number, got {type(threads).__name__}")
        if not 1 <= threads <= MOST_THREADS:
            raise ValueError(f"threads: must be from 1 to {MOST_THREADS}, got {threads}")
    for name, function in (("on_report", on_report), ("notify", notify)):
        if not callable(function):
            raise TypeError(f"{name}: expected a function, got {type(function).__name__}")
