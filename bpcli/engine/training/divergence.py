"""Divergence: whether a vector is finite, and which layer the first value that is not finite belongs to."""

from __future__ import annotations

import math

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.parameters import ParamLayout
from bpcli.engine.training.gradient import BatchGradient
from bpcli.engine.training.state import TrainState

HUGE_STEP = 1e20  # squared length of a step above which the weights are checked for overflow

PLURALS = {"W": "weights", "b": "biases"}


class NotFiniteError(ArithmeticError):
    """A step produced a number that is not finite. Holds the iteration, and what was not finite first."""

    def __init__(self, iteration: int, what: str) -> None:
        super().__init__(what)
        self.iteration, self.what = iteration, what


def is_finite(vector: Array) -> bool:
    """Whether the sum of a vector's squares is finite, which implies that every value is. Allocates no array."""
    return math.isfinite(np.vdot(vector, vector))  # np.dot would warn of the overflow that this looks for


def first_not_finite(network: Network, state: TrainState, gradient: BatchGradient, *, loss: float) -> tuple[int, str]:
    """The iteration, and what was not finite first: weights, layer outputs, the loss or a layer's gradient.

    gradient: its buffers must still hold the batch. loss: of the batch. Updates running statistics and draws noise.
    """
    if found := not_finite_state(network, state):
        return state.step, found
    return state.step + 1, _first_on_the_way(network, gradient, loss)


def _first_on_the_way(network: Network, gradient: BatchGradient, loss: float) -> str:
    with np.errstate(all="ignore"):
        for shard in gradient.shards:
            x = shard.x
            for placed, layer in zip(network.placed, shard.stack.layers, strict=True):
                x = layer.forward(x, training=True)
                if not bool(np.isfinite(x).all()):
                    return f"the output of layer {placed.name} is not finite"
    last = f"layer {network.placed[-1].name}"
    if not math.isfinite(loss):
        return f"the loss at the output of {last} is not finite"
    views = network.layout.views(gradient.grad)
    for test in (_has_non_finite, _squares_overflow):
        for name in reversed(views):
            if test(views[name]):
                return f"the gradient of layer {name.rpartition('.')[0]} {_how(views[name])}"
    return f"the gradient at the output of {last} is too large for {gradient.grad.dtype}"


def not_finite_state(network: Network, state: TrainState) -> str | None:
    """Which weights or running statistics are not finite or overflow when squared; None if there are none."""
    if not is_finite(state.theta):
        return _first_of(network.layout, state.theta)
    if state.stats.size and not is_finite(state.stats):
        return _first_of(network.stats_layout, state.stats)
    return None


def _first_of(layout: ParamLayout, vector: Array) -> str:
    views = layout.views(vector)
    for test in (_has_non_finite, _squares_overflow):
        for name, view in views.items():
            if test(view):
                layer, _, parameter = name.rpartition(".")
                return f"the {PLURALS.get(parameter, parameter)} of layer {layer}: a value {_how(view)}"
    return f"the weights of all layers together are too large for {vector.dtype}"


def _has_non_finite(view: Array) -> bool:
    return not bool(np.isfinite(view).all())


def _squares_overflow(view: Array) -> bool:
    return not is_finite(view.ravel())


def _how(view: Array) -> str:
    if _has_non_finite(view):
        return "is not finite"
    return f"has grown to {float(np.abs(view).max()):.3g}, too large for {view.dtype}"
