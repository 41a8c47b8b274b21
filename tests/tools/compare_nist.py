"""NIST's nonlinear regressions as small networks, each full-batch method beside scipy's: the table in tests/README.md.

    python tests/tools/compare_nist.py

The problems of tests/reference/nist_strd.json, whose optimum NIST certifies, are those that a network can express:
some after a transform of x, or with frozen layers that hold the constants of the formula. Each is fitted in float64 by
every method at its defaults, from both certified starts. A cell has, for either start, the digits that the residual sum
of squares shares with the certified one, and in brackets the evaluations of the gradient; `-` where it is not within a
millionth of it.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.engine import registry
from bpcli.engine.arrays import Array
from bpcli.engine.layers.dense import Dense
from bpcli.engine.losses.mse import MSE
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.protocols import FullBatchOptimizer
from bpcli.engine.training.full_batch import FullBatchUpdate, NormalEquations, TrainingProblem
from bpcli.engine.training.gradient import BatchGradient
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState

REFERENCE = Path(__file__).parents[1] / "reference" / "nist_strd.json"
NEAR = 1e-6  # relative, of the residual sum of squares
MOST_ITERATIONS = 20_000
Layers = Sequence[LayerEntry]


def dense(
    weights: Sequence[Sequence[float]], biases: Sequence[float] | None = None, activation: str = "identity", **how: Any
) -> LayerEntry:
    """A dense layer with these first values; without a bias where none are given."""
    return LayerEntry(
        spec=Dense(units=len(weights), bias=biases is not None),
        activation=registry.activations.get(activation)(),
        weights=weights,
        biases=biases,
        **how,
    )


def plus_one(units: int) -> LayerEntry:
    """elu(z) + 1 is exp(z) for z below 0."""
    return dense(np.eye(units).tolist(), [1.0] * units, trainable=False)


def power_of_one_plus(power: float, factor: float, b1: float, b2: float) -> Layers:
    """b1 (1 - (1 + factor b2 x)^power), from ln x: softplus(ln x + c) is ln(1 + exp(c) x)."""
    return [
        dense([[1.0]], [math.log(factor * b2)], "softplus", trainable="biases"),
        dense([[power]], None, "elu", trainable=False),
        dense([[-b1]]),
    ]


def lanczos(b1: float, b2: float, b3: float, b4: float, b5: float, b6: float) -> Layers:
    return [dense([[-b2], [-b4], [-b6]], None, "elu"), plus_one(3), dense([[b1, b3, b5]])]


def rat43(b1: float, b2: float, b3: float, b4: float) -> Layers:
    return [dense([[-b3]], [b2], "softplus"), dense([[-1.0 / b4]], None, "elu"), plus_one(1), dense([[b1]])]


def mgh17(b1: float, b2: float, b3: float, b4: float, b5: float) -> Layers:
    return [dense([[-b4], [-b5]], None, "elu"), dense([[b2, b3]], [b1 + b2 + b3])]


def danwood(b1: float, b2: float) -> Layers:
    """b1 x^b2 = 100 exp(b2 ln x + ln(b1 / 100)), from ln x."""
    exponential = dense([[b2]], [math.log(b1 / 100.0)], "elu")
    return [exponential, plus_one(1), dense([[100.0]], None, trainable=False)]


# name -> (the network's layers from NIST's parameters, what becomes of x)
NETWORKS: dict[str, tuple[Callable[..., Layers], Callable[[Array], Array]]] = {
    "Misra1a": (lambda b1, b2: [dense([[-b2]], None, "elu"), dense([[-b1]])], np.array),
    "Misra1b": (partial(power_of_one_plus, -2.0, 0.5), np.log),
    "Misra1c": (partial(power_of_one_plus, -0.5, 2.0), np.log),
    "Misra1d": (lambda b1, b2: [dense([[b2]], None, "softsign"), dense([[b1]])], np.array),
    "BoxBOD": (lambda b1, b2: [dense([[-b2]], None, "elu"), dense([[-b1]])], np.array),
    "DanWood": (danwood, np.log),
    "Rat42": (lambda b1, b2, b3: [dense([[b3]], [-b2], "sigmoid"), dense([[b1]])], np.array),
    "Rat43": (rat43, np.array),
    "MGH17": (mgh17, np.array),
    "Lanczos3": (lanczos, np.array),
}


class Fit:
    """One problem from one set of NIST's parameters: its loss, the mean of squares, and its training problem."""

    def __init__(self, name: str, parameters: Sequence[float], optimizer: FullBatchOptimizer) -> None:
        self.reference = problems()[name]
        layers, transform = NETWORKS[name]
        x, y = (np.array(self.reference[key])[:, None] for key in "xy")
        self.network, self.samples = Network(list(layers(*parameters)), (1,)), Samples(transform(x), y)
        self.optimizer = optimizer
        self.state = TrainState.start(self.network, optimizer, seed=0, dtype="float64", shards=1)
        point, grad = np.empty_like(self.state.theta), np.empty_like(self.state.theta)
        gradient = BatchGradient(
            self.network, MSE(), dataclasses.replace(self.state, theta=point), grad, n=len(y), shards=1
        )
        self.evaluations = 0
        self.problem = TrainingProblem(self.network, MSE(), self.samples, self._counted(gradient), point, 0.0)

    def _counted(self, gradient: BatchGradient) -> Any:
        def call(samples: Samples, rows: slice) -> float:
            self.evaluations += 1
            return gradient(samples, rows)

        call.grad = gradient.grad  # type: ignore[attr-defined]
        return call

    def train(self) -> None:
        """Iterates until nothing moves."""
        update, before = FullBatchUpdate(self.optimizer, self.problem, self.state), None
        with np.errstate(all="ignore"):
            while self.state.step < MOST_ITERATIONS and not np.array_equal(self.state.theta, before):
                before = self.state.theta.copy()
                update.apply()

    def error(self) -> float:
        """How far the residual sum of squares lies from the certified one, relative to it."""
        with np.errstate(all="ignore"):
            squares = len(self.samples) * self.problem.value(self.state.theta)
        return squares / float(self.reference["residual_sum_of_squares"]) - 1.0


