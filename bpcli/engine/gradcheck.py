"""Numerical gradients by central differences, against the analytic ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.objective import Objective, batch_scale
from bpcli.engine.protocols import Loss


@dataclass(frozen=True)
class GradientCheck:
    """worst: the largest relative error |a - n| / max(|a|, |n|, floor), and the parameter where it is."""

    worst: float
    where: str
    analytic: Array
    numeric: Array


def check_gradients(
    network: Network, loss: Loss, theta: Array, x: Array, y: Array, *, step: float = 1e-6, floor: float = 1e-4
) -> GradientCheck:
    """Compares dL/dtheta by back-propagation with (L(theta + h) - L(theta - h)) / 2h for each parameter.

    Args:
        theta: (P,) float64. x: (N, *in_shape). y: (N, M).
        step: h. The error of the difference is about h^2 from the curvature and 1e-16 / h from rounding.
        floor: gradients smaller than this are compared absolutely, since rounding hides their relative error.
    """
    theta = theta.copy()
    grad = np.empty_like(theta)
    stack = network.bind(theta, grad, len(x))
    objective = Objective(loss, network.output_activation, len(x), network.out_shape, "float64")
    scale = batch_scale(loss, len(x))

    def value() -> float:
        return objective.value_and_delta(stack.forward(x, training=True), y, scale)[0]

    _, delta = objective.value_and_delta(stack.forward(x, training=True), y, scale)
    stack.backward(delta)
    analytic = grad.copy()
    numeric = np.empty_like(theta)
    for i in range(theta.size):
        centre = theta[i]
        theta[i] = centre + step
        above = value()
        theta[i] = centre - step
        numeric[i] = (above - value()) / (2 * step)
        theta[i] = centre
    size = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), floor)
    errors = np.abs(analytic - numeric) / size
    at = int(errors.argmax())
    return GradientCheck(float(errors[at]), network.layout.owner(at), analytic, numeric)
