"""Loss and outputs over a whole split, in chunks that stay in cache."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array, Scratch, Shape, batch_array
from bpcli.engine.network import Network
from bpcli.engine.objective import Objective, batch_scale
from bpcli.engine.protocols import Loss
from bpcli.engine.samples import Inputs, Samples, fetch_inputs

CHUNK_NUMBERS = 1 << 20  # of the widest layer: 4 MB in float32


@dataclass(frozen=True)
class Evaluation:
    """loss: over all N samples, with the loss's own reduction. output: a^L (N, *out_shape)."""

    loss: float
    output: Array


def predict(network: Network, theta: Array, x: Inputs, *, stats: Array | None = None) -> Array:
    """a^L (N, *out_shape), a new array in theta's dtype, for inputs x (N, *in_shape), floats or bytes."""
    output = np.empty((len(x), *network.out_shape), theta.dtype)
    chunks = _Chunks(network, theta, stats, len(x))
    for low, high in chunks.bounds:
        chunks.forward(x, low, high, output[low:high])
    return output


class Evaluator:
    """Loss and outputs of a network on one split, as often as asked: buffers are made once.

    theta and stats are read anew at every call.
    """

    def __init__(
        self, network: Network, loss: Loss, theta: Array, samples: Samples, *, stats: Array | None = None
    ) -> None:
        self.samples = samples
        self.scale = batch_scale(loss, len(samples))
        self.chunks = _Chunks(network, theta, stats, len(samples))
        self.output = np.empty((len(samples), *network.out_shape), theta.dtype)
        self.weights = {n: np.empty((n, 1), theta.dtype) for n in self.chunks.sizes}
        self.targets = {n: np.empty((n, *network.out_shape), theta.dtype) for n in self.chunks.sizes}
        self.objectives = {
            n: Objective(loss, network.output_activation, n, network.out_shape, theta.dtype.name)  # type: ignore[arg-type]
            for n in self.chunks.sizes
        }

    def __call__(self) -> Evaluation:
        """Evaluates the samples; `output` is a buffer, valid until the next call."""
        total = 0.0
        for low, high in self.chunks.bounds:
            target = self.targets[high - low]
            self.samples.fetch_targets(slice(low, high), target)
            logits = self.chunks.forward(self.samples.x, low, high, self.output[low:high])
            with np.errstate(all="ignore"):
                scale = self.samples.fetch_scale(slice(low, high), self.scale, self.weights[high - low])
                total += self.objectives[high - low].value_and_delta(logits, target, scale)[0]
        return Evaluation(total, self.output)


class _Chunks:
    """Buffers for the forward pass over n samples: one size of chunk, and one for what is left over."""

    def __init__(self, network: Network, theta: Array, stats: Array | None, n: int) -> None:
        self.network = network
        size = max(1, min(n, CHUNK_NUMBERS // _widest(network)))
        self.bounds = [(low, min(low + size, n)) for low in range(0, n, size)]
        self.sizes = {high - low for low, high in self.bounds}
        grad = np.empty_like(theta)  # never written: the stacks are bound to it, and only go forward
        self.stacks = {k: network.bind(theta, grad, k, stats=stats) for k in self.sizes}
        self.inputs = {k: batch_array(k, network.in_shape, theta.dtype.name) for k in self.sizes}  # type: ignore[arg-type]
        self.scratch = {k: Scratch.beside((k, *network.out_shape), theta.dtype.name) for k in self.sizes}  # type: ignore[arg-type]

    def forward(self, x: Inputs, low: int, high: int, output: Array) -> Array:
        """Writes a^L of the samples low..high to `output`; returns z^L, a buffer valid until the next call."""
        k = high - low
        with np.errstate(all="ignore"):
            fetch_inputs(x, slice(low, high), self.inputs[k])
            logits = self.stacks[k].forward(self.inputs[k])
            self.network.output_activation.forward(logits, output, self.scratch[k])
        return logits


def _widest(network: Network) -> int:
    shapes: list[Shape] = [network.in_shape, *(placed.out_shape for placed in network.placed)]
    return max(math.prod(shape) for shape in shapes)
