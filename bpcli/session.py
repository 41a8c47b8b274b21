"""The composition root: a checked config becomes data, network, loss, optimizer and state."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.config.load import ConfigFile
from bpcli.config.schema import Config, Pair, PlainNetwork, Scale
from bpcli.config.yaml_tree import Path as KeyPath
from bpcli.data.datasets import DataPlan, Datasets, Part, load_datasets
from bpcli.data.preparation import Preparation
from bpcli.data.source import Source
from bpcli.engine import registry
from bpcli.engine.activations.identity import Identity
from bpcli.engine.activations.sigmoid import Sigmoid
from bpcli.engine.activations.softmax import Softmax
from bpcli.engine.arrays import Array, Shape
from bpcli.engine.losses.log_likelihood import LogLikelihood
from bpcli.engine.network import LayerError, Network
from bpcli.engine.protocols import Activation, Metric
from bpcli.engine.samples import Samples
from bpcli.engine.state import MOST_SHARDS, TrainState, random_streams
from bpcli.engine.trainer import Report, TrainOptions, Validation, train

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
            return Samples(self._reshaped(part.x), part.y)
        return Samples(
            self._reshaped(part.x),
            part.y,
            target_codes(len(self.preparation.classes), self.network, self.plan),
        )

    def _reshaped(self, x: Array) -> Array:
        return x.reshape(len(x), *self.network.in_shape)

    def inputs(self, x: Array) -> Array:
        """Prepared inputs (N, *data shape) in the shape that the network takes."""
        return self._reshaped(x)

    def metric_functions(self, part: Part) -> dict[str, Callable[[Array], float]]:
        """Each metric as a function of the network's outputs (N, M) on this split."""
        return {name: self._metric_function(metric, part) for name, metric in self.metrics.items()}

    def _metric_function(self, metric: Metric, part: Part) -> Callable[[Array], float]:
        preparation = self.preparation
        if preparation.several_yes_or_no:
            target = part.y.ravel().astype(np.int64)
            return lambda output: metric.value(target, _yes_or_no_columns(output))
        if preparation.task == "classification":
            return lambda output: metric.value(part.y, preparation.probabilities(output))
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
        """The state before the first iteration."""
        config = self.model.config
        shards = self.options.shards or MOST_SHARDS
        return TrainState.start(
            self.model.network, config.optimizer, seed=config.seed, dtype=config.dtype, shards=shards
        )

    def train(self, state: TrainState, should_stop: Callable[[], bool] = lambda: False) -> Iterator[Report]:
        """Trains `state` on; see `bpcli.engine.trainer.train`."""
        config, model = self.model.config, self.model
        validation = None
        if "val" in self.datasets.parts:
            part = self.datasets.parts["val"]
            validation = Validation(
                model.samples(part),
                {f"val_{name}": function for name, function in model.metric_functions(part).items()},
                frozenset(f"val_{name}" for name, metric in model.metrics.items() if metric.higher_is_better),
            )
        return train(
            model.network,
            config.loss,
            config.optimizer,
            model.samples(self.datasets.parts["train"]),
            state,
            self.options,
            schedule=config.schedule,
            validation=validation,
            should_stop=should_stop,
        )


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
    config, problems = file.config, list[tuple[KeyPath, str]]()
    network = None
    if isinstance(config.network, PlainNetwork) and isinstance(config.network.activation, tuple):
        hidden = len(config.network.layers) - 2
        if len(config.network.activation) != hidden:
            given = len(config.network.activation)
            raise file.error((("network", "activation"), f"expected {hidden}, one for each hidden layer, got {given}"))
    if config.network.input is not None:
        network = _network(file, config.network.input)
    problems += _task_problems(config)
    stopping = config.training.early_stopping
    if stopping and stopping.monitor.startswith("val_") and config.data.val is None:
        key = ("training", "early_stopping", "monitor")
        problems.append((key, f"{stopping.monitor} needs data.val, for example `val: 0.2`; or monitor train_loss"))
    if problems:
        raise file.error(*problems)
    return network


def _task_problems(config: Config) -> list[tuple[KeyPath, str]]:
    problems: list[tuple[KeyPath, str]] = []
    if config.data.task == "regression" and isinstance(config.loss, LogLikelihood):
        problems.append((("loss",), "log_likelihood is for classification; for data.task: regression take mse"))
    return problems


