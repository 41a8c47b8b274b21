"""A network that knows its data: made from a config and prepared data, or an error at the key that does not fit."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from bpcli.build.memory import LONGEST_VECTOR, beyond_counting
from bpcli.config.load import ConfigFile
from bpcli.config.schema import Config, PlainNetwork
from bpcli.config.tree import KeyPath
from bpcli.data.csv_cells import how_to_write, number
from bpcli.data.large import StoredInputs
from bpcli.data.preparation import Preparation
from bpcli.data.types import DataPlan, Part
from bpcli.engine import registry
from bpcli.engine.activations import Identity, Sigmoid, Softmax
from bpcli.engine.arrays import Array, Shape
from bpcli.engine.layers.activation import ActivationSpec
from bpcli.engine.layers.flatten import Flatten
from bpcli.engine.losses.hinge import Hinge
from bpcli.engine.network import LayerEntry, LayerError, Network
from bpcli.engine.protocols import Activation, Loss, Metric
from bpcli.engine.training.full_batch import objections
from bpcli.engine.training.samples import Samples
from bpcli.text import listed, nearest, printable, shown

Problem: TypeAlias = tuple[KeyPath, str]

DEFAULT_METRICS = {"classification": ("accuracy",), "regression": ("rmse", "r2")}


@dataclass(frozen=True, eq=False)
class Model:
    """A network that knows its data: what a checkpoint holds beside the weights."""

    config: Config
    plan: DataPlan
    network: Network
    preparation: Preparation
    metrics: Mapping[str, Metric]

    def samples(self, part: Part) -> Samples:
        """A split as the engine takes it: class indices are turned into targets for the network's outputs."""
        if self.preparation.classes is None:
            return Samples(self._reshaped(part.x), part.y, weights=part.weights)
        codes = target_codes(len(self.preparation.classes), self.network, self.plan)
        return Samples(self._reshaped(part.x), part.y, codes, part.weights)

    def objection_to(self, part: Part) -> Problem | None:
        """What the loss has against a split's targets, and the key to blame; None if nothing.

        A softmax tells one class from all others: of several target columns exactly one must be 1.
        """
        if not self.preparation.several_yes_or_no or not isinstance(self.network.output_activation, Softmax):
            return None
        if not self.config.loss.for_classes or bool((part.y.sum(axis=1) == 1).all()):
            return None
        count = int(next(ones for ones in part.y.sum(axis=1) if ones != 1))
        message = (
            f"with softmax {registry.losses.name_of(self.config.loss)} takes target columns of which exactly one is 1 "
            f"in each row, here is one with {count}: take sigmoid, each column a yes or no"
        )
        return output_activation_key(self.config), message

    def _reshaped(self, x: Array | StoredInputs) -> Array | StoredInputs:
        return x.reshape(len(x), *self.network.in_shape)

    def inputs(self, x: Array | StoredInputs) -> Array | StoredInputs:
        """Prepared inputs (N, *data shape) in the shape that the network takes."""
        return self._reshaped(x)

    def metric_functions(
        self, part: Part, metrics: Mapping[str, Metric] | None = None
    ) -> dict[str, Callable[[Array], float]]:
        """Each metric, of the config or those given, as a function of the network's outputs (N, M) on this split."""
        named = self.metrics if metrics is None else metrics
        return {name: self._metric_function(metric, part) for name, metric in named.items()}

    def _metric_function(self, metric: Metric, part: Part) -> Callable[[Array], float]:
        return lambda output: metric.value(*self.metric_arguments(part, output))

    def metric_arguments(self, part: Part, output: Array) -> tuple[Array, Array]:
        """(target, prediction) as metrics take them, for the network's outputs (N, M) on this split.

        Several yes-or-no targets become as many rows for each sample, one after the other.
        """
        preparation = self.preparation
        if preparation.several_yes_or_no:
            return part.y.ravel().astype(np.int64), _yes_or_no_columns(output)
        if preparation.task == "classification":
            return part.y, preparation.probabilities(output, self.config.loss.boundary)
        assert part.raw_targets is not None  # a regression always keeps its targets
        return part.raw_targets, preparation.values(output)

    @property
    def gives_probabilities(self) -> bool:
        """Whether the outputs lie in 0..1 by their activation."""
        return isinstance(self.network.output_activation, (Sigmoid, Softmax))


