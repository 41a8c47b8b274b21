"""What every registered part must do: run for each of them by tests/engine/test_contract.py.

A part that needs hyperparameters without a default gets them from EXAMPLES; a new part is covered on the day it is
written, because the tests are parametrized over the registries.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bpcli.engine import registry
from bpcli.engine.layers.conv2d import Conv2d
from bpcli.engine.layers.dense import Dense
from bpcli.engine.measure.gradcheck import GradientCheck, check_gradients
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.objective import Objective, batch_scale, penalty_of
from bpcli.engine.protocols import Activation, AnyOptimizer, FullBatchOptimizer, Loss, Optimizer, Parameters

# Hyperparameters for parts that have some without a default.
EXAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("layer", "dense"): {"units": 3},
    ("layer", "activation"): {"function": registry.activations.get("tanh")()},
    ("layer", "parametric_activation"): {"function": registry.activations.get("mish")()},
    ("layer", "conv2d"): {"filters": 2, "kernel": (3, 2), "stride": (1, 2), "padding": (0, 1)},
    ("layer", "max_pool2d"): {"size": 2},
    ("layer", "avg_pool2d"): {"size": (2, 3), "stride": (2, 1), "padding": 1},
    ("schedule", "step"): {"every": 3},
    ("schedule", "exponential"): {"gamma": 0.9},
    ("schedule", "inverse_time"): {"decay": 0.5},
}
# Learning rates for optimizers that do not come down a parabola in 5000 steps of 0.01.
RATES: dict[str, float] = {"adagrad": 0.1}  # its steps shrink with all the gradients so far, and it starts far away
# What the targets are, by the name of a loss or of an output activation.
TARGETS = {"poisson": "counts", "hinge": "classes", "softmax": "classes", "sigmoid": "yes or no"}
# Parts with other values than their defaults, where these lead to other code.
VARIANTS: list[tuple[str, str, dict[str, Any]]] = [
    ("activation", "elu", {"alpha": 0.6}),
    ("activation", "gelu", {"approximate": "tanh"}),
    ("activation", "leaky_relu", {"slope": 0.4}),
    ("layer", "conv2d", {"filters": 2, "kernel": (2, 3), "padding": "same", "dilation": (2, 1), "flip_kernel": True}),
    ("layer", "conv2d", {"filters": 2, "kernel": 2, "stride": 2, "padding": 2, "bias": False}),
    ("layer", "parametric_activation", {"function": registry.activations.get("softmax")()}),
    ("layer", "periodic_embedding", {"columns": 2, "frequencies": 1, "units": 2}),
    ("layer", "max_pool2d", {"size": (3, 2), "stride": (1, 2), "padding": 1}),
    ("layer", "max_pool2d", {"size": 2, "stride": 3, "padding": "same"}),
    ("loss", "focal", {"gamma": 0.5}),
    ("loss", "huber", {"delta": 0.3}),
    ("loss", "log_likelihood", {"label_smoothing": 0.2}),
    ("loss", "poisson", {"log_input": False, "eps": 1e-3}),
]
# The largest logit that a loss takes, where its value lies outside float32 beyond that.
LARGEST_LOGIT = {"poisson": 80.0}
# The shape of one sample that a layer takes, where it is not a row of numbers.
IN_SHAPES: dict[str, tuple[int, ...]] = {
    "flatten": (2, 3, 4),
    "conv2d": (2, 5, 4),
    "max_pool2d": (2, 4, 6),
    "avg_pool2d": (2, 5, 4),
    "global_avg_pool2d": (2, 3, 4),
}


def make(parts: registry.Registry[Any], name: str) -> Any:
    """A part of that name, with its defaults or the example's values."""
    return parts.get(name)(**EXAMPLES.get((parts.kind, name), {}))


def fits(loss: Loss, activation: Activation) -> bool:
    """Whether the loss has a meaning with this output activation."""
    try:
        loss.from_logits(activation)
    except ValueError:
        return False
    return True


def network_with(
    spec: Any, in_shape: tuple[int, ...], activation: Activation, output: Activation, units: int, inputs: int = 4
) -> Network:
    """The layer under test between two dense layers where it takes a row, else between a convolution and a dense one.

    So that its dL/dx is part of what is tested. inputs: of the first dense layer.
    """
    tested = LayerEntry(spec=spec, activation=activation)
    last = LayerEntry(spec=Dense(units=units), activation=output)
    if len(in_shape) == 1:
        return Network([LayerEntry(spec=Dense(units=in_shape[0])), tested, last], (inputs,))
    first = LayerEntry(spec=Conv2d(filters=in_shape[0], kernel=1))
    flatten = LayerEntry(spec=registry.layers.get("flatten")())
    return Network([first, tested, flatten, last], (2, *in_shape[1:]))


def targets_for(loss: Loss, output: Activation, n: int, units: int, rng: np.random.Generator) -> np.ndarray:
    """Targets that suit the loss, else the output: classes for softmax, 0 and 1 for sigmoid, numbers otherwise."""
    kind = TARGETS.get(registry.losses.name_of(loss)) or TARGETS.get(registry.activations.name_of(output), "numbers")
    if kind == "counts":
        return rng.poisson(2.0, size=(n, units)).astype(float)
    if kind == "classes" and units > 1:
        return np.eye(units)[rng.integers(units, size=n)]
    if kind in ("yes or no", "classes"):
        return rng.integers(2, size=(n, units)).astype(float)
    return rng.normal(size=(n, units))


