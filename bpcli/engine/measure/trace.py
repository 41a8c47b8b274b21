"""One training step in full: every z, a, delta and gradient, and the weights after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.network import by_layer
from bpcli.engine.protocols import Layer
from bpcli.engine.training.step import BatchStep


@dataclass(frozen=True)
class LayerTrace:
    """One layer with its activation. z, a, delta (N, ...); params, grads and after by name, "W" and "b".

    delta is dL/dz; a is z where the layer has no activation.
    """

    name: str
    z: Array
    a: Array
    delta: Array
    params: Mapping[str, Array]
    grads: Mapping[str, Array]
    after: Mapping[str, Array]


@dataclass(frozen=True)
class StepTrace:
    """One step of training on one batch. Losses before and after the update; x (N, ...), y (N, M).

    weights: (N,), the factor on each sample's loss; None if all are 1.
    finite: whether the loss, the gradient and the new weights are finite; if not, training stops at this step.
    """

    x: Array
    y: Array
    weights: Array | None
    loss: float
    layers: tuple[LayerTrace, ...]
    learning_rate: float
    loss_after: float
    finite: bool


class _Recorder:
    """Copies a layer's output y in the forward pass and dy = dL/dy in the backward pass."""

    def __init__(self, layer: Layer) -> None:
        self.forward, self.backward = layer.forward, layer.backward
        self.y = self.dy = np.empty(0)
        vars(layer).update(forward=self._forward, backward=self._backward)  # of this object only

    def _forward(self, x: Array, training: bool) -> Array:
        y = self.forward(x, training)
        self.y = y.copy()
        return y

    def _backward(self, dy: Array) -> Array:
        self.dy = dy.copy()
        return self.backward(dy)


def trace_step(step: BatchStep) -> StepTrace:
    """Takes the step on the first whole batch, in the samples' own order, and copies every number.

    Recorders on the layers copy the numbers while the step computes the gradient, the update, and the gradient again
    for the loss after it.
    """
    network, samples, theta = step.network, step.samples, step.state.theta
    gradient, rows, before = step.gradients[step.size], slice(0, step.size), theta.copy()
    recorders = [[_Recorder(layer) for layer in shards] for shards in step.layers]
    with np.errstate(all="ignore"):  # as in training; values that are not finite are shown
        loss = gradient(samples, rows)
        grads = step.grad.copy()
        outputs = [np.concatenate([layer.y for layer in same]) for same in recorders]
        deltas = [np.concatenate([layer.dy for layer in same]) for same in recorders]
        x, y = (np.concatenate([getattr(shard, name) for shard in gradient.shards]) for name in "xy")
        finite = step.update.apply() and math.isfinite(loss)
        loss_after = gradient(samples, rows)
        output = np.empty_like(outputs[-1])
        network.output_activation.forward(outputs[-1].copy(), output, Scratch.beside(output.shape, theta.dtype.name))  # type: ignore[arg-type]

    views = [by_layer(network.layout.views(vector)) for vector in (before, grads, theta)]
    placed_at: list[list[int]] = [[] for _ in network.entries]
    for k, placed in enumerate(network.placed):
        placed_at[placed.entry].append(k)
    traces = []
    for name, own in zip(network.names, placed_at, strict=True):
        a = output if name == network.names[-1] else outputs[own[-1]]
        arrays = (named.get(name, {}) for named in views)
        traces.append(LayerTrace(name, outputs[own[0]], a, deltas[own[0]], *arrays))
    weights = None if samples.weights is None else samples.weights[rows, 0]
    return StepTrace(x, y, weights, loss, tuple(traces), step.learning_rate, loss_after, finite)
