"""All that is wrong with a config and its data, as far as it can be known at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from bpcli.build.locations import data_plan, split_stream
from bpcli.build.session import open_session
from bpcli.config.load import ConfigFile, load_config, load_sound_sections
from bpcli.data.datasets import load_datasets, missing_files
from bpcli.errors import ConfigError, DataError


def load_checked(path: str | Path, overrides: Sequence[str] = ()) -> ConfigFile:
    """`load_config`; the error for a wrong config shows what is wrong with its data and its other sections too.

    Raises:
        ConfigError: every problem found.
    """
    try:
        return load_config(path, overrides)
    except ConfigError as error:
        file = load_sound_sections(path, overrides)
        further = () if file is None else _further_problems(file)
        raise ConfigError(dict.fromkeys([*error.problems, *further])) from None


def _further_problems(file: ConfigFile) -> Sequence[str]:
    """What is wrong with the sections that are not assumed, and with the data.

    Where the data section is wrong, only which files are missing is known; where the loss is and nothing else says
    whether numbers in the target are classes, no more than what is wrong with the data.
    """
    plan = data_plan(file)
    if "data" in file.assumed:
        return missing_files(plan)
    try:
        if "loss" in file.assumed and plan.task == "auto":
            plan = dataclasses.replace(plan, class_weights=None)
            if load_datasets(plan, split_stream(file.config)).preparation.classes is None:
                return ()
        open_session(file)
    except (ConfigError, DataError) as error:
        return error.problems
    return ()