def loss_at(network: Network, loss: Loss, theta: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """L, with the noise that a gradient check draws."""
    stack = network.bind(theta, np.empty_like(theta), len(x))
    objective = Objective(loss, network.output_activation, len(x), network.out_shape, "float64")
    return objective.value_and_delta(stack.forward(x, training=True), y, batch_scale(loss, len(x)))[0]


def smooth_point(
    network: Network, loss: Loss, n: int, rng: np.random.Generator, largest_loss: float = math.inf
) -> tuple[GradientCheck, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """A gradient check at a random (theta, x, y) that no kink is near: its numerical gradients are to be believed.

    Near a kink (relu at 0, huber at delta, hinge at its margin, the place where another input becomes a pool's largest)
    a central difference is wrong, and by another amount at half the step. So a point is taken if both steps agree: that
    asks nothing of the analytic gradient, and nothing of the part but its values. Points with a loss above
    `largest_loss` are passed over: its rounding, 1e-16 |L| / step, would show in the smallest gradients.
    """
    tries = 0
    while tries < 40:
        theta = rng.normal(0.0, 0.7, network.layout.size)  # large enough that no gradient drowns in rounding
        x = rng.normal(size=(n, *network.in_shape))
        y = targets_for(loss, network.output_activation, n, network.out_shape[0], rng)
        if abs(loss_at(network, loss, theta, x, y)) > largest_loss:
            continue
        tries += 1
        check = check_gradients(network, loss, theta, x, y)
        size = np.maximum(np.maximum(np.abs(check.numeric), np.abs(check.halved)), 1e-5)
        if (np.abs(check.numeric - check.halved) < 5e-7 * size).all():
            return check, (theta, x, y)
    raise AssertionError(f"the numerical gradients of {network.names} with {loss} agree at none of 40 points")


def all_pairs(factors: Mapping[str, Sequence[str]], fit: Callable[[dict[str, str]], bool]) -> list[dict[str, str]]:
    """Few combinations of one name for each factor, in which every two names that can go together do so at least once.

    Greedy: for each pair of the first two factors, then for each pair still missing, the one with most new pairs.
    """
    names = list(factors)
    rest = [dict(zip(names[2:], values, strict=True)) for values in itertools.product(*list(factors.values())[2:])]
    rest = [combination for combination in rest if fit(combination)]

    def pairs(combination: dict[str, str]) -> set[frozenset[tuple[str, str]]]:
        return {frozenset(pair) for pair in itertools.combinations(combination.items(), 2)}

    heads = [dict(zip(names[:2], values, strict=True)) for values in itertools.product(*list(factors.values())[:2])]
    missing = set().union(*(pairs(head | tail) for head in heads for tail in rest))
    found: list[dict[str, str]] = []

    def take(candidates: Iterable[dict[str, str]]) -> None:
        found.append(max(candidates, key=lambda combination: len(pairs(combination) & missing)))
        missing.difference_update(pairs(found[-1]))

    for head in heads:
        take(head | tail for tail in rest)
    while missing:
        wanted = dict(min(missing, key=sorted))
        take(head | tail for head in heads for tail in rest if wanted.items() <= (head | tail).items())
    return found


class LeastSquares:
    """A problem for full-batch optimizers: L = (1/2) r(v)^T r(v), J(v) = dr/dv (residuals, parameters)."""

    def __init__(
        self, residuals: Callable[[np.ndarray], np.ndarray], jacobian: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        self.residuals, self.jacobian = residuals, jacobian

    def value_and_grad(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        r = self.residuals(theta)
        return 0.5 * float(r @ r), self.jacobian(theta).T @ r

    def value(self, theta: np.ndarray) -> float:
        return self.value_and_grad(theta)[0]

    def normal_equations(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        r, jacobian = self.residuals(theta), self.jacobian(theta)
        return 0.5 * float(r @ r), jacobian.T @ jacobian, jacobian.T @ r


def descend(
    optimizer: AnyOptimizer, jacobian: np.ndarray, target: np.ndarray, theta: np.ndarray, *, rate: float, steps: int
) -> None:
    """So many steps down L = (1/2) |J (theta - target)|^2, without weight decay; changes theta."""
    problem, memory = LeastSquares(lambda v: jacobian @ (v - target), lambda v: jacobian), dict[str, float]()
    if isinstance(optimizer, FullBatchOptimizer):
        state = {key: np.zeros_like(theta) for key in optimizer.vector_names()}
        for t in range(1, steps + 1):
            optimizer.iterate(problem, theta, state, memory, t=t)
        return
    p = parameters(optimizer, theta, rate=rate)
    for p.t in range(1, steps + 1):
        _, p.grad = problem.value_and_grad(theta)
        step(optimizer, p)


def parameters(
    optimizer: Optimizer, theta: np.ndarray, *, rate: float | np.ndarray, decay: np.ndarray | None = None
) -> Parameters:
    """What the optimizer moves: theta itself, with new vectors beside it. decay: None is 0 everywhere."""
    return Parameters(
        theta=theta,
        grad=np.empty_like(theta),
        state={key: np.zeros_like(theta) for key in optimizer.vector_names()},
        scratch=np.empty_like(theta),
        decay=np.zeros_like(theta) if decay is None else decay,
        rate=rate,
    )


def step(optimizer: Optimizer, p: Parameters) -> None:
    """One step down p.grad, with the penalty's derivative beside it, as in training."""
    penalty_of(optimizer).add_gradient(p.theta, p.grad, p.scratch, p.decay)
    optimizer.step(p)
