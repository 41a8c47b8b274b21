"""One training step laid open: every z, a, delta and gradient, and the weights after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network, Stack, of_layer
from bpcli.engine.objective import Objective, batch_scale
from bpcli.engine.protocols import Loss
from bpcli.engine.state import TrainState
from bpcli.engine.update import Update


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
    learning_rate: float
    loss_after: float


def trace_step(network: Network, loss: Loss, state: TrainState, update: Update, x: Array, y: Array) -> StepTrace:
    """Does one step on the batch x (N, *in_shape), y (N, M), changing `state`, and keeps a copy of every number.

    The numbers come from the very layers and the very update that training uses, called one by one.
    """
    theta = state.theta
    before, grad = theta.copy(), np.empty_like(theta)
    noise = state.noise[0] if state.noise else None
    stack = network.bind(theta, grad, len(x), stats=state.stats, noise=noise)
    objective = Objective(loss, network.output_activation, len(x), network.out_shape, theta.dtype.name)  # type: ignore[arg-type]
    scale = batch_scale(loss, len(x))
    with np.errstate(over="ignore"):  # exp(-z) of a very negative z: sigmoid is then 0, as it should be
        outputs = _forward(stack, x)
        first_loss, delta = objective.value_and_delta(outputs[-1].copy(), y, scale)
        deltas = _backward(stack, delta)
        gradient = grad.copy()
        update(state, grad)
        loss_after, _ = objective.value_and_delta(stack.forward(x, training=True), y, scale)
        output = np.empty_like(outputs[-1])
        network.output_activation.forward(outputs[-1].copy(), output, objective.scratch)

    views = [network.layout.views(vector) for vector in (before, gradient, theta)]
    traces = []
    for index, name in enumerate(network.names):
        own = [k for k, placed in enumerate(network.placed) if placed.entry == index]
        params, grads, after = (of_layer(named, name) for named in views)
        a = output if index == len(network.names) - 1 else outputs[own[-1]]
        traces.append(LayerTrace(name, outputs[own[0]], a, deltas[own[0]], params, grads, after))
    return StepTrace(x, y, first_loss, tuple(traces), update.learning_rate, loss_after)


def _forward(stack: Stack, x: Array) -> list[Array]:
    """A copy of each layer's output, first to last."""
    outputs = []
    for layer in stack.layers:
        x = layer.forward(x, training=True)
        outputs.append(x.copy())
    return outputs


def _backward(stack: Stack, delta: Array) -> list[Array]:
    """A copy of dL/d(output) of each layer, first to last."""
    deltas = []
    for layer in reversed(stack.layers):
        deltas.append(delta.copy())
        delta = layer.backward(delta)
    return deltas[::-1]