def build_model(file: ConfigFile, plan: DataPlan, preparation: Preparation) -> Model:
    """The network for prepared data.

    Raises:
        ConfigError: the network's inputs or outputs do not fit the data, or a metric does not fit the task.
    """
    config, problems = with_sizes(file.config, preparation), list[Problem]()
    in_shape = _in_shape(config, preparation, problems)
    network = network_of(config, in_shape, preparation.several_yes_or_no, problems)
    if network is None and looks_channels_last(preparation.in_shape):
        key, message = problems[-1]
        problems[-1] = key, f"{message}; {channels_last_text(preparation.in_shape)}"
    if network is not None:
        _check_outputs(config, network, preparation, problems)
        problems += full_batch_problems(config, network)
        shards = config.training.shards
        if network.has_trait("whole_batch") and isinstance(shards, int) and shards > 1:
            problems.append((("training", "shards"), "batch_norm looks at a whole batch: set auto or 1"))
    classes = listed(preparation.classes or (), 4, printable)
    if preparation.classes and config.loss.for_numbers:
        name = registry.losses.name_of(config.loss)
        message = f"{name} is for numbers, and the target holds text labels ({classes}): take log_likelihood, "
        problems.append((("loss",), message + "or name a column of numbers in data.target"))
    metrics = config.metrics or tuple(registry.metrics.get(name)() for name in DEFAULT_METRICS[preparation.task])
    for index, metric in enumerate(metrics):
        if metric.task != preparation.task:
            fitting = [name for name in registry.metrics.names() if registry.metrics.get(name).task == preparation.task]
            name = registry.metrics.name_of(metric)
            message = f"{name} is for {metric.task}, the task is {preparation.task}: take {', '.join(fitting)}"
            or_task = "" if preparation.classes and config.data.task == "auto" else "; or set data.task"
            problems.append((("metrics", index), message + or_task))
    named = {metric_name(metric): metric for metric in metrics}
    stopping = config.training.early_stopping
    val_names = ["val_loss", *(f"val_{name}" for name in named)] if config.data.val is not None else []
    if stopping and not val_names and stopping.monitor.startswith("val_"):
        stopping = None  # told without the data
    if stopping and stopping.monitor not in ("train_loss", *val_names):
        monitors = ["train_loss", *val_names]
        near = nearest(stopping.monitor, monitors, {"train_loss": ("loss",), "val_accuracy": ("val_acc", "accuracy")})
        hint = f" (did you mean {near}?)" if near else ""
        message = f"expected one of {', '.join(monitors)}, got {stopping.monitor}{hint}"
        problems.append((("training", "early_stopping", "monitor"), message))
    if problems or network is None:
        raise file.error(*problems)
    return Model(config, plan, network, preparation, named)


def with_sizes(config: Config, preparation: Preparation) -> Config:
    """The config with the sizes of layers that follow from the data in place of `auto`."""
    if not isinstance(config.network, PlainNetwork):
        return config
    outputs = preparation.target_width if preparation.classes is None else len(preparation.classes)
    network = config.network.with_sizes(math.prod(preparation.input_shape), outputs)
    return config.model_copy(update={"network": network})


def metric_name(metric: Metric) -> str:
    """The name of its column: as registered, then what differs from the defaults: f1, f1_micro, top_k_3."""
    options = [getattr(metric, field.name) for field in dataclasses.fields(metric) if _differs(metric, field)]  # type: ignore[arg-type]
    return "_".join([registry.metrics.name_of(metric), *map(str, options)])


def _differs(metric: Metric, field: dataclasses.Field[Any]) -> bool:
    return bool(getattr(metric, field.name) != field.default)


def _in_shape(config: Config, preparation: Preparation, problems: list[Problem]) -> Shape:
    """The shape of one sample as the network takes it: as configured, else the data's, an image with one channel."""
    shape, wanted = preparation.input_shape, config.network.input
    if wanted is None:
        return (1, *shape) if len(shape) == 2 else shape
    if math.prod(wanted) != math.prod(shape):
        plain = isinstance(config.network, PlainNetwork)
        key: KeyPath = ("network", "layers", 0) if plain else ("network", "input")
        size = str(wanted[0]) if plain else str(list(wanted))
        problems.append((key, f"the data has {_inputs_text(preparation)}, got {size}"))
    elif _is_turned(shape, wanted):
        lies = f"in the file a sample lies as {' x '.join(map(str, shape))}, got {list(wanted)}: a sample is not turned"
        fix = channels_last_text(shape) if looks_channels_last(shape) else f"write {list(shape)}, or save it turned"
        problems.append((("network", "input"), f"{lies}; {fix}"))
    return wanted


def _is_turned(shape: Shape, wanted: Shape) -> bool:
    """Whether the two name the same sides, of which one is not 1, in another order."""
    sides, others = ([side for side in sample if side != 1] for sample in (shape, wanted))
    return len(shape) == len(wanted) and sides != others and sorted(sides) == sorted(others)


