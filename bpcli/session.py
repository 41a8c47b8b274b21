"""The composition root: a checked config becomes data, network, loss, optimizer and state."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bpcli.config.load import ConfigFile
from bpcli.config.schema import Config, Pair, PlainNetwork, Scale
from bpcli.config.yaml_tree import Path as KeyPath
from bpcli.data.datasets import DataPlan, Datasets, Part, load_datasets
from bpcli.data.preparation import Preparation
from bpcli.data.source import Source
from bpcli.data.stored_inputs import StoredInputs
from bpcli.engine import registry
from bpcli.engine.activations.identity import Identity
from bpcli.engine.activations.sigmoid import Sigmoid
from bpcli.engine.activations.softmax import Softmax
from bpcli.engine.arrays import Array, Shape
from bpcli.engine.full_batch import objections
from bpcli.engine.network import LayerError, Network
from bpcli.engine.protocols import Activation, FullBatchOptimizer, Loss, Metric
from bpcli.engine.recovery import HalvedRate, halvings, train_with_halvings
from bpcli.engine.samples import Samples
from bpcli.engine.state import MOST_SHARDS, TrainState, random_streams
from bpcli.engine.trainer import Report, TrainOptions, Validation, train
from bpcli.memory import LONGEST_VECTOR, beyond_counting, lack_of_memory

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
        preparation = self.preparation
        if preparation.several_yes_or_no:
            target = part.y.ravel().astype(np.int64)
            return lambda output: metric.value(target, _yes_or_no_columns(output))
        if preparation.task == "classification":
            boundary = boundary_of(self.config.loss)
            return lambda output: metric.value(part.y, preparation.probabilities(output, boundary))
        raw = part.raw_targets
        assert raw is not None  # a regression always keeps its targets
        return lambda output: metric.value(raw, preparation.values(output))


@dataclass(frozen=True, eq=False)
class Session:
    """Everything a training run needs, made from a config."""

    file: ConfigFile
    model: Model
    datasets: Datasets
    options: TrainOptions

    def start(self) -> TrainState:
        """The state before the first iteration.

        Raises:
            ConfigError: there is not enough memory for it.
        """
        config = self.model.config
        shards = self.options.shards or MOST_SHARDS
        with self.memory_errors():
            return TrainState.start(
                self.model.network, config.optimizer, seed=config.seed, dtype=config.dtype, shards=shards
            )

    @contextmanager
    def memory_errors(self) -> Iterator[None]:
        """Turns a lack of memory into a ConfigError that says how much training takes."""
        try:
            yield
        except MemoryError:
            n = len(self.datasets.parts["train"])
            n = min(self.options.batch_size or n, n)
            raise self.file.error(lack_of_memory(self.model.network, self.model.config, n)) from None

    def train(
        self,
        state: TrainState,
        should_stop: Callable[[], bool] = lambda: False,
        went_back: Callable[[str], None] = lambda text: None,
    ) -> Iterator[Report]:
        """Trains `state` on; see `bpcli.engine.trainer.train`.

        went_back: is told when training has diverged and `state` has gone back, under training.on_divergence.

        Raises:
            ConfigError: there is not enough memory for it.
        """
        with self.memory_errors():
            yield from self._reports(state, should_stop, went_back)

    def _reports(
        self, state: TrainState, should_stop: Callable[[], bool], went_back: Callable[[str], None]
    ) -> Iterator[Report]:
        config, model = self.model.config, self.model
        validation = None
        if "val" in self.datasets.parts:
            part = self.datasets.parts["val"]
            validation = Validation(
                model.samples(part),
                {f"val_{name}": function for name, function in model.metric_functions(part).items()},
                frozenset(f"val_{name}" for name, metric in model.metrics.items() if metric.higher_is_better),
            )
        halving = config.training.on_divergence == "halve_rate"
        run = partial(
            train,
            model.network,
            config.loss,
            config.optimizer,
            model.samples(self.datasets.parts["train"]),
            state,
            self.options,
            schedule=HalvedRate(config.schedule) if halving or halvings(state) else config.schedule,
            validation=validation,
            should_stop=should_stop,
        )
        return train_with_halvings(run, state, self.start, went_back) if halving else run()


def open_session(file: ConfigFile, *, threads: int = 1) -> Session:
    """Reads the data and puts everything together.

    Raises:
        ConfigError: sizes that do not fit together or do not fit the data, each at its key.
        DataError: a data file cannot be used.
    """
    check_alone(file)
    config = file.config
    plan = data_plan(file)
    datasets = load_datasets(plan, random_streams(config.seed)["split"])
    model = build_model(file, plan, datasets.preparation)
    return Session(file, model, datasets, config.training.options(threads=threads))


def check_alone(file: ConfigFile) -> Network | None:
    """Checks all that can be checked without the data; gives the network if its input shape is in the config.

    Raises:
        ConfigError: every problem found.
    """
    config, problems = file.config, list[Problem]()
    network, form = None, config.network
    if isinstance(form, PlainNetwork) and isinstance(form.activation, tuple):
        hidden, given = len(form.layers) - 2, len(form.activation)
        if given != hidden:
            problems.append((("network", "activation"), f"expected {hidden}, one for each hidden layer, got {given}"))
    if form.input is not None and not problems:
        network = _network(config, form.input, _several_targets(config), problems)
    stopping = config.training.early_stopping
    if stopping and stopping.monitor.startswith("val_") and config.data.val is None:
        key = ("training", "early_stopping", "monitor")
        problems.append((key, f"{stopping.monitor} needs data.val, for example `val: 0.2`; or monitor train_loss"))
    problems += _full_batch_problems(config, network)
    if config.data.task == "regression" and is_for_classes(config.loss):
        name = registry.losses.name_of(config.loss)
        problems.append((("loss",), f"{name} is for classification; for data.task: regression take mse"))
    if config.data.task == "classification" and _is_for_numbers(config.loss):
        name = registry.losses.name_of(config.loss)
        message = f"{name} is for numbers, a regression; for data.task: classification take log_likelihood"
        problems.append((("loss",), message))
    if problems:
        raise file.error(*problems)
    return network


def _full_batch_problems(config: Config, network: Network | None) -> list[Problem]:
    """What keeps the config's optimizer from being used, if it is one for the whole training set."""
    if not isinstance(config.optimizer, FullBatchOptimizer):
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


