"""The output of `bpcli summary`, `bpcli validate` and `bpcli step`."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from bpcli.build.memory import in_bytes, parameter_bytes
from bpcli.build.session import Session
from bpcli.config.schema import Config
from bpcli.engine import registry
from bpcli.engine.activations import Identity
from bpcli.engine.arrays import Array
from bpcli.engine.layers.activation import ActivationSpec
from bpcli.engine.measure.trace import StepTrace, trace_step
from bpcli.engine.network import LayerEntry, Network, PlacedLayer, by_layer
from bpcli.engine.protocols import Optimizer
from bpcli.engine.training.step import BatchStep
from bpcli.text import json_text, listed, plural, printable, table


def summary_text(network: Network, config: Config) -> str:
    """The table of layers: output shape, activation, parameters; then the totals and the memory for training."""
    rows = [["layer", "type", "activation", "output", "parameters"], ["input", "", "", _shape(network.in_shape), "0"]]
    shapes = {placed.name: placed.out_shape for placed in network.placed}
    specs = by_layer(network.layout.specs)
    for name, entry in zip(network.names, network.entries, strict=True):
        count = sum(math.prod(spec.shape) for spec in specs.get(name, {}).values())
        rows.append([name, registry.layers.name_of(entry.spec), _functions(entry), _shape(shapes[name]), f"{count:,}"])
    size = network.layout.size
    item = 4 if config.dtype == "float32" else 8
    all_learn = all(entry.trainable is True for entry in network.entries)
    frozen = 0 if all_learn else size - int(network.trainable_mask.sum())
    lines = [table(rows, left=4), "", f"{plural(size, 'parameter')}{f', {frozen:,} of them frozen' if frozen else ''}"]
    lines.append(
        f"{config.dtype}: weights {in_bytes(size * item)}; in training {in_bytes(parameter_bytes(network, config))} "
        f"with the gradient, work space and the optimizer's vectors"
    )
    return "\n".join(lines)


def _functions(entry: LayerEntry) -> str:
    """The activation functions of a layer: that of an activation layer, and the `activation` key of any layer."""
    own = entry.spec.function if isinstance(entry.spec, ActivationSpec) else None
    if isinstance(own, Identity) and entry.activation:  # such as a final activation layer before the output activation
        own = None
    return ", ".join(registry.activations.name_of(function) for function in (own, entry.activation) if function)


def data_text(session: Session) -> str:
    """Samples, task and network sizes."""
    preparation, network = session.model.preparation, session.model.network
    counts = ", ".join(f"{len(part):,} {name}" for name, part in session.datasets.parts.items())
    lines = [f"data     {counts} samples of {_shape(preparation.in_shape)}"]
    if preparation.classes is not None:
        named = listed(preparation.classes, 10, printable)
        lines.append(f"task     classification, {len(preparation.classes)} classes: {named}")
    else:
        names = f": {listed(preparation.target_names, show=printable)}" if preparation.target_names else ""
        lines.append(f"task     {preparation.task}, {plural(math.prod(network.out_shape), 'output')}{names}")
    sizes = "-".join(_shape(shape) for shape in (network.in_shape, *(p.out_shape for p in _sized(network))))
    lines.append(f"network  {sizes}, {plural(network.layout.size, 'parameter')}")
    return "\n".join(lines)


def _sized(network: Network) -> list[PlacedLayer]:
    """The layers with units, and those that change the number of values; not flatten or dropout."""
    return [
        placed
        for placed in network.placed
        if _has_units(placed) or math.prod(placed.out_shape) != math.prod(placed.in_shape)
    ]


def _has_units(placed: PlacedLayer) -> bool:
    """Whether each output is a weighted sum of several inputs; a normalisation scales each input separately."""
    specs = placed.spec.param_specs(placed.in_shape)
    return "W" in specs and len(specs["W"].shape) > len(placed.in_shape)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def first_step(session: Session) -> StepTrace:
    """The first step of a run, on the first batch_size samples in their own order.

    Raises:
        ConfigError: a step of the optimizer needs more than one gradient.
    """
    model, config = session.model, session.model.config
    if config.optimizer.full_batch:
        name = registry.optimizers.name_of(config.optimizer)
        message = f"{name} evaluates the loss several times in a step: to see one step, take sgd"
        raise session.file.error((("optimizer",), message))
    samples = model.samples(session.datasets.parts["train"])
    step = BatchStep(
        model.network,
        config.loss,
        config.optimizer,
        samples,
        session.start(),
        session.options,
        schedule=config.schedule,
    )
    return trace_step(step)


def step_text(trace: StepTrace, optimizer: Optimizer) -> str:
    """The step as in a textbook: forward from the first layer, backward from the last, then the update."""
    lines = ["forward", _row("x", trace.x)]
    for layer in trace.layers:
        lines += [f"  {printable(layer.name)}", *(_row(name, value) for name, value in layer.params.items())]
        lines += [_row("z", layer.z), _row("a", layer.a)]
    lines.append(_row("y", trace.y))
    if trace.weights is not None:
        lines.append(_row("weight of each sample's loss", trace.weights))
    lines += [f"  loss = {trace.loss:.12g}", "", "backward"]
    for layer in reversed(trace.layers):
        lines += [f"  {printable(layer.name)}", _row("delta = dL/dz", layer.delta)]
        lines += [_row(f"dL/d{name}", value) for name, value in layer.grads.items()]
    lines += ["", f"update by {registry.optimizers.name_of(optimizer)}, learning rate {trace.learning_rate:g}"]
    for layer in trace.layers:
        lines += [f"  {printable(layer.name)}", *(_row(f"{name} after", value) for name, value in layer.after.items())]
    lines.append(f"  loss after = {trace.loss_after:.12g}")
    return "\n".join(lines)


def _row(name: str, value: Array) -> str:
    text = np.array2string(value, precision=12, separator=", ", max_line_width=110, threshold=sys.maxsize)
    return f"    {name} = " + text.replace("\n", "\n" + " " * (7 + len(name)))


def step_json(trace: StepTrace) -> str:
    """Every number of the step, unrounded; values that are not finite are null."""
    layers: list[dict[str, Any]] = [
        {
            "name": layer.name,
            "z": layer.z.tolist(),
            "a": layer.a.tolist(),
            "delta": layer.delta.tolist(),
            "before": {name: value.tolist() for name, value in layer.params.items()},
            "gradient": {name: value.tolist() for name, value in layer.grads.items()},
            "after": {name: value.tolist() for name, value in layer.after.items()},
        }
        for layer in trace.layers
    ]
    values = {
        "x": trace.x.tolist(),
        "y": trace.y.tolist(),
        "sample_weight": None if trace.weights is None else trace.weights.tolist(),
        "loss": trace.loss,
        "layers": layers,
        "learning_rate": trace.learning_rate,
        "loss_after": trace.loss_after,
    }
    return json_text(values)
