"""The composition root: a checked config becomes data, network, loss, optimizer and state."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bpcli.build.locations import data_plan, split_stream
from bpcli.build.memory import lack_of_memory
from bpcli.build.model import Model, Problem, activation_problems, build_model, full_batch_problems, network_of
from bpcli.config.load import ConfigFile
from bpcli.config.tree import dump_yaml
from bpcli.data.datasets import Datasets, load_datasets
from bpcli.engine import registry
from bpcli.engine.network import Network
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.recovery import HalvedRate, halvings, train_with_halvings
from bpcli.engine.training.state import MOST_SHARDS, TrainState
from bpcli.engine.training.trainer import Report, Validation, train
from bpcli.errors import ConfigError, DataError, collected, together


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
        on_rollback: Callable[[str], None] = lambda text: None,
    ) -> Iterator[Report]:
        """Trains `state` on; see `bpcli.engine.training.trainer.train`.

        on_rollback: is told when training has diverged and `state` has gone back, under training.on_divergence.

        Raises:
            ConfigError: there is not enough memory for it.
        """
        with self.memory_errors():
            yield from self._reports(state, should_stop, on_rollback)

    def _reports(
        self, state: TrainState, should_stop: Callable[[], bool], on_rollback: Callable[[str], None]
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
        return train_with_halvings(run, state, self.start, on_rollback) if halving else run()


def open_session(file: ConfigFile, *, threads: int = 1) -> Session:
    """Reads the data and puts everything together.

    Raises:
        ConfigError: sizes that do not fit together or do not fit the data, each at its key; what is wrong with the data
            is shown besides.
        DataError: a data file cannot be used.
    """
    config, plan, errors = file.config, data_plan(file), list[ConfigError | DataError]()
    datasets = model = None
    with collected(errors):
        check_alone(file)
    with collected(errors):
        datasets = load_datasets(plan, split_stream(config))
        model = build_model(file, plan, datasets.preparation)
        objections = [objection for part in datasets.parts.values() if (objection := model.objection_to(part))]
        if objections:
            raise file.error(objections[0])
    if errors or datasets is None or model is None:
        raise together(errors)
    file = dataclasses.replace(file, config=model.config)
    return Session(file, model, datasets, config.training.options(threads=threads))


def check_alone(file: ConfigFile) -> Network | None:
    """Checks all that can be checked without the data; gives the network if its input shape is in the config.

    Raises:
        ConfigError: every problem found.
    """
    config, problems = file.config, list[Problem]()
    network, form = None, config.network
    several_targets = isinstance(config.data.target, tuple) and len(config.data.target) > 1
    problems += activation_problems(config)
    if form.input is not None and not problems:
        network = network_of(config, form.input, several_targets, problems)
    stopping = config.training.early_stopping
    if stopping and stopping.monitor.startswith("val_") and config.data.val is None:
        key = ("training", "early_stopping", "monitor")
        problems.append((key, f"{stopping.monitor} needs data.val, for example `val: 0.2`; or monitor train_loss"))
    problems += full_batch_problems(config, network)
    if config.data.task == "regression" and config.loss.for_classes:
        name = registry.losses.name_of(config.loss)
        problems.append((("loss",), f"{name} is for classification; for data.task: regression take mse"))
    if config.data.task == "classification" and config.loss.for_numbers:
        name = registry.losses.name_of(config.loss)
        message = f"{name} is for numbers, a regression; for data.task: classification take log_likelihood"
        problems.append((("loss",), message))
    try:
        dump_yaml(config.to_plain())
    except ValueError as error:
        problems.append(((), f"could not be read again as a run keeps it, its defaults filled in: {error}"))
    if problems:
        raise file.error(*problems)
    return network
