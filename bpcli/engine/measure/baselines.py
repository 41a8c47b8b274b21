"""Simple models to compare a network with: one that says the same of every sample, and a linear one.

The linear model is a network of one dense layer that the engine trains by L-BFGS: a regression with outputs W x + b, or
a classification with their softmax or sigmoid. It minimises

    (1/N) sum of the samples' losses + 1/(2N) |W|^2    on inputs and targets of mean 0 and standard deviation 1,

with the log-likelihood, or half the squared error: scikit-learn's `LogisticRegression(C=1)` and `Ridge(alpha=1)` after
a `StandardScaler`. The weights start at 0 and the function is convex, so nothing depends on chance but which rows are
taken where there are very many.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bpcli.engine.activations import Identity, Sigmoid, Softmax
from bpcli.engine.arrays import Array, Shape
from bpcli.engine.initializers import Zeros
from bpcli.engine.layers.dense import Dense
from bpcli.engine.layers.flatten import Flatten
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.protocols import Activation, Loss
from bpcli.engine.training.evaluation import predict
from bpcli.engine.training.samples import Inputs, Samples, fetch_inputs
from bpcli.errors import DivergenceError

# classes: one right class; yes_or_no: several targets of 0 or 1; numbers: a regression.
Kind: TypeAlias = Literal["classes", "yes_or_no", "numbers"]

MOST_WEIGHTS = 20_000  # of a linear model
MOST_NUMBERS = 1 << 23  # of the inputs that it is fitted to: 67 MB
MOST_PRODUCTS = 1 << 31  # inputs times outputs, over all iterations: two or three seconds
MOST_ITERATIONS = 100
SMALL_CHANGE = 1e-4  # of any weight in an iteration, at which the fit is done


class NoLinearModelError(ValueError):
    """Why there is no linear model of some data."""


def constant_outputs(target: Array, kind: Kind, classes: int) -> Array:
    """What says the same of every sample: (K,) shares of the classes, or (M,) means of the targets.

    target: class indices (N,), or numbers (N, M). As scikit-learn's DummyClassifier(strategy="prior"), whose label is
    the most frequent class, and DummyRegressor.
    """
    if kind == "classes":
        return np.bincount(target, minlength=classes) / len(target)
    means: Array = target.astype(np.float64).mean(axis=0)
    return means


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Outputs f(W x + b). W: (K, D); b: (K,); float64. kind says what f is; two classes have a single output."""

    kind: Kind
    W: Array
    b: Array

    def outputs(self, x: Inputs, in_shape: Shape) -> Array:
        """Probabilities (N, classes), or (N, M) of a yes or numbers, for inputs x (N, *in_shape)."""
        theta = np.concatenate([self.W.ravel(), self.b])
        outputs = predict(_network(self.kind, len(self.b), in_shape), theta, x)
        return np.hstack([1.0 - outputs, outputs]) if self.kind == "classes" and len(self.b) == 1 else outputs


