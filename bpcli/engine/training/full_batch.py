"""The training set as the problem of a full-batch optimizer, and one iteration of such an optimizer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np

from bpcli.engine.arrays import Array, Scratch, batch_array
from bpcli.engine.layers.activation import ActivationLayer
from bpcli.engine.layers.dense import DenseLayer
from bpcli.engine.losses.half_squared_error import HalfSquaredError
from bpcli.engine.losses.mse import MSE
from bpcli.engine.network import Network
from bpcli.engine.objective import Penalty, batch_scale
from bpcli.engine.protocols import FullBatchOptimizer, Loss
from bpcli.engine.training.gradient import BatchGradient
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState

CHUNK_NUMBERS = 1 << 21  # numbers in the rows of the Jacobian held at once: 16 MB
LARGEST_NORMAL_MATRIX = 2 * 1024**3  # bytes of J^T J; solving for the step needs as much again


def residual_scale(loss: Loss, outputs: int) -> float | None:
    """c where one sample's loss is (c / 2) sum_j (a_j - y_j)^2; None for a loss that is not a sum of squares."""
    if isinstance(loss, MSE):
        return 2.0 / outputs
    return 1.0 if isinstance(loss, HalfSquaredError) else None


class UnfinishedIterationError(Exception):
    """A full-batch iteration was abandoned between two evaluations. Theta is unchanged, so it can be repeated."""


