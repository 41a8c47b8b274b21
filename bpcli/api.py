"""The library: what `import bpcli` offers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bpcli.checks import load_checked
from bpcli.config.load import ConfigFile, load_config
from bpcli.trained import Prediction, TrainedModel
from bpcli.training import Run, Show, Tell, start_run

__all__ = ["Prediction", "Run", "TrainedModel", "load", "load_config", "train"]


def train(
    config: str | Path | ConfigFile,
    overrides: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    threads: int | None = None,
    show: Show = lambda report: None,
    tell: Tell = lambda text: None,
) -> Run:
    """Trains a config, as `bpcli train` does, and returns how it went.

    Args:
        config: a YAML file, or what `load_config` gave.
        overrides: KEY=VALUE, as after `--set`.
        out: the run folder; default: the next free one under the config's output.dir.
        show: is given a report after each epoch.
        tell: is given the warnings and notes that the command prints on stderr, such as `print`.

    Raises:
        BpcliError: ConfigError, DataError, ... as the exit codes of the command.
        ValueError: overrides for a config that is loaded already.
    """
    if isinstance(config, ConfigFile) and overrides:
        raise ValueError("a loaded config has its overrides already: give them to load_config")
    file = config if isinstance(config, ConfigFile) else load_checked(config, overrides)
    return start_run(file, out=None if out is None else Path(out), threads=threads, show=show, tell=tell)


def load(path: str | Path, *, which: str | None = None) -> TrainedModel:
    """The trained network of a run folder or of a checkpoint file.

    which: "best" or "last" of a run folder; None is the best, or the last with early_stopping.restore_best: false.

    Raises:
        RunError: there is no checkpoint, or it cannot be used.
    """
    return TrainedModel.load(path, which=which)