def fit_linear(samples: Samples, kind: Kind, classes: int, in_shape: Shape, rng: np.random.Generator) -> LinearModel:
    """The linear model of these samples, fitted to at most `rows_fitted` of them, which `rng` draws.

    Args:
        samples: x (N, *in_shape); y class indices or (N, M); the weights multiply the samples' losses.
        classes: how many there are, for the kind classes.

    Raises:
        NoLinearModelError: its weights would be too many, or are not finite.
        MemoryError: the rows do not fit.
    """
    size = math.prod(in_shape)
    count = 1 if kind == "classes" and classes == 2 else classes if kind == "classes" else samples.y.shape[1]
    if size * count > MOST_WEIGHTS:
        raise NoLinearModelError(f"it would have {size * count:,} weights, more than {MOST_WEIGHTS:,}")
    n = rows_fitted(len(samples), in_shape)
    rows = np.arange(n) if n == len(samples) else np.sort(rng.choice(len(samples), n, replace=False))
    with np.errstate(all="ignore"):
        x = np.empty((n, *in_shape))
        fetch_inputs(samples.x, rows, x)
        x_shift, x_scale = _standard(x, column_by_column=len(in_shape) == 1 and _is_float(samples.x))
        np.subtract(x, x_shift, out=x)
        x = np.divide(x, x_scale, out=x).reshape(n, size)
        y_shift, y_scale = np.zeros(count), np.ones(count)
        y, codes = samples.y[rows], None
        if kind == "classes":
            codes = np.array([[0.0], [1.0]]) if count == 1 else np.eye(count)
        else:
            y = y.astype(np.float64)
            if kind == "numbers":
                y_shift, y_scale = _standard(y, column_by_column=True)
                y = (y - y_shift) / y_scale
        weights = None if samples.weights is None else samples.weights[rows].astype(np.float64)
        theta = _minimised(kind, Samples(x, y, codes, weights), count, size)
        W, b = theta[: count * size].reshape(count, size), theta[count * size :]
        W = W * y_scale[:, None] / np.broadcast_to(x_scale, in_shape).ravel()
        b = b * y_scale + y_shift - W @ np.broadcast_to(x_shift, in_shape).ravel()
    if not all(np.isfinite(array).all() for array in (x_scale, y_scale, W, b)):
        raise NoLinearModelError("its weights are not finite")
    return LinearModel(kind, W, b)


def rows_fitted(n: int, in_shape: Shape) -> int:
    """How many of n samples a linear model is fitted to: all, unless they hold more than MOST_NUMBERS numbers."""
    return min(n, max(1, MOST_NUMBERS // math.prod(in_shape)))


def _minimised(kind: Kind, samples: Samples, count: int, size: int) -> Array:
    """W, row by row, and b of the least loss."""
    # late: to evaluate, a command needs none of it
    from bpcli.engine.losses.half_squared_error import HalfSquaredError
    from bpcli.engine.losses.log_likelihood import LogLikelihood
    from bpcli.engine.optimizers.lbfgs import LBFGS
    from bpcli.engine.training.options import TrainOptions
    from bpcli.engine.training.state import TrainState
    from bpcli.engine.training.trainer import train

    n = len(samples)
    network, optimizer = _network(kind, count, (size,)), LBFGS(weight_decay=1.0 / n)
    state = TrainState.start(network, optimizer, seed=0, dtype="float64")
    iterations = max(10, min(MOST_ITERATIONS, MOST_PRODUCTS // (n * size * count)))
    options = TrainOptions(epochs=iterations, batch_size=None, shards=1, min_change=SMALL_CHANGE)
    loss: Loss = HalfSquaredError() if kind == "numbers" else LogLikelihood()
    try:
        deque(train(network, loss, optimizer, samples, state, options), maxlen=0)
    except DivergenceError:
        raise NoLinearModelError("its weights are not finite") from None
    return state.theta


def _network(kind: Kind, outputs: int, in_shape: Shape) -> Network:
    activation: Activation = Identity()
    if kind != "numbers":
        activation = Softmax() if kind == "classes" and outputs > 1 else Sigmoid()
    dense = LayerEntry(spec=Dense(units=outputs, init=Zeros()), activation=activation)
    return Network([dense] if len(in_shape) == 1 else [LayerEntry(spec=Flatten()), dense], in_shape)


def _standard(values: Array, *, column_by_column: bool) -> tuple[Array, Array]:
    """Mean and standard deviation over the samples, the deviation 1 where nothing varies.

    Pixels share one deviation: some hardly vary in training and would have a huge scale of their own.
    """
    shift = values.mean(axis=0)
    scale = values.std(axis=0) if column_by_column else np.sqrt(values.var(axis=0).mean(keepdims=True))
    return shift, np.where(np.ptp(values, axis=0) > 0, scale, 1.0)


def _is_float(x: Inputs) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"
