"""Where a config's data lie: its data section as the readers take it, and its paths as seen from another folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.config.load import ConfigFile
from bpcli.config.schema import Config, Pair, Scale
from bpcli.data.types import DataPlan, Scaling, Source
from bpcli.engine.training.state import random_streams
from bpcli.errors import DataError, UsageError


def data_plan(file: ConfigFile) -> DataPlan:
    """The config's data section with paths resolved."""
    config, data = file.config, file.config.data
    scale = data.scale if isinstance(data.scale, Scale) else _scale_of_both(data.scale)
    return DataPlan(
        train=source_of(data.train, file.folder),
        val=_source_or_fraction(data.val, file.folder),
        test=_source_or_fraction(data.test, file.folder),
        target=data.target,
        features=data.features,
        header=data.header,
        decimal=data.decimal,
        missing=data.missing,
        sample_weight=data.sample_weight,
        class_weights=data.class_weights,
        task=data.task,
        loss_for_classes=config.loss.for_classes,
        stratify=data.stratify,
        in_order=data.split == "in_order",
        x_scale=scale.x,
        y_scale=scale.y,
        dtype=config.dtype,
        exclude=(data.exclude,) if isinstance(data.exclude, str) else data.exclude or (),
        columns=data.columns or {},
        group=data.group,
        images=data.images,
    )


def _scale_of_both(kind: Scaling) -> Scale:
    """Inputs and targets scaled the same way; standard for targets where the inputs' way cannot be undone."""
    return Scale(x=kind, y="standard" if kind == "robust" else kind)


def split_stream(config: Config) -> np.random.Generator:
    """What draws the splits."""
    return random_streams(config.seed if config.data.split_seed is None else config.data.split_seed)["split"]


def source_of(location: str | Pair, folder: Path) -> Source:
    """A path or pair of paths, relative ones starting at `folder`."""
    if isinstance(location, Pair):
        y = None if location.y is None else _from(folder, location.y)
        return Source(_from(folder, location.x), y, label=str(_from(folder, location.x)))
    return Source(_from(folder, location), label=str(_from(folder, location)))


def _from(folder: Path, path: str) -> Path:
    """The path without detours, as one would type it: datasets/xor.csv instead of configs/../datasets/xor.csv."""
    return Path(os.path.normpath(folder / os.path.expanduser(path)))


def _source_or_fraction(location: str | Pair | float | None, folder: Path) -> Source | float | None:
    return location if location is None or isinstance(location, float) else source_of(location, folder)


@contextmanager
def of_a_run(plan: DataPlan, fix: str) -> Iterator[None]:
    """For reading a run's data: adds `fix` to the error where a file is gone, or the run was moved away from it.

    fix: {key} in it stands for the file's key in the config.
    """
    try:
        yield
    except DataError as error:
        for key, path in data_files(plan).items():
            if not path.exists():
                *others, last = error.problems
                raise DataError(*others, f"{last}; {fix.format(key=key)}") from None
        raise


def data_files(plan: DataPlan) -> dict[str, Path]:
    """The data files by their keys in the config, those of a pair as data.train.x and data.train.y."""
    files: dict[str, Path] = {}
    for key, source in (("data.train", plan.train), ("data.val", plan.val), ("data.test", plan.test)):
        if isinstance(source, Source):
            files |= {key: source.x} if source.y is None else {f"{key}.x": source.x, f"{key}.y": source.y}
    return files


def data_note(plan: DataPlan, run: Path) -> str | None:
    """Which files outside of the run's folder are read because the run says so: it may be somebody else's.

    None where all of its data lies in it. A link in it is told by where it leads.
    """
    inside, outside = Path(os.path.realpath(run)), list[str]()
    for path in data_files(plan).values():
        place = Path(os.path.realpath(path))
        if not place.is_relative_to(inside):
            outside.append(str(place if path.is_relative_to(run) else path))
    return f"reading {', '.join(dict.fromkeys(outside))}, as {run} says" if outside else None


def plain_as_seen_from(folder: Path, file: ConfigFile) -> dict[str, Any]:
    """The config as plain values, its data paths as seen from `folder`: what a run's config.yaml holds."""

    def seen(path: str) -> str:
        return _relative(file.folder / os.path.expanduser(path), folder)

    values = file.config.to_plain()
    data = values["data"]
    for name in ("train", "val", "test"):
        if isinstance(data[name], str):
            data[name] = seen(data[name])
        elif isinstance(data[name], dict):
            data[name] = {key: path and seen(path) for key, path in data[name].items()}
    return values


def _share_only_the_root(path: Path, other: Path) -> bool:
    """Whether nothing but the root leads to both, or not even that, as on two drives of Windows."""
    try:
        return os.path.commonpath([path, other]) == path.anchor
    except ValueError:
        return True


def _relative(path: Path, folder: Path) -> str:
    """The path as seen from the folder, so that both can move together; absolute where they share only the root."""
    path, folder = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    text = str(path) if _share_only_the_root(path, folder) else Path(os.path.relpath(path, folder)).as_posix()
    text = f"./{text}" if text.startswith("~") else text  # a folder of that name, not the home folder
    if not text.isprintable() and any("\ud800" <= c <= "\udfff" for c in text):
        raise UsageError(
            f"{ascii(text)[1:-1]}: config.yaml, UTF-8 text, cannot name this file: rename what is not UTF-8"
        )
    return text