class NormalEquations:
    """J^T J and J^T r of a loss L = (1/2) r^T r, summed over chunks of samples, in float64.

    A row of J is the gradient of one output of one sample. In a stack of dense layers and activations a whole chunk is
    propagated backward at once, since a dense layer's gradient for one sample is dz x^T. Any other layer sums its
    gradient over the batch, so samples pass through such a stack one by one.
    """

    def __init__(self, network: Network, loss: Loss, samples: Samples) -> None:
        scale = residual_scale(loss, math.prod(network.out_shape))
        if scale is None:
            raise ValueError("the loss is not a sum of squares: take mse or half_squared_error")
        codes = None if samples.codes is None else samples.codes.astype(np.float64)
        self.network, self.samples = network, dataclasses.replace(samples, codes=codes)
        self.scale = scale * batch_scale(loss, len(samples))
        self.size = network.layout.size
        self.theta, self.grad = np.empty(self.size), np.empty(self.size)
        probe = network.bind(self.theta, self.grad, 1)
        self.together = all(isinstance(layer, (DenseLayer, ActivationLayer)) for layer in probe.layers)
        size = max(1, min(len(samples), CHUNK_NUMBERS // max(1, self.size)))
        self.bounds = [(low, min(low + size, len(samples))) for low in range(0, len(samples), size)]
        sizes = {high - low for low, high in self.bounds}
        self.chunks = {n: _Chunk(network, self.theta, self.grad, n, self.together) for n in sizes}

    def __call__(self, theta: Array) -> tuple[float, Array, Array]:
        """(L, J^T J (P, P), J^T r (P,)), new arrays, without any penalty."""
        np.copyto(self.theta, theta)
        loss, jtj, jtr = 0.0, np.zeros((self.size, self.size)), np.zeros(self.size)
        with np.errstate(all="ignore"):
            for low, high in self.bounds:
                chunk = self.chunks[high - low]
                self.samples.fetch(slice(low, high), chunk.x, chunk.y)
                root = np.sqrt(self.samples.fetch_scale(slice(low, high), self.scale, chunk.weights))
                for output, rows in chunk.jacobians():
                    rows *= root
                    r = np.ravel(root) * (chunk.a[:, output] - chunk.y[:, output])
                    loss += 0.5 * float(r @ r)
                    jtj += rows.T @ rows
                    jtr += rows.T @ r
        return loss, jtj, jtr


class _Chunk:
    """A chunk of n samples and the gradients of their outputs, (n, P).

    together: whether the chunk is propagated backward at once, or sample by sample through a stack for a single sample.
    """

    def __init__(self, network: Network, theta: Array, grad: Array, n: int, together: bool) -> None:
        self.network, self.grad = network, grad
        self.slices = network.layout.slices
        self.step = n if together else 1
        self.stack = network.bind(theta, grad, self.step)
        self.rows = np.empty((n, network.layout.size))
        self.x = batch_array(n, network.in_shape, "float64")
        self.y, self.a = (np.empty((n, *network.out_shape)) for _ in range(2))
        self.da = np.empty((self.step, *network.out_shape))
        self.weights = np.empty((n, 1))
        self.scratch = Scratch.beside(self.da.shape, "float64")
        self.backward = self._side_by_side if together else self._one_by_one

    def jacobians(self) -> Iterator[tuple[int, Array]]:
        """(j, da_j / dtheta of each sample (n, P)) for each output j, in a buffer valid until the next one."""
        activation = self.network.output_activation
        for output in range(self.y.shape[1]):
            for low in range(0, len(self.x), self.step):
                part = slice(low, low + self.step)
                # run forward again for each output: backward may overwrite what a layer kept
                z = self.stack.forward(self.x[part], training=True)
                activation.forward(z, self.a[part], self.scratch)
                self.da.fill(0.0)
                self.da[:, output] = 1.0
                activation.backward(self.da, z, self.a[part], self.scratch)
                self.backward(self.da, self.rows[part])
            yield output, self.rows

    def _one_by_one(self, delta: Array, rows: Array) -> None:
        self.stack.backward(delta)
        np.copyto(rows[0], self.grad)

    def _side_by_side(self, delta: Array, rows: Array) -> None:
        """Like `Stack.backward`, but keeps one gradient for each sample instead of their sum."""
        for placed, layer in zip(reversed(self.network.placed), reversed(self.stack.layers), strict=True):
            if isinstance(layer, DenseLayer):
                weights = rows[:, self.slices[f"{placed.name}.W"]].reshape(len(rows), *layer.W.shape)
                np.multiply(delta[:, :, None], layer.x[:, None, :], out=weights)
                if layer.b is not None:
                    np.copyto(rows[:, self.slices[f"{placed.name}.b"]], delta)
            delta = layer.backward(delta)


class TrainingProblem:
    """The loss over a whole training set and the optimizer's penalty, as a function of theta; see `Problem`.

    gradient: of all N samples, on a stack bound to the vector `point`.

    Raises:
        UnfinishedIterationError: raised by any evaluation once `give_up` returns True.
    """

    def __init__(
        self, network: Network, loss: Loss, samples: Samples, gradient: BatchGradient, point: Array, weight_decay: float
    ) -> None:
        self.network, self.loss, self.samples = network, loss, samples
        self.gradient, self.point = gradient, point
        self.weight_decay, self.minimised = weight_decay, Penalty(l2=weight_decay)
        self.decay = network.decay_mask.astype(point.dtype)
        mask = network.trainable_mask
        self.mask = None if bool(mask.all()) else mask.astype(point.dtype)
        self.scratch = np.empty_like(point)
        self.rows = slice(0, len(samples))  # one object, so that the samples are fetched only once
        self.give_up: Callable[[], bool] = lambda: False  # called before each evaluation
        self.known: float | None = None
        self.normal: NormalEquations | None = None

    def penalty(self, theta: Array) -> float:
        """(weight_decay / 2) |w|^2 over the weights that learn."""
        return self.minimised.value(theta, self.decay)

    def value_and_grad(self, theta: Array) -> tuple[float, Array]:
        grad = self.gradient.grad
        if self.give_up():  # even if the point is unchanged, as after a step that rounds to 0
            raise UnfinishedIterationError
        if self.known is not None and np.array_equal(theta, self.point):
            return self.known, grad
        np.copyto(self.point, theta)
        self.known = self.gradient(self.samples, self.rows) + self.penalty(theta)
        if self.mask is not None:
            np.multiply(grad, self.mask, out=grad)
        self.minimised.add_gradient(theta, grad, self.scratch, self.decay)
        return self.known, grad

    def value(self, theta: Array) -> float:
        return self.value_and_grad(theta)[0]

    def normal_equations(self, theta: Array) -> tuple[float, Array, Array]:
        if self.normal is None:
            self.normal = NormalEquations(self.network, self.loss, self.samples)
        loss, jtj, jtr = self.normal(theta)
        if self.mask is not None:
            jtj *= self.mask
            jtj *= self.mask[:, None]
            jtr *= self.mask
        if self.weight_decay:
            jtj[np.diag_indices_from(jtj)] += self.weight_decay * self.decay
            jtr += self.weight_decay * self.decay * theta
        return loss + self.penalty(theta), jtj, jtr


class FullBatchUpdate:
    """One iteration of a full-batch optimizer on a training problem."""

    def __init__(self, optimizer: FullBatchOptimizer, problem: TrainingProblem, state: TrainState) -> None:
        self.optimizer, self.problem, self.state = optimizer, problem, state

    @property
    def learning_rate(self) -> float:
        """The learning rate of the last iteration, including one before a resume."""
        return self.state.scalars.get("learning_rate", self.optimizer.learning_rate)

    def apply(self) -> float:
        """Changes theta, the optimizer's vectors and scalars and `step`. Returns the loss before, without penalty."""
        state = self.state
        start = self.problem.value(state.theta)
        if not math.isfinite(start):
            return start
        penalty = self.problem.penalty(state.theta)
        value = self.optimizer.iterate(self.problem, state.theta, state.vectors, state.scalars, t=state.step + 1)
        state.step += 1
        return value - penalty


def objections(
    name: str,
    network: Network | None,
    loss: Loss,
    *,
    full_batch: bool,
    scheduled: bool,
    clipped: tuple[str, ...],
) -> Iterator[tuple[str, int, str]]:
    """The reasons why the full-batch optimizer of this name cannot be used: (key, index of the layer or -1, message).

    full_batch: whether a batch is the whole training set. clipped: which of clip_norm and clip_value are set.
    """
    whole = f"{name} works on the whole training set"
    if not full_batch:
        yield "batch_size", -1, f"{whole}: set training.batch_size: full"
    if scheduled:
        yield "schedule", -1, f"{name} finds the size of its steps by itself: leave the schedule out"
    for key in clipped:
        yield key, -1, f"{name} finds the size of its steps by itself: leave {key} out"
    by_squares = name == "levenberg_marquardt"
    if by_squares and residual_scale(loss, 1) is None:
        yield "loss", -1, f"{name} needs a sum of squares: take mse or half_squared_error, or the optimizer lbfgs"
    if network is None:
        return
    for index, entry in enumerate(network.entries):
        for key, default in (("learning_rate_scale", 1.0), ("bias_learning_rate_scale", None)):
            if getattr(entry, key) != default:
                message = f"{name} has no learning rate per layer: leave it out, or use trainable: false for 0"
                yield key, index, message
        if "noise" in entry.spec.traits:
            yield "type", index, f"{name} needs a loss without randomness: leave out {network.names[index]}"
        if "whole_batch" in entry.spec.traits:
            message = f"{name} evaluates the loss several times a step: leave out {network.names[index]}, whose "
            yield "type", index, message + "statistics would change with every evaluation"
    size = network.layout.size
    if by_squares and size**2 * 8 > LARGEST_NORMAL_MATRIX:
        yield (
            "optimizer",
            -1,
            f"{name} with {size:,} parameters needs {size**2 * 8 / 1024**3:.1f} GiB for J^T J, above the limit of "
            f"{LARGEST_NORMAL_MATRIX / 1024**3:.0f} GiB: take lbfgs, or a smaller network",
        )
