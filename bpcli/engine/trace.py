"""One training step laid open: every z, a, delta and gradient, and the weights after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.objective import Objective, batch_scale
from bpcli.engine.protocols import Loss, Optimizer


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
    """One step of training on one batch. Losses before and after the update; x (N, ...), y (N, M)."""

    x: Array
    y: Array
    loss: float
    layers: tuple[LayerTrace, ...]
    loss_after: float


def trace_step(network: Network, loss: Loss, optimizer: Optimizer, theta: Array, x: Array, y: Array) -> StepTrace:
    """Does one step from theta, with a fresh optimizer, keeping a copy of everything on the way. theta is left as it was.

    The numbers come from the very layers that training uses, called one by one.
    """
    before, theta = theta, theta.copy()
    grad = np.empty_like(theta)
    stack = network.bind(theta, grad, len(x))
    objective = Objective(loss, network.output_activation, len(x), network.out_shape, theta.dtype.name)  # type: ignore[arg-type]
    scale = batch_scale(loss, len(x))

    outputs = []
    value = x
    for layer in stack.layers:
        value = layer.forward(value, training=True)
        outputs.append(value.copy())
    first_loss, delta = objective.value_and_delta(value, y, scale)
    deltas = [delta.copy()]
    for layer in reversed(stack.layers[1:]):
        delta = layer.backward(delta)
        deltas.append(delta.copy())
    stack.layers[0].backward(delta)
    deltas.reverse()
    gradient = grad.copy()
    np.multiply(grad, network.trainable_mask, out=grad)

    state = {name: np.zeros_like(theta) for name in optimizer.vector_names()}
    scale_vector = network.rate_scale
    rate = optimizer.learning_rate if scale_vector is None else optimizer.learning_rate * scale_vector
    decay = network.decay_mask.astype(theta.dtype)
    optimizer.step(theta, grad, state, np.empty_like(theta), rate=rate, t=1, decay=decay)
    loss_after, _ = objective.value_and_delta(stack.forward(x, training=True), y, scale)

    a_last = np.empty_like(outputs[-1])
    network.output_activation.forward(outputs[-1].copy(), a_last, objective.scratch)
    views = [network.layout.views(vector) for vector in (before, gradient, theta)]
    traces = []
    for index, name in enumerate(network.names):
        own = [k for k, placed in enumerate(network.placed) if placed.entry == index]
        params, grads, after = (
            {key.rpartition(".")[2]: view for key, view in v.items() if key.rpartition(".")[0] == name} for v in views
        )
        a = a_last if index == len(network.names) - 1 else outputs[own[-1]]
        traces.append(LayerTrace(name, outputs[own[0]], a, deltas[own[0]], params, grads, after))
    return StepTrace(x, y, first_loss, tuple(traces), loss_after)
