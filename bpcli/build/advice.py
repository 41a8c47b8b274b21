"""Settings that can never act, or that mislead: said before training, and never an error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from bpcli.build.model import Model, channels_last_text, looks_channels_last
from bpcli.build.session import Session
from bpcli.config.tree import KeyPath
from bpcli.data.classes import same_numbers
from bpcli.data.input_columns import yaml_name
from bpcli.engine import registry
from bpcli.engine.activations import Identity
from bpcli.engine.arrays import Array
from bpcli.engine.layers.activation import ActivationSpec
from bpcli.engine.layers.batch_norm import BatchNorm
from bpcli.engine.layers.layer_norm import LayerNorm
from bpcli.engine.losses.log_likelihood import LogLikelihood
from bpcli.engine.protocols import Progress, Schedule, WatchingSchedule
from bpcli.engine.schedules import ReduceOnPlateau
from bpcli.engine.training.evaluation import Evaluator
from bpcli.engine.training.options import iterations_per_epoch
from bpcli.engine.training.recovery import halvings
from bpcli.engine.training.state import TrainState
from bpcli.text import listed, shown

_IDENTITY = ActivationSpec(function=Identity())
Row: TypeAlias = tuple[int, float]  # epoch, training loss

LARGE_INPUTS = 1000.0  # root mean square from which on inputs should be scaled
FEW_SAMPLES = 10  # a data set of fewer is a toy, which may well have a class of one sample
SETTLED = 1e-3  # relative change of the loss in the second half of a training that has come to rest
GROWN = 2.0  # how many times the untrained network's loss is no accident
LOOKED_AT = 64  # first iterations and epochs in which a schedule is looked for to act

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


# Layers that are affine, drop or add noise.
AFFINE = {
    "avg_pool2d",
    "batch_norm",
    "conv2d",
    "dense",
    "dropout",
    "flatten",
    "gaussian_noise",
    "global_avg_pool2d",
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
        number_written_twice,
        row_numbers_as_features,
        channels_last_images,
        unscaled_inputs,
        lone_samples,
        one_hot_targets,
    )
    found = (item for check in checks for item in check(session))
    return [f"warning: {session.file.located(key, message)}" for key, message in found]


def idle_schedule(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """A schedule under which every iteration has the same learning rate."""
    config = session.model.config
    if config.schedule is None:
        return
    epochs = config.training.epochs
    if _is_constant(config.schedule, _iterations(session), epochs):
        name = registry.schedules.name_of(config.schedule)
        count = f"{epochs} epoch{'' if epochs == 1 else 's'}"
        yield ("schedule",), f"{name} never changes the learning rate within the {count} of this training"


def _iterations(session: Session) -> int:
    """Iterations in an epoch of training."""
    training, n = session.model.config.training, len(session.datasets.parts["train"])
    size = n if isinstance(training.batch_size, str) else min(n, training.batch_size)
    return iterations_per_epoch(n, size, drop_last=training.drop_last)


def schedule_of_another_length(session: Session, state: TrainState, before: Mapping[str, Any]) -> str | None:
    """What to say of a run that goes on with another number of epochs, where the rates so far depended on the old one.

    before: the config, as plain values, that `state` was trained with.
    """
    config = session.model.config
    schedule, iterations = config.schedule, _iterations(session)
    old, new = int(before["training"]["epochs"]), config.training.epochs
    if schedule is None or isinstance(schedule, WatchingSchedule) or old == new or not state.step:
        return None

    def factor(step: int, epochs: int) -> float:
        return schedule.factor(Progress(step // iterations, step, iterations, epochs), {})

    done = [step for step in _telling_steps(iterations, old) if step < state.step]
    if all(factor(step, old) == factor(step, new) for step in (*done, state.step - 1)):
        return None
    halved = 0.5 ** halvings(state)
    last = float(before["optimizer"]["learning_rate"]) * factor(state.step - 1, old) * halved
    now = config.optimizer.learning_rate * factor(state.step, new) * halved
    return (
        f"the schedule {registry.schedules.name_of(schedule)} depends on training.epochs, which was {old}: the weights "
        f"will differ from those of {new} epochs in one go. The learning rate was {last:.4g} in the last iteration and "
        f"goes on from {now:.4g}"
    )


def _is_constant(schedule: Schedule, iterations: int, epochs: int) -> bool:
    """Whether the factor is the same in each iteration; for one that watches training, if nothing ever gets better."""
    if isinstance(schedule, ReduceOnPlateau):
        return not schedule.acts_within(epochs)
    factors = (
        schedule.factor(Progress(step // iterations, step, iterations, epochs), {})
        for step in _telling_steps(iterations, epochs)
    )
    first = next(factors)
    return all(factor == first for factor in factors)


def _telling_steps(iterations: int, epochs: int) -> Iterator[int]:
    """Iterations among which a schedule that acts at all shows it, be it by iterations or by epochs, from the first on.

    A schedule moves within its first units, at its end, or from a far time on, which a doubling of the time finds; a
    run may have more epochs than anyone can look through.
    """
    last = epochs * iterations - 1
    early = range(LOOKED_AT)
    far = (LOOKED_AT << k for k in range(last.bit_length()))
    units = [unit for numbers in (early, far) for unit in numbers]
    yield from (step for unit in units for step in (unit, unit * iterations) if step <= last)
    yield last


def idle_early_stopping(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """A patience that outlasts the training: the first epoch sets the best, so that many must follow it."""
    training = session.model.config.training
    stopping = training.early_stopping
    if stopping is not None and stopping.patience is not None and stopping.patience >= training.epochs - 1:
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
        found += _rounded(x.reshape(len(x), -1), preparation.input_names, "input")
    if preparation.task == "regression" and preparation.y_scaler is None:
        found += _rounded(part.y.reshape(len(x), -1), preparation.target_names, "target")
    if found:
        more = f" ({len(found)} such columns)" if len(found) > 1 else ""
        yield ("dtype",), f"{found[0]}{more}: take data.scale: standard, which is fitted before, or dtype: float64"


def unscaled_inputs(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """Inputs in the thousands that nothing scales: their sums saturate units, or make the gradient huge."""
    model, x = session.model, session.datasets.parts["train"].x
    first = model.network.entries[0]
    if model.preparation.x_scaler is not None or not isinstance(x, np.ndarray) or x.dtype == np.uint8:
        return
    if first.weights is not None or isinstance(first.spec, (BatchNorm, LayerNorm)):
        return
    columns = np.abs(x.reshape(len(x), -1))
    largest = columns.max(axis=0)
    size = np.sqrt(np.mean(np.square(columns / np.maximum(largest, 1.0)), axis=0, dtype=np.float64)) * largest
    far = int((size >= LARGE_INPUTS).sum())
    if not far or any(_rounds(session)):
        return
    column, names = int(size.argmax()), model.preparation.input_names
    name = shown(names[column]) if names else f"{column + 1}"
    more = f" ({far} such columns)" if far > 1 else ""
    yield (
        ("data", "scale"),
        f"input {name} has values of about {float(f'{size[column]:.3g}'):.6g} and is not scaled{more}: units are then "
        "saturated, or steps far too long; take data.scale: standard",
    )


def one_hot_targets(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """Several yes-or-no targets of which each sample has exactly one: classes that another tool wants one-hot."""
    preparation, y = session.model.preparation, session.datasets.parts["train"].y
    if preparation.several_yes_or_no and len(y) >= FEW_SAMPLES and (y.sum(axis=1) == 1).all():
        names = preparation.target_names
        columns = listed(names, 5) if names else f"{y.shape[1]} columns"
        yield (
            ("data", "target"),
            f"each sample has a single 1 among {columns}: they are taken for {y.shape[1]} yes-or-no targets, each with "
            "an accuracy of its own. For one class of several, save the class itself in one column, such as "
            "numpy.argmax(y, axis=1), and name that",
        )


def lone_samples(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """A class of one sample, and a split of one: a figure that hangs on a single sample."""
    parts, classes = session.datasets.parts, session.model.preparation.classes
    train = parts["train"]
    if classes is not None and len(train) >= FEW_SAMPLES:
        lone = [shown(classes[k]) for k in np.flatnonzero(np.bincount(train.y, minlength=len(classes)) == 1).tolist()]
        if lone:
            listed = ", ".join(lone[:5]) + (", ..." if len(lone) > 5 else "")
            what = f"class {listed} has" if len(lone) == 1 else f"classes {listed} have"
            message = f"{what} one sample to train on: nothing says how such samples differ; add some, or leave it out"
            yield ("data", "train"), message
    for name, part in parts.items():
        if name != "train" and len(part) == 1:
            yield (
                ("data", name),
                f"the {name} split has one sample: its figures say nothing of others; take a larger one",
            )


def _rounds(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """Whether it is said already that the inputs are too large, by `rounded_numbers`."""
    return (item for item in rounded_numbers(session) if "input" in item[1])


def _rounded(columns: Array, names: Sequence[str] | None, kind: str) -> list[str]:
    """What to say of each of the columns (N, D) that spans fewer than 100 float32 steps, of 1 and more."""
    low, high = columns.min(axis=0), columns.max(axis=0)
    step = np.spacing(np.maximum(np.abs(low), np.abs(high)))
    told = []
    for k in np.flatnonzero((step >= 1) & (0.5 * high - 0.5 * low < 50 * step)).tolist():
        name = shown(names[k]) if names else f"{k + 1}"
        told.append(
            f"{kind} {name} is rounded to steps of {step[k]:g} in float32, from {low[k]:.10g} to {high[k]:.10g}"
        )
    return told


def grown_loss(session: Session, last: float) -> str | None:
    """What to say at the end of a training whose loss is far above that of the network before it."""
    model, config = session.model, session.model.config
    state, samples = session.start(), model.samples(session.datasets.parts["train"])
    untrained = Evaluator(model.network, config.loss, state.theta, samples, stats=state.stats)().loss
    if not last > GROWN * untrained > 0:
        return None
    rate = config.optimizer.learning_rate
    return (
        f"warning: the training loss is {last:.5g} at the end, and was {untrained:.5g} before any training. "
        f"Try a lower optimizer.learning_rate (it was {rate:g}), or data.scale: standard"
    )


def no_better_than_guessing(session: Session, middle: Row | None, last: Row) -> str | None:
    """What to say of a network without a hidden layer whose loss stands at the entropy of the classes' shares: XOR.

    middle, last: rows of the loss log, as for `no_descent`.
    """
    model, train = session.model, session.datasets.parts["train"]
    if model.config.loss != LogLikelihood() or model.preparation.classes is None or train.weights is not None:
        return None
    shares = np.bincount(train.y) / len(train)
    entropy = -math.fsum(share * math.log(share) for share in shares[shares > 0])
    settled = middle is not None and abs(middle[1] - last[1]) <= SETTLED * last[1]
    instead = without_hidden_layer(model)
    if instead is None or not settled or last[1] < (1 - SETTLED) * entropy:
        return None
    return (
        f"warning: the training loss, {last[1]:.5g}, is no lower than that of naming the classes' shares for every "
        f"sample, {entropy:.5g}. {instead}"
    )


def number_written_twice(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """Two classes that are the same number, such as 1 and 1.0, which may have been meant as one."""
    if same := same_numbers(session.model.preparation.classes or ()):
        one, other = map(shown, same)
        message = f"{one} and {other} are two classes, though the same number: a class is the text in the file. "
        yield ("data", "target"), message + "If they are meant as one, write them alike"


def row_numbers_as_features(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """Features that may only number the rows, such as an id: what they tell of the target is the order of the file.

    Where the split is in order, the rows are a series, and such a column is its time.
    """
    found = session.datasets.row_numbers
    if found and session.model.config.data.split != "in_order":
        many = len(found) > 1
        counts = "count the rows, or order them" if many else "counts the rows, or orders them"
        yield (
            ("data", "features"),
            f"{listed(found)} {counts}: what a network learns from an id or a row number does not hold for other rows; "
            f"leave {'them' if many else 'it'} out, data.exclude: "
            f"[{', '.join(map(yaml_name, found))}]. A quantity of its own, such as a year, may stay",
        )


def channels_last_images(session: Session) -> Iterator[tuple[KeyPath, str]]:
    """Images that look like height x width x channels, under layers for images, where no shape is in the config."""
    model = session.model
    shape, names = model.preparation.in_shape, {registry.layers.name_of(layer.spec) for layer in model.network.placed}
    has_image_layers = any(name.endswith("2d") for name in names)
    if model.config.network.input is None and has_image_layers and looks_channels_last(shape):
        taken = f"images are channels x height x width, so these have {shape[0]} channels"
        said = f"if they do, network.input: {list(shape)} says so"
        yield ("data", "train"), f"{taken}: {said}; {channels_last_text(shape)}"


def without_hidden_layer(model: Model) -> str | None:
    """What to say of a network that is affine up to its output, where it does not learn; None for others."""
    layers = [placed.spec for placed in model.network.placed]
    if isinstance(layers[-1], ActivationSpec):  # of the output
        del layers[-1]
    bends = (registry.layers.name_of(layer) not in AFFINE for layer in layers if layer != _IDENTITY)
    if any(bends):
        return None
    what = "fits a plane, and no learning rate helps where the targets do not lie on one"
    if model.preparation.task == "classification":
        what = "separates classes by a line (a plane), and no learning rate helps where no line separates them"
    inputs, outputs = math.prod(model.network.in_shape), model.network.out_shape[0]
    sizes = f"[{inputs}, {min(2 * inputs, 32)}, {outputs}]"
    return f"Without a hidden layer a network only {what}. Add a hidden layer, such as network.layers: {sizes}"


def no_descent(
    first: Row | None, middle: Row | None, last: Row, learning_rate: float, instead: str | None = None
) -> str | None:
    """What to say at the end of a training whose loss is no lower than at first, or has long stopped to move at all.

    Saturated units hide a learning rate that is far too high: weights of any size give finite losses and no gradient.

    Args:
        first, middle, last: rows of the loss log; the first two where there are such rows before the last.
        instead: what to say instead of the usual advice, where more is known.
    """
    if last[1] == 0:  # nothing is left to fall
        return None
    if first and first[0] < last[0] and first[1] <= last[1]:
        instead = None if last[1] > GROWN * first[1] else instead  # steps too long, whatever the layers
        what = f"did not fall: {first[1]:.5g} in epoch {first[0]}, {last[1]:.5g} in epoch {last[0]}"
    elif middle and middle[0] < last[0] and middle[1] == last[1]:
        what = f"was {last[1]:.5g} in epoch {middle[0]} and is still so in epoch {last[0]}: no weight moves any more"
    else:
        return None
    advice = f"a lower optimizer.learning_rate (it was {learning_rate:g}), data.scale: standard, or another seed"
    return f"warning: the training loss {what}. {instead or f'Try {advice}'}"