def build_model(file: ConfigFile, plan: DataPlan, preparation: Preparation) -> Model:
    """The network for prepared data.

    Raises:
        ConfigError: the network's inputs or outputs do not fit the data, or a metric does not fit the task.
    """
    config, problems = file.config, list[Problem]()
    in_shape = _in_shape(config, preparation, problems)
    network = _network(config, in_shape, preparation.several_yes_or_no, problems)
    if network is not None:
        _check_outputs(config, network, preparation, problems)
        problems += _full_batch_problems(config, network)
        shards = config.training.shards
        if network.has_trait("whole_batch") and isinstance(shards, int) and shards > 1:
            problems.append((("training", "shards"), "batch_norm looks at a whole batch: set auto or 1"))
    classes = ", ".join((preparation.classes or ())[:4])
    if preparation.classes and _is_for_numbers(config.loss):
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
    if stopping and stopping.monitor not in ("train_loss", *val_names):
        message = f"expected one of {', '.join(['train_loss', *val_names])}, got {stopping.monitor}"
        problems.append((("training", "early_stopping", "monitor"), message))
    if problems or network is None:
        raise file.error(*problems)
    return Model(config, plan, network, preparation, named)


def metric_name(metric: Metric) -> str:
    """The name of its column: as registered, then what differs from the defaults: f1, f1_micro, top_k_3."""
    options = [getattr(metric, field.name) for field in dataclasses.fields(metric) if _differs(metric, field)]  # type: ignore[arg-type]
    return "_".join([registry.metrics.name_of(metric), *map(str, options)])


def _differs(metric: Metric, field: dataclasses.Field[Any]) -> bool:
    return bool(getattr(metric, field.name) != field.default)


def _in_shape(config: Config, preparation: Preparation, problems: list[Problem]) -> Shape:
    """The shape of one sample as the network takes it: as configured, else the data's, an image with one channel."""
    shape, wanted = preparation.in_shape, config.network.input
    if len(shape) == 3 and shape[-1] in (1, 3, 4) and shape[0] not in (1, 3, 4):
        turned = f"images of {' x '.join(map(str, shape))} look like height x width x channels"
        problems.append((("data", "train"), f"{turned}: store them channels first, numpy.moveaxis(x, -1, 1)"))
    if wanted is None:
        return (1, *shape) if len(shape) == 2 else shape
    if math.prod(wanted) != math.prod(shape):
        plain = isinstance(config.network, PlainNetwork)
        key: KeyPath = ("network", "layers", 0) if plain else ("network", "input")
        size = str(wanted[0]) if plain else str(list(wanted))
        problems.append((key, f"the data has {_inputs_text(preparation)}, got {size}"))
    return wanted