def looks_channels_last(shape: Shape) -> bool:
    """Whether samples of this shape may be images of height x width x channels, which the network takes otherwise."""
    return len(shape) == 3 and shape[-1] in (1, 3, 4) and shape[0] not in (1, 3, 4) and shape[0] > shape[-1]


def channels_last_text(shape: Shape) -> str:
    """What to do about such images."""
    sides = " x ".join(map(str, shape))
    return f"if {sides} is height x width x channels, save the images with channels first: numpy.moveaxis(x, -1, 1)"


def _inputs_text(preparation: Preparation) -> str:
    names = preparation.input_names
    if names:
        return f"{len(names)} input{'s' if len(names) > 1 else ''} ({listed(names, 6, printable)})"
    shape = preparation.input_shape
    return f"{math.prod(shape)} inputs" + (f" ({' x '.join(map(str, shape))})" if len(shape) > 1 else "")


def _check_outputs(config: Config, network: Network, preparation: Preparation, problems: list[Problem]) -> None:
    """The number of outputs must fit the classes or the target columns."""
    last: KeyPath = ("network", "layers", len(config.network.layers) - 1)
    if len(network.out_shape) != 1:
        problems.append((last, f"the outputs have the shape {network.out_shape}: end with a dense layer"))
        return
    (outputs,) = network.out_shape
    got = f"got {outputs} output{'' if outputs == 1 else 's'}"
    if preparation.classes is not None:
        count = len(preparation.classes)
        if outputs != count and not (count == 2 and outputs == 1):
            needed = "2 outputs or 1" if count == 2 else f"{count} outputs"
            hint = "" if config.loss.for_classes else _text_among_numbers(preparation.classes)
            named = listed(preparation.classes, 8, printable)
            problems.append((last, f"the data has {count} classes ({named}), which takes {needed}, {got}{hint}"))
    elif outputs != preparation.target_width:
        names, count = preparation.target_names, preparation.target_width
        named = f" ({listed(names, 8, printable)})" if names else ""
        hint = "; for numbers that are classes set data.task: classification" if count == 1 else ""
        hint = hint if config.data.task == "auto" and not config.loss.for_numbers else ""
        problems.append((last, f"the data has {count} target column{'' if count == 1 else 's'}{named}, {got}{hint}"))


def _text_among_numbers(classes: Sequence[str]) -> str:
    """What to do where a few of the classes are no numbers, which may be mistakes; empty if there is nothing to say."""
    if advice := how_to_write(classes[-1], ".", comma_is_free=False):
        return f"; if {shown(classes[-1])} is meant as a number: {advice}"
    texts = [name for name in classes if number(name) is None]
    if not 0 < len(texts) < len(classes) / 2:
        return ""
    return f"; if the target holds numbers and {shown(texts[0])} is a mistake, data.task: regression shows its line"


def activation_problems(config: Config) -> list[Problem]:
    """A list of activations that has not one for each hidden layer."""
    form = config.network
    if not isinstance(form, PlainNetwork) or not isinstance(form.activation, tuple):
        return []
    hidden, given = len(form.layers) - 2, len(form.activation)
    if given == hidden:
        return []
    return [(("network", "activation"), f"expected {hidden}, one for each hidden layer, got {given}")]


def network_of(config: Config, in_shape: Shape, several_yes_or_no: bool, problems: list[Problem]) -> Network | None:
    """The network of a config, its output activation settled; None after a problem that leaves none."""
    plain = isinstance(config.network, PlainNetwork)
    if wrong := activation_problems(config):
        problems += wrong
        return None
    entries = list(config.network.entries())
    try:
        entries[-1] = _with_function_as_output(config.loss, entries[-1])
        if entries[-1].activation is None:
            outputs = Network(entries, in_shape).out_shape
            activation = _auto_activation(config, outputs, several_yes_or_no)
            entries[-1] = dataclasses.replace(entries[-1], activation=activation)
        network = Network(entries, in_shape)
    except LayerError as error:
        key: KeyPath = ("network", "layers", error.index + (1 if plain else 0))
        problems.append((key if plain or error.key == "type" else (*key, error.key), str(error)))
        return None
    if (index := beyond_counting(network)) is not None:
        message = f"too many parameters with this layer: an array holds at most {LONGEST_VECTOR:,}"
        problems.append((("network", "layers", index + plain), message))
        return None
    try:
        config.loss.from_logits(network.output_activation)
        if isinstance(network.output_activation, Softmax) and network.out_shape == (1,):
            raise ValueError("softmax over a single output is always 1: take sigmoid, or one output for each class")
    except ValueError as error:
        problems.append((output_activation_key(config), str(error)))
    problems += _second_softmax(config, network)
    problems += _too_large(config, network)
    if several_yes_or_no and isinstance(config.loss, Hinge):
        message = "hinge has one right class for each sample, not several yes-or-no targets: take log_likelihood"
        problems.append((("loss",), message + ", or name one column of classes in data.target"))
    return network


