"""One training step in full: every z, a, delta and gradient, and the weights after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.network import by_layer
from bpcli.engine.protocols import Layer, Parameters
from bpcli.engine.training.step import BatchStep


@dataclass(frozen=True)
class LayerTrace:
    """One layer with its activation. z, a, delta (N, ...); params, grads and after by name, "W" and "b".

    delta is dL/dz; a is z where the layer has no activation.
    used: the gradients that the optimizer took: grads, clipped, with the penalty on weights, and 0 for what is frozen.
    vectors: the optimizer's, such as "m", after the step, each by parameter. rates: each parameter's learning rate.
    stats: running statistics after the step.
    """

    name: str
    z: Array
    a: Array
    delta: Array
    params: Mapping[str, Array]
    grads: Mapping[str, Array]
    after: Mapping[str, Array]
    used: Mapping[str, Array]
    vectors: Mapping[str, Mapping[str, Array]]
    rates: Mapping[str, float]
    stats: Mapping[str, Array]


@dataclass(frozen=True)
class StepTrace:
    """One step of training on one batch. Losses before and after the update; x (N, ...), y (N, M).

    weights: (N,), the factor on each sample's loss; None if all are 1.
    finite: whether the loss, the gradient and the new weights are finite; if not, training stops at this step.
    number: of the step in its run, from 1.
    """

    x: Array
    y: Array
    weights: Array | None
    loss: float
    layers: tuple[LayerTrace, ...]
    learning_rate: float
    loss_after: float
    finite: bool
    number: int


class _Recorder:
    """Copies a layer's output y in the forward pass and dy = dL/dy in the backward pass."""

    def __init__(self, layer: Layer) -> None:
        self.layer, self.forward, self.backward = layer, layer.forward, layer.backward
        self.y = self.dy = np.empty(0)
        vars(layer).update(forward=self._forward, backward=self._backward)  # of this object only

    def remove(self) -> None:
        """Leaves the layer as it was."""
        del vars(self.layer)["forward"], vars(self.layer)["backward"]

    def _forward(self, x: Array, training: bool) -> Array:
        y = self.forward(x, training)
        self.y = y.copy()
        return y

    def _backward(self, dy: Array) -> Array:
        self.dy = dy.copy()
        return self.backward(dy)


class _RecordedOptimizer:
    """An optimizer that copies the gradients it is given."""

    def __init__(self, optimizer: Any) -> None:
        self.optimizer, self.learning_rate = optimizer, optimizer.learning_rate
        self.used: list[Array] = []

    def step(self, p: Parameters) -> None:
        self.used.append(p.grad.copy())
        self.optimizer.step(p)


def trace_step(step: BatchStep, rows: slice | None = None) -> StepTrace:
    """Takes a step on these rows, by default the first whole batch, and copies every number.

    Recorders on the layers copy the numbers while the step computes the gradient, the update, and the gradient again
    for the loss after it. That loss leaves no trace in the state: the next step is the one that training would take.
    """
    network, samples, state = step.network, step.samples, step.state
    rows = slice(0, step.size) if rows is None else rows
    gradient, before = step.gradients[rows.stop - rows.start], state.theta.copy()
    recorders = [[_Recorder(layer) for layer in shards] for shards in gradient.layers]
    optimizer = step.update.optimizer
    recorded = _RecordedOptimizer(optimizer)
    step.update.optimizer = recorded  # type: ignore[assignment]  # all that an update needs
    with np.errstate(all="ignore"):  # as in training; values that are not finite are shown
        loss = gradient(samples, rows)
        grads = step.grad.copy()
        outputs = [np.concatenate([layer.y for layer in same]) for same in recorders]
        deltas = [np.concatenate([layer.dy for layer in same]) for same in recorders]
        x, y = (np.concatenate([getattr(shard, name) for shard in gradient.shards]) for name in "xy")
        finite = step.update.apply() and math.isfinite(loss)
        stats, noise = state.stats.copy(), [generator.bit_generator.state for generator in state.noise]
        loss_after = gradient(samples, slice(rows.start, rows.stop))
        np.copyto(state.stats, stats)
        for generator, drawn in zip(state.noise, noise, strict=True):
            generator.bit_generator.state = drawn
        output = np.empty_like(outputs[-1])
        network.output_activation.forward(outputs[-1].copy(), output, Scratch.beside(output.shape, before.dtype.name))  # type: ignore[arg-type]
    step.update.optimizer = optimizer
    for recorder in (recorder for same in recorders for recorder in same):
        recorder.remove()

    used = np.concatenate(recorded.used) if recorded.used else grads
    flat = (before, grads, state.theta.copy(), used)
    params, gradients, after, taken = (by_layer(network.layout.views(vector)) for vector in flat)
    vectors = {name: by_layer(network.layout.views(vector.copy())) for name, vector in state.vectors.items()}
    scale = np.ones(before.size) if network.rate_scale is None else network.rate_scale
    rates = by_layer({name: step.learning_rate * float(scale[at.start]) for name, at in network.layout.slices.items()})
    kept = by_layer(network.stats_layout.views(stats))
    placed_at: list[list[int]] = [[] for _ in network.entries]
    for k, placed in enumerate(network.placed):
        placed_at[placed.entry].append(k)
    traces = []
    for name, own in zip(network.names, placed_at, strict=True):
        traces.append(
            LayerTrace(
                name,
                outputs[own[0]],
                output if name == network.names[-1] else outputs[own[-1]],
                deltas[own[0]],
                params.get(name, {}),
                gradients.get(name, {}),
                after.get(name, {}),
                taken.get(name, {}),
                {vector: named[name] for vector, named in vectors.items() if name in named},
                rates.get(name, {}),
                kept.get(name, {}),
            )
        )
    weights = None if samples.weights is None else samples.weights[rows, 0]
    return StepTrace(x, y, weights, loss, tuple(traces), step.learning_rate, loss_after, finite, state.step)


def trace_steps(step: BatchStep, rows: list[slice], count: int) -> list[StepTrace]:
    """So many steps, on one batch of an epoch after the other; after the last batch the next epoch begins.

    It ends with a step that is not finite. rows: the batches of an epoch.
    """
    traces: list[StepTrace] = []
    for k in range(count):
        if k and k % len(rows) == 0:
            step.state.epoch += 1
        part = rows[k % len(rows)]
        traces.append(trace_step(step, slice(part.start, part.stop)))  # a new object: the data is fetched again
        if not traces[-1].finite:
            break
    return traces
