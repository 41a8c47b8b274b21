"""The steps that `bpcli step` shows: the next ones of a config or of a run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bpcli.build.model import Model
from bpcli.build.session import Session, open_session
from bpcli.config.load import ConfigFile, load_config
from bpcli.data.types import Part
from bpcli.engine import registry
from bpcli.engine.activations import Identity
from bpcli.engine.layers.dense import Dense
from bpcli.engine.measure.node import NodeTrace, trace_node
from bpcli.engine.measure.trace import StepTrace, trace_steps
from bpcli.engine.protocols import FullBatchOptimizer
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.recovery import HalvedRate, halvings
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.step import BatchStep
from bpcli.errors import UsageError
from bpcli.system import one_blas_thread
from bpcli.text import listed, printable, shown
from bpcli.workflows.trained import TrainedModel


@dataclass(frozen=True, eq=False)
class Steps:
    """Consecutive steps of training a model; there are fewer than were asked for if one is not finite."""

    model: Model
    traces: Sequence[StepTrace]


@dataclass(frozen=True)
class Which:
    """Which steps: `count` of them on batches in the samples' own order, or on one sample alone, counted from 1."""

    count: int = 1
    sample: int | None = None


FIRST = Which()


def steps_of_config(path: Path, overrides: Sequence[str], which: Which, notify: Callable[[str], None]) -> Steps:
    """The first steps of training a config.

    Raises:
        ConfigError, DataError: the config or its data cannot be used, or its optimizer has no such step.
        UsageError: there is no such sample.
    """
    session = open_session(load_config(path, overrides))
    for note in session.datasets.notes:
        notify(note)
    with session.memory_errors():
        return first_steps(session, which)


def first_steps(session: Session, which: Which = FIRST) -> Steps:
    """The first steps of training."""
    return _steps(session.model, session.file, session.datasets.parts["train"], session.start, which)


def steps_of_run(path: Path, checkpoint: str | None, which: Which, notify: Callable[[str], None]) -> Steps:
    """The steps that would follow in a run: from its weights, with the optimizer's vectors as they were saved.

    Raises:
        RunError: it has no checkpoint that can be used, or its data has changed.
        ConfigError, UsageError: as for a config.
    """
    trained = TrainedModel.load(path, which=checkpoint)
    for note in trained.notes:
        notify(note)
    model, config = trained.model, trained.model.config

    def saved() -> TrainState:
        fresh = TrainState.start(model.network, config.optimizer, seed=config.seed, dtype=config.dtype)
        return trained.checkpoint.restore(model.network, fresh)

    return _steps(model, trained.file, trained.training_part(), saved, which)


def _steps(model: Model, file: ConfigFile, part: Part, start: Callable[[], TrainState], which: Which) -> Steps:
    config, samples = model.config, model.samples(part)
    if isinstance(config.optimizer, FullBatchOptimizer):
        name = registry.optimizers.name_of(config.optimizer)
        message = f"{name} evaluates the loss several times in a step: to see one step, take sgd"
        raise file.error((("optimizer",), message))
    options = config.training.options(threads=1)
    rows = _batches(options, len(samples))
    if which.sample is not None:
        if which.sample > len(samples):
            raise UsageError(f"--sample {which.sample}: the training data has {len(samples)} samples")
        options = dataclasses.replace(options, batch_size=1)
        rows = [slice(which.sample - 1, which.sample)]
    state = start()
    schedule = HalvedRate(config.schedule) if halvings(state) else config.schedule
    with one_blas_thread():
        step = BatchStep(model.network, config.loss, config.optimizer, samples, state, options, schedule=schedule)
        return Steps(model, trace_steps(step, rows, which.count))


def _batches(options: TrainOptions, n: int) -> list[slice]:
    """The batches of an epoch, in the samples' own order."""
    batches = options.batches(n)
    return [slice(k * batches.size, min((k + 1) * batches.size, n)) for k in range(batches.count)]


def node_of(steps: Steps, name: str) -> NodeTrace:
    """The graph of one neuron of a dense layer, "dense_1.2" its second, on the first sample of the first step.

    Raises:
        UsageError: there is no such neuron, or it cannot be taken apart.
    """
    network, trace = steps.model.network, steps.traces[0]
    layer_name, _, unit = name.rpartition(".")
    dense = {
        layer: entry.spec.units
        for layer, entry in zip(network.names, network.entries, strict=True)
        if isinstance(entry.spec, Dense)
    }
    if layer_name not in dense or not unit.isascii() or not unit.isdecimal() or not 1 <= int(unit) <= dense[layer_name]:
        known = listed((f"{layer}.1 to {layer}.{units}" for layer, units in dense.items()), show=printable)
        raise UsageError(f"--node {shown(name)}: expected LAYER.UNIT, here {known}")
    index, j = network.names.index(layer_name), int(unit) - 1
    layer, activation = trace.layers[index], network.entries[index].activation or Identity()
    x = trace.x if index == 0 else trace.layers[index - 1].a
    b = float(layer.params["b"][j]) if "b" in layer.params else None
    try:
        return trace_node(activation, x[0], layer.params["W"][j], b, float(layer.delta[0, j]))
    except ValueError as error:
        raise UsageError(f"--node {shown(name)}: {error}") from error
