"""One training step with every number in it, for `bpcli step`."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from bpcli.build.session import Session
from bpcli.engine import registry
from bpcli.engine.arrays import Array
from bpcli.engine.measure.trace import StepTrace, trace_step
from bpcli.engine.protocols import Optimizer
from bpcli.engine.training.step import BatchStep
from bpcli.text import json_text, printable


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
