"""The composition root: a config is checked and becomes data, network, loss, optimizer and state."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from bpcli.build.locations import data_plan, split_stream
from bpcli.build.memory import lack_of_memory
from bpcli.build.model import Misfit, Model, activation_problems, build_model, full_batch_problems, network_of
from bpcli.config.load import ConfigFile, load_config, load_sound_sections
from bpcli.config.tree import dump_yaml
from bpcli.data.datasets import Datasets, load_datasets, missing_files
from bpcli.data.types import DataPlan
from bpcli.engine import registry
from bpcli.engine.network import Network
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.recovery import HalvedRate, halvings, train_with_halvings
from bpcli.engine.training.state import MOST_SHARDS, TrainState
from bpcli.engine.training.trainer import Report, Validation, train
from bpcli.errors import ConfigError, DataError, collected, together

Load: TypeAlias = Callable[[DataPlan, np.random.Generator], Datasets]


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
        """Turns a MemoryError into a ConfigError that states how much memory training needs."""
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

        on_rollback: called with a message when training diverged and `state` was set back, see training.on_divergence.

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


def open_session(file: ConfigFile, *, threads: int = 1, load: Load = load_datasets) -> Session:
    """Reads the data and builds everything from it and the config.

    load: reads and prepares the splits.

    Raises:
        ConfigError: sizes that do not fit together or do not fit the data, each at its key; the problems of the data
            are listed as well.
        DataError: a data file cannot be used.
    """
    config, plan, errors = file.config, data_plan(file), list[ConfigError | DataError]()
    datasets = model = None
    with collected(errors):
        check_alone(file)
    with collected(errors):
        datasets = load(plan, split_stream(config))
        model = build_model(file, plan, datasets.preparation)
        objections = [objection for part in datasets.parts.values() if (objection := model.objection_to(part))]
        if objections:
            raise file.error(objections[0])
    if errors or datasets is None or model is None:
        raise together(errors)
    file = dataclasses.replace(file, config=model.config)
    return Session(file, model, datasets, config.training.options(threads=threads))


def check_alone(file: ConfigFile) -> Network | None:
    """Checks everything that needs no data. Returns the network if its input shape is in the config.

    Raises:
        ConfigError: every problem found.
    """
    config, problems = file.config, list[Misfit]()
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


def load_checked(path: str | Path, overrides: Sequence[str] = ()) -> ConfigFile:
    """Like `load_config`, but the error for a wrong config also lists the problems of its data.

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
    """The problems of the sections that could be read, and of the data.

    If the data section is wrong, only missing files can be found. If the loss is wrong and nothing else decides whether
    numbers in the target are classes, only problems of the data can be found.
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
