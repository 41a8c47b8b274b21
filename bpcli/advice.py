"""Settings that can never act, or that mislead: said before training, and never an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from bpcli.config.yaml_tree import Path as KeyPath
from bpcli.data.source import shown
from bpcli.engine import registry
from bpcli.engine.arrays import Array
from bpcli.engine.protocols import Moment, Schedule, WatchingSchedule
from bpcli.engine.training.options import iterations_per_epoch
from bpcli.session import Session

Row: TypeAlias = tuple[int, float]  # epoch, training loss

# What an output activation can reach.
RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
}


def warnings(session: Session) -> list[str]:
    """Every warning for a session, as `warning: file:line key: ...`."""
    checks: tuple[Callable[[Session], Iterator[tuple[KeyPath, str]]], ...] = (
        idle_schedule,
        idle_early_stopping,
        idle_drop_last,
        targets_out_of_reach,
        weights_of_nothing,
        rounded_numbers,
    )
    found = (item for check in checks for item in check(session))
    return [f"warning: {session.file.located(key, message)}" for key, message in found]


def idle_schedule(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """A schedule under which every iteration has the same learning rate."""
    config = session.model.config
    if config.schedule is None:
        return
    n, epochs = len(session.datasets.parts["train"]), config.training.epochs
    size = n if isinstance(config.training.batch_size, str) else min(n, config.training.batch_size)
    iterations = iterations_per_epoch(n, size, drop_last=config.training.drop_last)
    if _is_constant(config.schedule, iterations, epochs):
        name = registry.schedules.name_of(config.schedule)
        count = f"{epochs} epoch{'' if epochs == 1 else 's'}"
        yield ("schedule",), f"{name} never changes the learning rate within the {count} of this training"


def _is_constant(schedule: Schedule, iterations: int, epochs: int) -> bool:
    """Whether the factor is the same in each iteration; for one that watches training, if nothing ever gets better."""
    memory: dict[str, float] = {}
    watching = isinstance(schedule, WatchingSchedule)
    first = schedule.factor(Moment(0, 0, iterations, epochs), memory)
    if (
        not watching
        and schedule.factor(Moment(epochs - 1, epochs * iterations - 1, iterations, epochs), memory) != first
    ):
        return False
    for epoch in range(epochs):
        for step in {0, iterations - 1}:
            if schedule.factor(Moment(epoch, epoch * iterations + step, iterations, epochs), memory) != first:
                return False
        if isinstance(schedule, WatchingSchedule):
            schedule.after_epoch(0.0, memory)
    return True


def idle_early_stopping(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """A patience that outlasts the training: the first epoch sets the best, so that many must follow it."""
    training = session.model.config.training
    stopping = training.early_stopping
    if stopping is not None and stopping.patience >= training.epochs - 1:
        best = "; the best epoch is kept all the same" if stopping.restore_best else ""
        message = (
            f"{stopping.patience} epochs without a better one cannot pass before the end of {training.epochs}{best}"
        )
        yield ("training", "early_stopping", "patience"), message


def idle_drop_last(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """drop_last, where a batch is cut to the training part and so there is no short one."""
    training, n = session.model.config.training, len(session.datasets.parts["train"])
    size = training.batch_size
    if training.drop_last and not isinstance(size, str) and size > n:
        message = f"has nothing to leave out: all {n} training samples are one batch, smaller than batch_size {size}"
        yield ("training", "drop_last"), message


def targets_out_of_reach(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """A regression whose targets, as scaled, lie where the output activation cannot."""
    model, y = session.model, session.datasets.parts["train"].y
    name = registry.activations.name_of(model.network.output_activation)
    if model.preparation.task != "regression" or name not in RANGES:
        return
    low, high = RANGES[name]
    if y.min() < low or y.max() > high:
        reach = f"{low:g} and above" if high == math.inf else f"{low:g} to {high:g}"
        scaled = " after scaling" if model.preparation.y_scaler is not None else ""
        yield (
            ("network",),
            f"the output activation {name} reaches {reach}, the targets{scaled} are {y.min():.4g} to {y.max():.4g}: "
            "take identity" + ("" if high == math.inf else ", or data.scale: {y: minmax} for 0 to 1"),
        )


def weights_of_nothing(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """Weights that leave nothing of a split's loss."""
    key = "class_weights" if session.model.config.data.sample_weight is None else "sample_weight"
    for name, part in session.datasets.parts.items():
        if part.weights is not None and not part.weights.any():
            what = "nothing is learnt" if name == "train" else f"its loss is 0 whatever the network says of {name}"
            yield ("data", key), f"every weight of the {name} part is 0: {what}"


def rounded_numbers(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """Inputs and targets so far from 0 that float32 takes much of what tells them apart, such as times in seconds."""
    model, part = session.model, session.datasets.parts["train"]
    preparation, x = model.preparation, part.x
    if model.config.dtype != "float32":
        return
    found = []
    if preparation.x_scaler is None and isinstance(x, np.ndarray) and x.dtype == np.float32:
        found += _rounded(x.reshape(len(x), -1), preparation.feature_names, "input")
    if preparation.task == "regression" and preparation.y_scaler is None:
        found += _rounded(part.y.reshape(len(x), -1), preparation.target_names, "target")
    if found:
        more = f" ({len(found)} such columns)" if len(found) > 1 else ""
        yield ("dtype",), f"{found[0]}{more}: take data.scale: standard, which is fitted before, or dtype: float64"


def _rounded(columns: Array, names: Sequence[str] | None, kind: str) -> list[str]:
    """What to say of each of the columns (N, D) that spans fewer than 100 float32 steps, of 1 and more."""
    low, high = columns.min(axis=0), columns.max(axis=0)
    step = np.spacing(np.maximum(np.abs(low), np.abs(high)))
    told = []
    for k in np.flatnonzero((step >= 1) & (high - low < 100 * step)).tolist():
        name = shown(names[k]) if names else f"{k + 1}"
        told.append(
            f"{kind} {name} is rounded to steps of {step[k]:g} in float32, from {low[k]:.10g} to {high[k]:.10g}"
        )
    return told


def no_descent(first: Row | None, middle: Row | None, last: Row, learning_rate: float) -> str | None:
    """What to say at the end of a training whose loss is no lower than at first, or has long stopped to move at all.

    Saturated units hide a learning rate that is far too high: weights of any size give finite losses and no gradient.

    Args:
        first, middle, last: rows of the loss log; the first two where there are such rows before the last.
    """
    if first and first[0] < last[0] and first[1] <= last[1]:
        what = f"did not fall: {first[1]:.5g} in epoch {first[0]}, {last[1]:.5g} in epoch {last[0]}"
    elif middle and middle[0] < last[0] and middle[1] == last[1]:
        what = f"was {last[1]:.5g} in epoch {middle[0]} and is still so in epoch {last[0]}: no weight moves any more"
    else:
        return None
    advice = f"a lower optimizer.learning_rate (it was {learning_rate:g}), data.scale: standard, or another seed"
    return f"warning: the training loss {what}. Try {advice}"
