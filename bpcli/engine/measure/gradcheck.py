"""Numerical gradients by central differences, compared with the analytic ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.objective import Objective, batch_scale
from bpcli.engine.protocols import Loss


@dataclass(frozen=True)
class GradientCheck:
    """worst: the largest relative error |a - n| / max(|a|, |n|, floor), and the parameter where it is.

    halved: the numeric gradients with half the step. If they differ from `numeric`, a kink is near.
    """

    worst: float
    where: str
    analytic: Array
    numeric: Array
    halved: Array


def check_gradients(
    network: Network, loss: Loss, theta: Array, x: Array, y: Array, *, step: float = 2e-4, floor: float = 1e-5
) -> GradientCheck:
    """Compares dL/dtheta by back-propagation with a central difference for each parameter.

    The difference is of fourth order, [8 (L(h) - L(-h)) - (L(2h) - L(-2h))] / 12h: its truncation error is about h^4,
    while that of the simple difference is h^2; rounding adds 1e-16 / h. A kink within 2h (relu at 0) makes it wrong:
    keep the inputs away from kinks.

    Args:
        theta: (P,) float64. x: (N, *in_shape). y: (N, M).
        step: h.
        floor: gradients smaller than this are compared absolutely, since rounding hides their relative error.
    """
    theta = theta.copy()
    grad = np.empty_like(theta)
    noise = np.random.default_rng(0)
    start = noise.bit_generator.state
    stack = network.bind(theta, grad, len(x), noise=noise)
    objective = Objective(loss, network.output_activation, len(x), network.out_shape, "float64")
    scale = batch_scale(loss, len(x))

    def value_at(i: int, shift: float) -> float:
        centre = theta[i]
        theta[i] = centre + shift
        value, _ = evaluate()
        theta[i] = centre
        return value

    def evaluate() -> tuple[float, Array]:
        noise.bit_generator.state = start  # the same noise every time, so that the loss is a function of theta
        return objective.value_and_delta(stack.forward(x, training=True), y, scale)

    _, delta = evaluate()
    stack.backward(delta)
    analytic = grad.copy()
    numeric, halved = np.empty_like(theta), np.empty_like(theta)
    for i in range(theta.size):
        close, near, far = (value_at(i, h) - value_at(i, -h) for h in (step / 2, step, 2 * step))
        numeric[i] = (8 * near - far) / (12 * step)
        halved[i] = (8 * close - near) / (6 * step)
    size = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), floor)
    errors = np.abs(analytic - numeric) / size
    at = int(errors.argmax())
    return GradientCheck(float(errors[at]), network.layout.owner(at), analytic, numeric, halved)
