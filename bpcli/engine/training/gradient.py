"""Loss and gradient of one batch, which is split into shards that can be computed in parallel.

Each shard has its own stack, buffers and gradient; all shards share theta. The shards' gradients are added in the order
of the shards, so the sum depends neither on the number of threads nor on who finished first.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from bpcli.engine.arrays import Array, Scale, batch_array
from bpcli.engine.network import Network
from bpcli.engine.objective import Objective, batch_scale
from bpcli.engine.protocols import Layer, Loss
from bpcli.engine.team import ALONE, Products, Team
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import MOST_SHARDS, TrainState

# A second shard pays off from about this many numbers in a batch's layers: threads then seldom wait for each other.
NUMBERS_OF_A_SHARD = 250_000


def shards_for(network: Network, n: int) -> int:
    """How many shards a batch of n samples is split into. Depends on the network's shape, never on the machine.

    Shards pay off if many numbers pass from layer to layer, as with images or a very large batch. They do not if most
    of the work comes from many weights, since each shard has its own gradient and all are added up. In that case
    threads share the matrix products instead, see `Products`.
    """
    numbers = n * sum(math.prod(placed.out_shape) for placed in network.placed)
    if network.has_trait("whole_batch") or numbers < max(NUMBERS_OF_A_SHARD, network.layout.size):
        return 1
    return min(MOST_SHARDS, n)


class Shard:
    """A part of the batch: n of its rows, in memory of its own."""

    def __init__(
        self, network: Network, loss: Loss, state: TrainState, grad: Array, n: int, k: int, products: Products
    ) -> None:
        dtype = grad.dtype.name
        noise = state.noise[k] if state.noise else None
        self.stack = network.bind(state.theta, grad, n, stats=state.stats, noise=noise, products=products)
        self.objective = Objective(loss, network.output_activation, n, network.out_shape, dtype)  # type: ignore[arg-type]
        self.grad = grad
        self.x = batch_array(n, network.in_shape, dtype)  # type: ignore[arg-type]
        self.y = np.empty((n, *network.out_shape), dtype)
        self.weights = np.empty((n, 1), dtype)
        self.rows: slice | Array | None = None
        self.scale: Scale = 1.0

    def run(self, samples: Samples, rows: slice | Array, scale: float) -> float:
        """Returns the shard's part of the loss and leaves its gradient in `grad`."""
        if rows is not self.rows:  # the full batch has the same rows every time and is fetched once
            self.fetch(samples, rows, scale)
        logits = self.stack.forward(self.x, training=True)
        value, delta = self.objective.value_and_delta(logits, self.y, self.scale)
        self.stack.backward(delta)
        return value

    def fetch(self, samples: Samples, rows: slice | Array, scale: float) -> None:
        """Copies these samples into the shard's own memory."""
        self.rows = rows
        samples.fetch(rows, self.x, self.y)
        self.scale = samples.fetch_scale(rows, scale, self.weights)


class BatchGradient:
    """Loss and gradient for batches of exactly n samples.

    Args:
        grad: receives the batch's gradient, (P,).
        shards: how many parts the batch is split into.
        team: its threads share the shards, or the matrix products of a single shard.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        state: TrainState,
        grad: Array,
        *,
        n: int,
        shards: int = 1,
        team: Team = ALONE,
    ) -> None:
        self.grad = grad
        self.scale = batch_scale(loss, n)
        self.team = team
        products = Products(team if shards == 1 else ALONE)
        self.bounds = [n * k // shards for k in range(shards + 1)]
        self.shards = [
            Shard(
                network,
                loss,
                state,
                grad if k == 0 else np.empty_like(grad),
                self.bounds[k + 1] - self.bounds[k],
                k,
                products,
            )
            for k in range(shards)
        ]
        self.rows: slice | Array | None = None
        self.shares: list[slice | Array] = []

    @property
    def layers(self) -> list[list[Layer]]:
        """The bound layers: for each layer of the network, one for every shard."""
        return [list(same) for same in zip(*(shard.stack.layers for shard in self.shards), strict=True)]

    def __call__(self, samples: Samples, rows: slice | Array) -> float:
        """Returns the loss of these n rows and leaves the gradient in `grad`.

        If `rows` is the same object as in the previous call, the samples are not fetched again. On overflow NumPy may
        warn: the caller decides how to handle it.
        """
        if len(self.shards) == 1:
            return self.shards[0].run(samples, rows, self.scale)
        if rows is not self.rows:
            self.rows = rows
            self.shares = [_part(rows, low, high) for low, high in zip(self.bounds, self.bounds[1:], strict=False)]
        values = self.team.run(
            [
                partial(shard.run, samples, part, self.scale)
                for shard, part in zip(self.shards, self.shares, strict=True)
            ]
        )
        for shard in self.shards[1:]:
            np.add(self.grad, shard.grad, out=self.grad)
        return float(sum(values))


def _part(rows: slice | Array, low: int, high: int) -> slice | Array:
    if isinstance(rows, slice):
        return slice(rows.start + low, rows.start + high)
    return rows[low:high]
