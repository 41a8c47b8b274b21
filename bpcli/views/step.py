"""One training step with every number in it, for `bpcli step`."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from bpcli.engine import registry
from bpcli.engine.arrays import Array
from bpcli.engine.gradient import BatchGradient, shards_for
from bpcli.engine.options import iterations_per_epoch
from bpcli.engine.protocols import FullBatchOptimizer, Optimizer
from bpcli.engine.trace import StepTrace, trace_step
from bpcli.engine.update import Update
from bpcli.json_text import json_text
from bpcli.session import Session


def first_step(session: Session) -> StepTrace:
    """The first step of a run, on the first batch_size samples in their own order.

    Raises:
        ConfigError: the optimizer's step takes more than one gradient.
    """
    model = session.model
    if isinstance(model.config.optimizer, FullBatchOptimizer):
        name = registry.optimizers.name_of(model.config.optimizer)
        message = f"{name} evaluates the loss several times in a step: to see one step, take sgd"
        raise session.file.error((("optimizer",), message))
    samples = model.samples(session.datasets.parts["train"])
    n = min(session.options.batch_size or len(samples), len(samples))
    config, state = model.config, session.start()
    update = Update(
        model.network,
        config.optimizer,
        state.theta,
        iterations_per_epoch=iterations_per_epoch(len(samples), n, drop_last=session.options.drop_last),
        epochs=session.options.epochs,
        schedule=config.schedule,
        clip_norm=session.options.clip_norm,
        clip_value=session.options.clip_value,
    )
    shards = min(n, session.options.shards or shards_for(model.network, n))
    gradient = BatchGradient(model.network, config.loss, state, np.empty_like(state.theta), n=n, shards=shards)
    return trace_step(model.network, state, gradient, update, samples, n)


def step_text(trace: StepTrace, optimizer: Optimizer) -> str:
    """The step as in a textbook: forward from the first layer, backward from the last, then the update."""
    lines = ["forward", _row("x", trace.x)]
    for layer in trace.layers:
        lines += [f"  {layer.name}", *(_row(name, value) for name, value in layer.params.items())]
        lines += [_row("z", layer.z), _row("a", layer.a)]
    lines.append(_row("y", trace.y))
    if trace.weights is not None:
        lines.append(_row("weight of each sample's loss", trace.weights))
    lines += [f"  loss = {trace.loss:.12g}", "", "backward"]
    for layer in reversed(trace.layers):
        lines += [f"  {layer.name}", _row("delta = dL/dz", layer.delta)]
        lines += [_row(f"dL/d{name}", value) for name, value in layer.grads.items()]
    lines += ["", f"update by {registry.optimizers.name_of(optimizer)}, learning rate {trace.learning_rate:g}"]
    for layer in trace.layers:
        lines += [f"  {layer.name}", *(_row(f"{name} after", value) for name, value in layer.after.items())]
    lines.append(f"  loss after = {trace.loss_after:.12g}")
    return "\n".join(lines)


def _row(name: str, value: Array) -> str:
    text = np.array2string(value, precision=12, separator=", ", max_line_width=110, threshold=sys.maxsize)
    return f"    {name} = " + text.replace("\n", "\n" + " " * (7 + len(name)))


def step_json(trace: StepTrace) -> str:
    """Every number of the step, none rounded; null for what is not finite."""
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