def output_activation_key(config: Config) -> KeyPath:
    """Where a config says the output activation."""
    if isinstance(config.network, PlainNetwork):
        return "network", "output_activation"
    last = config.network.layers[-1]
    key = "function" if isinstance(last.spec, ActivationSpec) and last.activation is None else "activation"
    return "network", "layers", len(config.network.layers) - 1, key


def _with_function_as_output(loss: Loss, last: LayerEntry) -> LayerEntry:
    """An activation layer at the end of the network is the output activation, where the loss is computed before it."""
    if last.activation is not None or not isinstance(last.spec, ActivationSpec):
        return last
    if not _goes_with_logits(loss, last.spec.function):
        return last
    return dataclasses.replace(last, spec=ActivationSpec(function=Identity()), activation=last.spec.function)


def _goes_with_logits(loss: Loss, activation: Activation) -> bool:
    """Whether the loss is computed from what goes into this activation."""
    try:
        return loss.from_logits(activation) is not None
    except ValueError:
        return False


def _too_large(config: Config, network: Network) -> Iterator[Problem]:
    """Values given by hand that the network's dtype cannot hold."""
    for index, entry in enumerate(network.entries):
        for key in ("weights", "biases"):
            largest = np.abs(np.asarray(getattr(entry, key) or 0.0, np.float64)).max(initial=0.0)
            if largest > np.finfo(config.dtype).max:
                message = f"{largest:g} is too large for {config.dtype}: set dtype: float64"
                yield ("network", "layers", index, key), message


def _second_softmax(config: Config, network: Network) -> list[Problem]:
    """A softmax or sigmoid whose outputs reach the output activation as they are, and would go through another one."""
    if not _goes_with_logits(config.loss, network.output_activation):
        return []
    for placed in reversed(network.placed):
        function = placed.spec.function if isinstance(placed.spec, ActivationSpec) else Identity()
        if isinstance(function, (Sigmoid, Softmax)):
            index, name = placed.entry, registry.activations.name_of(function)
            key = "function" if isinstance(network.entries[index].spec, ActivationSpec) else "activation"
            output, loss = registry.activations.name_of(network.output_activation), registry.losses.name_of(config.loss)
            message = f"{loss} puts {output} behind the last layer, on top of this {name}: leave this one out"
            return [(("network", "layers", index, key), message)]
        weighs = placed.spec.param_specs(placed.in_shape) or placed.in_shape != placed.out_shape
        if not isinstance(function, Identity) or (weighs and not isinstance(placed.spec, Flatten)):
            break
    return []


def _auto_activation(config: Config, out_shape: Shape, several_yes_or_no: bool) -> Activation:
    """softmax or sigmoid for a loss for classes that goes with them, else identity."""
    if not config.loss.for_classes:
        return Identity()
    activation = Sigmoid() if out_shape == (1,) or several_yes_or_no else Softmax()
    try:
        config.loss.from_logits(activation)
    except ValueError:
        return Identity()
    return activation


def full_batch_problems(config: Config, network: Network | None) -> list[Problem]:
    """What keeps the config's optimizer from being used, if it is one for the whole training set."""
    if not config.optimizer.full_batch:
        return []
    training, plain = config.training, isinstance(config.network, PlainNetwork)
    found = objections(
        registry.optimizers.name_of(config.optimizer),
        network,
        config.loss,
        full_batch=training.batch_size == "full",
        scheduled=config.schedule is not None,
        clipped=tuple(key for key in ("clip_norm", "clip_value") if getattr(training, key) is not None),
    )
    problems = list[Problem]()
    if training.on_divergence == "halve_rate":
        name = registry.optimizers.name_of(config.optimizer)
        message = f"{name} finds the size of its steps by itself and has no learning rate to halve: leave it at stop"
        problems.append((("training", "on_divergence"), message))
    for key, layer, message in found:
        path: KeyPath = (key,) if key in ("loss", "optimizer", "schedule") else ("training", key)
        if layer >= 0:
            path = ("network", "layers", layer + 1) if plain else ("network", "layers", layer, key)
        problems.append((path, message))
    return problems


def target_codes(classes: int, network: Network, plan: DataPlan) -> Array:
    """(classes, outputs): row c is the target for class c: 1 at output c; or 0 and 1 for a single output."""
    if network.out_shape == (1,):
        return np.array([[0.0], [1.0]], plan.dtype)
    return np.eye(classes, dtype=plan.dtype)


def _yes_or_no_columns(output: Array) -> Array:
    p = output.astype(np.float64).ravel()
    return np.stack([1.0 - p, p], axis=1)
