"""Loss and outputs over a whole split, in chunks that stay in cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bpcli.engine.arrays import Array, Scratch, Shape, batch_array
from bpcli.engine.network import Network
from bpcli.engine.objective import Objective, batch_scale
from bpcli.engine.protocols import Loss
from bpcli.engine.team import ALONE, Team
from bpcli.engine.training.samples import Inputs, Samples, fetch_inputs

Bounds: TypeAlias = tuple[int, int]

CHUNK_NUMBERS = 1 << 18  # numbers in the widest layer for one chunk: 1 MB in float32


@dataclass(frozen=True)
class Evaluation:
    """loss: over all N samples, with the loss's own reduction. output: a^L (N, *out_shape)."""

    loss: float
    output: Array


def predict(network: Network, theta: Array, x: Inputs, *, stats: Array | None = None) -> Array:
    """a^L (N, *out_shape), a new array in theta's dtype, for inputs x (N, *in_shape), floats or bytes."""
    output = np.empty((len(x), *network.out_shape), theta.dtype)
    bounds = _chunks(network, len(x))
    forward = _Forward(network, theta, stats, bounds)
    for low, high in bounds:
        forward(x, low, high, output[low:high])
    return output


class ChunkPredictor:
    """a^L of samples that are given chunk by chunk: the same bytes as `predict` gives for all of them at once.

    size: of a chunk; only the last one may be shorter, for a product of matrices may round a row in another way where
    there are fewer rows. block_rows: of how many samples, at least `size`, the inputs take about as much memory.
    """

    def __init__(self, network: Network, theta: Array, *, stats: Array | None = None) -> None:
        self.size = _chunk_size(network)
        self.block_rows = max(1, CHUNK_NUMBERS // math.prod(network.in_shape))
        self._parts = network, theta, stats
        self._forward: _Forward | None = None

    def __call__(self, x: Inputs) -> Array:
        """a^L (n, *out_shape), a new array, for inputs x (n, *in_shape) of at most `size` samples."""
        network, theta, stats = self._parts
        if self._forward is None or len(x) not in self._forward.inputs:
            self._forward = _Forward(network, theta, stats, [(0, len(x))])
        output = np.empty((len(x), *network.out_shape), theta.dtype)
        self._forward(x, 0, len(x), output)
        return output


class Evaluator:
    """Loss and outputs of a network on one split. Buffers are allocated once and reused by every call.

    theta and stats are read at every call. team: shares the chunks, each thread with its own memory; the chunks' losses
    are added in order, so the sum does not depend on the number of threads.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        theta: Array,
        samples: Samples,
        *,
        stats: Array | None = None,
        team: Team = ALONE,
    ) -> None:
        self.team = team
        self.bounds = _chunks(network, len(samples))
        self.output = np.empty((len(samples), *network.out_shape), theta.dtype)
        threads = min(team.size, len(self.bounds))
        self.shares = [
            _Share(network, loss, theta, stats, samples, self.bounds[k::threads], self.output) for k in range(threads)
        ]

    def __call__(self) -> Evaluation:
        """Evaluates all samples. The `output` of the result is a buffer, valid until the next call."""
        losses = self.team.run(self.shares)
        total = sum(losses[k % len(losses)][k // len(losses)] for k in range(len(self.bounds)))
        return Evaluation(total, self.output)


class _Share:
    """The chunks that one thread evaluates."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        theta: Array,
        stats: Array | None,
        samples: Samples,
        bounds: Sequence[Bounds],
        output: Array,
    ) -> None:
        self.samples, self.bounds, self.output = samples, bounds, output
        self.scale = batch_scale(loss, len(samples))
        self.forward = _Forward(network, theta, stats, bounds)
        sizes = {high - low for low, high in bounds}
        self.weights = {n: np.empty((n, 1), theta.dtype) for n in sizes}
        self.targets = {n: np.empty((n, *network.out_shape), theta.dtype) for n in sizes}
        self.objectives = {
            n: Objective(loss, network.output_activation, n, network.out_shape, theta.dtype.name)  # type: ignore[arg-type]
            for n in sizes
        }

    def __call__(self) -> list[float]:
        """Returns the loss of each chunk and writes the chunks' outputs."""
        losses = []
        for low, high in self.bounds:
            n = high - low
            logits = self.forward(self.samples.x, low, high, self.output[low:high])
            self.samples.fetch_targets(slice(low, high), self.targets[n])
            scale = self.samples.fetch_scale(slice(low, high), self.scale, self.weights[n])
            with np.errstate(all="ignore"):
                losses.append(self.objectives[n].value_and_delta(logits, self.targets[n], scale)[0])
        return losses


class _Forward:
    """Buffers for the forward pass over chunks: one set for full chunks, one for a shorter last chunk."""

    def __init__(self, network: Network, theta: Array, stats: Array | None, bounds: Sequence[Bounds]) -> None:
        self.network = network
        sizes = {high - low for low, high in bounds}
        grad = np.empty_like(theta)  # never written: the stacks need a gradient vector, but only run forward
        self.stacks = {n: network.bind(theta, grad, n, stats=stats) for n in sizes}
        self.inputs = {n: batch_array(n, network.in_shape, theta.dtype.name) for n in sizes}  # type: ignore[arg-type]
        self.scratch = {n: Scratch.beside((n, *network.out_shape), theta.dtype.name) for n in sizes}  # type: ignore[arg-type]

    def __call__(self, x: Inputs, low: int, high: int, output: Array) -> Array:
        """Writes a^L of the samples low..high to `output`; returns z^L, a buffer valid until the next call."""
        n = high - low
        with np.errstate(all="ignore"):
            fetch_inputs(x, slice(low, high), self.inputs[n])
            logits = self.stacks[n].forward(self.inputs[n])
            self.network.output_activation.forward(logits, output, self.scratch[n])
        return logits


def _chunks(network: Network, n: int) -> list[Bounds]:
    """(low, high) of the chunks that n samples are evaluated in."""
    size = max(1, min(n, _chunk_size(network)))
    return [(low, min(low + size, n)) for low in range(0, n, size)]


def _chunk_size(network: Network) -> int:
    return max(1, CHUNK_NUMBERS // _widest(network))


def _widest(network: Network) -> int:
    shapes: list[Shape] = [network.in_shape, *(placed.out_shape for placed in network.placed)]
    return max(math.prod(shape) for shape in shapes)