def build_model(file: ConfigFile, plan: DataPlan, preparation: Preparation) -> Model:
    """The network for prepared data.

    Raises:
        ConfigError: the network's inputs or outputs do not fit the data, or a metric does not fit the task.
    """
    config = file.config
    in_shape = _in_shape(file, preparation)
    network = _network(file, in_shape)
    _check_outputs(file, network, preparation)
    metrics = config.metrics or [registry.metrics.get(name)() for name in DEFAULT_METRICS[preparation.task]]
    problems: list[tuple[KeyPath, str]] = [
        (
            ("metrics", index),
            f"{registry.metrics.name_of(metric)} is for {metric.task}, the task is {preparation.task}",
        )
        for index, metric in enumerate(metrics)
        if metric.task != preparation.task
    ]
    named = {registry.metrics.name_of(metric): metric for metric in metrics}
    stopping = config.training.early_stopping
    monitored = ["train_loss", "val_loss", *(f"val_{name}" for name in named)]
    if stopping and stopping.monitor not in monitored:
        message = f"expected one of {', '.join(monitored)}, got {stopping.monitor}"
        problems.append((("training", "early_stopping", "monitor"), message))
    if problems:
        raise file.error(*problems)
    return Model(config, plan, network, preparation, named)


def _in_shape(file: ConfigFile, preparation: Preparation) -> Shape:
    """The shape of one sample as the network takes it: as configured, else the data's, an image with one channel."""
    shape = preparation.in_shape
    wanted = file.config.network.input
    if wanted is None:
        return (1, *shape) if len(shape) == 2 else shape
    if math.prod(wanted) != math.prod(shape):
        plain = isinstance(file.config.network, PlainNetwork)
        key: KeyPath = ("network", "layers", 0) if plain else ("network", "input")
        size = str(wanted[0]) if plain else str(list(wanted))
        raise file.error((key, f"the data has {_inputs_text(preparation)}, got {size}"))
    return wanted


def _inputs_text(preparation: Preparation) -> str:
    names = preparation.feature_names
    if names:
        listed = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
        return f"{len(names)} input{'s' if len(names) > 1 else ''} ({listed})"
    shape = preparation.in_shape
    return f"{math.prod(shape)} inputs" + (f" ({' x '.join(map(str, shape))})" if len(shape) > 1 else "")


def _check_outputs(file: ConfigFile, network: Network, preparation: Preparation) -> None:
    """The number of outputs must fit the classes or the target columns."""
    outputs = math.prod(network.out_shape)
    last: KeyPath = ("network", "layers", len(file.config.network.layers) - 1)
    if len(network.out_shape) != 1:
        raise file.error((last, f"the outputs have the shape {network.out_shape}: end with a dense layer"))
    if preparation.classes is not None:
        count = len(preparation.classes)
        listed = ", ".join(preparation.classes[:8]) + (", ..." if count > 8 else "")
        if outputs != count and not (count == 2 and outputs == 1):
            needed = "2 outputs or 1" if count == 2 else f"{count} outputs"
            raise file.error((last, f"the data has {count} classes ({listed}), which takes {needed}, got {outputs}"))
    else:
        names = preparation.target_names
        listed = f" ({', '.join(names[:8])})" if names else ""
        count = len(names) if names else outputs
        if outputs != count:
            raise file.error((last, f"the data has {count} target columns{listed}, got {outputs} outputs"))


def _network(file: ConfigFile, in_shape: Shape) -> Network:
    """The network of a config, its output activation settled.

    Raises:
        ConfigError: at the layer, or at the output activation.
    """
    config = file.config
    plain = isinstance(config.network, PlainNetwork)
    entries = list(config.network.entries())
    first = 1 if plain else 0
    try:
        if entries[-1].activation is None:
            outputs = Network(entries, in_shape).out_shape
            activation = _auto_activation(config, outputs)
            entries[-1] = dataclasses.replace(entries[-1], activation=activation)
        network = Network(entries, in_shape)
    except LayerError as error:
        key: KeyPath = ("network", "layers", error.index + first)
        raise file.error((key if plain or error.key == "type" else (*key, error.key), str(error))) from None
    try:
        config.loss.from_logits(network.output_activation)
        if isinstance(network.output_activation, Softmax) and network.out_shape == (1,):
            raise ValueError("softmax over a single output is always 1: take sigmoid, or one output for each class")
    except ValueError as error:
        last: KeyPath = ("network", "layers", len(entries) - 1, "activation")
        raise file.error((("network", "output_activation") if plain else last, str(error))) from None
    return network


def _auto_activation(config: Config, out_shape: Shape) -> Activation:
    """softmax or sigmoid for log-likelihood, else identity."""
    if not isinstance(config.loss, LogLikelihood):
        return Identity()
    several_yes_or_no = isinstance(config.data.target, tuple) and len(config.data.target) > 1
    return Sigmoid() if out_shape == (1,) or several_yes_or_no else Softmax()


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
        task=data.task,
        log_likelihood=isinstance(config.loss, LogLikelihood),
        stratify=data.stratify,
        in_order=data.split == "in_order",
        x_scale=scale.x,
        y_scale=scale.y,
        dtype=config.dtype,
    )


def source_of(location: str | Pair, folder: Path) -> Source:
    """A path or pair of paths, relative ones starting at `folder`."""
    if isinstance(location, Pair):
        y = None if location.y is None else folder / location.y
        return Source(folder / location.x, y, label=str(folder / location.x))
    return Source(folder / location, label=str(folder / location))


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