def _inputs_text(preparation: Preparation) -> str:
    names = preparation.feature_names
    if names:
        listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        return f"{len(names)} input{'s' if len(names) > 1 else ''} ({listed})"
    shape = preparation.in_shape
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
        listed = ", ".join(preparation.classes[:8]) + (", ..." if count > 8 else "")
        if outputs != count and not (count == 2 and outputs == 1):
            needed = "2 outputs or 1" if count == 2 else f"{count} outputs"
            problems.append((last, f"the data has {count} classes ({listed}), which takes {needed}, {got}"))
    elif outputs != preparation.target_width:
        names, count = preparation.target_names, preparation.target_width
        listed = f" ({', '.join(names[:8])})" if names else ""
        problems.append((last, f"the data has {count} target column{'' if count == 1 else 's'}{listed}, {got}"))


def _network(config: Config, in_shape: Shape, several_yes_or_no: bool, problems: list[Problem]) -> Network | None:
    """The network of a config, its output activation settled; None after a problem that leaves none."""
    plain = isinstance(config.network, PlainNetwork)
    entries = list(config.network.entries())
    try:
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
        last: KeyPath = ("network", "layers", len(entries) - 1, "activation")
        problems.append((("network", "output_activation") if plain else last, str(error)))
    return network


def _auto_activation(config: Config, out_shape: Shape, several_yes_or_no: bool) -> Activation:
    """softmax or sigmoid for a loss for classes that goes with them, else identity."""
    if not is_for_classes(config.loss):
        return Identity()
    activation = Sigmoid() if out_shape == (1,) or several_yes_or_no else Softmax()
    try:
        config.loss.from_logits(activation)
    except ValueError:
        return Identity()
    return activation


def is_for_classes(loss: Loss) -> bool:
    """Whether the loss has no meaning but for a classification."""
    return bool(getattr(loss, "for_classes", False))


def _is_for_numbers(loss: Loss) -> bool:
    """Whether the loss has no meaning but for a regression."""
    return bool(getattr(loss, "for_numbers", False))


def boundary_of(loss: Loss) -> float:
    """Where a single output turns from the first class to the second."""
    return float(getattr(loss, "boundary", 0.5))


def _several_targets(config: Config) -> bool:
    return isinstance(config.data.target, tuple) and len(config.data.target) > 1


def data_plan(file: ConfigFile) -> DataPlan:
    """The config's data section with paths resolved."""
    config, data = file.config, file.config.data
    scale = data.scale if isinstance(data.scale, Scale) else Scale(x=data.scale, y=data.scale)  # type: ignore[arg-type]
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
        loss_for_classes=is_for_classes(config.loss),
        stratify=data.stratify,
        in_order=data.split == "in_order",
        x_scale=scale.x,
        y_scale=scale.y,
        dtype=config.dtype,
    )


def source_of(location: str | Pair, folder: Path) -> Source:
    """A path or pair of paths, relative ones starting at `folder`."""
    if isinstance(location, Pair):
        y = None if location.y is None else _from(folder, location.y)
        return Source(_from(folder, location.x), y, label=str(_from(folder, location.x)))
    return Source(_from(folder, location), label=str(_from(folder, location)))


def _from(folder: Path, path: str) -> Path:
    """The path without detours, as one would type it: datasets/xor.csv instead of configs/../datasets/xor.csv."""
    return Path(os.path.normpath(folder / path))


def _source_or_fraction(location: str | Pair | float | None, folder: Path) -> Source | float | None:
    return location if location is None or isinstance(location, float) else source_of(location, folder)


def target_codes(classes: int, network: Network, plan: DataPlan) -> Array:
    """(classes, outputs): row c is the target for class c: 1 at output c; or 0 and 1 for a single output."""
    if network.out_shape == (1,):
        return np.array([[0.0], [1.0]], plan.dtype)
    return np.eye(classes, dtype=plan.dtype)


def _yes_or_no_columns(output: Array) -> Array:
    p = output.astype(np.float64).ravel()
    return np.stack([1.0 - p, p], axis=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One thread for matrix products: OpenBLAS's own wait for each other by spinning, and change the order of sums."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def to_plain_with_paths(config: Config, relocate: Callable[[str], str]) -> dict[str, Any]:
    """The config as plain values, each data path passed through `relocate`."""
    values = config.to_plain()
    data = values["data"]
    for name in ("train", "val", "test"):
        if isinstance(data[name], str):
            data[name] = relocate(data[name])
        elif isinstance(data[name], dict):
            data[name] = {key: path and relocate(path) for key, path in data[name].items()}
    return values