def problems() -> dict[str, Any]:
    """NIST's data: model, starts, certified parameters and residual sum of squares, x and y by problem."""
    return dict(json.loads(REFERENCE.read_text(encoding="utf-8"))["problems"])


def fitted(name: str, start: int, optimizer: FullBatchOptimizer) -> Fit:
    """A fit of the problem from its first or second start, 0 or 1, trained to its end."""
    fit = Fit(name, problems()[name]["starts"][start], optimizer)
    fit.train()
    return fit


def methods() -> dict[str, FullBatchOptimizer]:
    """Every full-batch method at its defaults."""
    found = {name: registry.optimizers.get(name)() for name in registry.optimizers.names()}
    return {name: made for name, made in found.items() if isinstance(made, FullBatchOptimizer)}


def scipy_fitted(name: str, start: int, method: str) -> Fit:
    """The same problem by scipy: least_squares with the same Jacobian for lm, else minimize with the same gradient."""
    from scipy import optimize

    fit = Fit(name, problems()[name]["starts"][start], methods()["lbfgs"])
    free = np.flatnonzero(fit.network.trainable_mask)
    begin = fit.state.theta.copy()

    def whole(part: Array) -> Array:
        theta = begin.copy()
        theta[free] = part
        return theta

    def value_and_grad(part: Array) -> tuple[float, Array]:
        value, grad = fit.problem.value_and_grad(whole(part))
        return value, grad[free].copy()

    normal = NormalEquations(fit.network, MSE(), fit.samples)

    def residuals(part: Array, jacobian: bool) -> Array:
        fit.evaluations += jacobian
        np.copyto(normal.theta, whole(part))
        ((low, high),) = normal.bounds
        chunk = normal.chunks[high - low]
        fit.samples.fetch(slice(low, high), chunk.x, chunk.y)
        ((_, rows),) = chunk.jacobians()
        return rows[:, free].copy() if jacobian else (chunk.a - chunk.y)[:, 0]

    with np.errstate(all="ignore"):
        if method == "lm":
            found = optimize.least_squares(
                lambda part: residuals(part, False),
                begin[free],
                lambda part: residuals(part, True),
                method="lm",
                xtol=1e-15,
                ftol=1e-15,
                gtol=1e-15,
                max_nfev=MOST_ITERATIONS,
            )
        else:
            tolerances = {"L-BFGS-B": {"ftol": 0.0, "gtol": 0.0, "maxfun": 10 * MOST_ITERATIONS}}.get(
                method, {"gtol": 0.0}
            )
            options = {"maxiter": MOST_ITERATIONS, **tolerances}
            found = optimize.minimize(value_and_grad, begin[free], jac=True, method=method, options=options)
    fit.state.theta[free] = found.x
    return fit


SCIPY = ("lm", "L-BFGS-B", "BFGS", "CG")


def cell(fits: Sequence[Fit]) -> str:
    """`10.2 (31), - (20)`: the digits of the residual sum of squares and the evaluations, for each start."""
    return ", ".join(
        f"{'-' if abs(fit.error()) > NEAR else f'{min(-math.log10(abs(fit.error()) or 1e-16), 11):.0f}'} "
        f"({fit.evaluations})"
        for fit in fits
    )


def main() -> None:
    """Prints the table."""
    own, theirs = methods(), SCIPY
    print("| problem | " + " | ".join([*own, *(f"scipy {name}" for name in theirs)]) + " |")
    print("| --- |" + " --- |" * (len(own) + len(theirs)))
    reached = dict.fromkeys([*own, *theirs], 0)
    for name in NETWORKS:
        fits = {method: [fitted(name, start, optimizer) for start in (0, 1)] for method, optimizer in own.items()}
        fits |= {method: [scipy_fitted(name, start, method) for start in (0, 1)] for method in theirs}
        for method, pair in fits.items():
            reached[method] += sum(abs(fit.error()) <= NEAR for fit in pair)
        print(f"| {name} | " + " | ".join(map(cell, fits.values())) + " |", flush=True)
    print(f"| reached of {2 * len(NETWORKS)} | " + " | ".join(map(str, reached.values())) + " |")


if __name__ == "__main__":
    main()
