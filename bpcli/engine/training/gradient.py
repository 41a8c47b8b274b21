"""Loss and gradient of one batch, the batch split into shards that may be worked on side by side.

Each shard has its own stack, buffers and gradient on the shared theta. The shards' gradients are added in the order of
the shards, so the sum depends neither on the number of threads nor on who finished first.
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

# A second shard pays from about this many numbers in a batch's layers: two threads then seldom wait for each other.
NUMBERS_OF_A_SHARD = 250_000


def shards_for(network: Network, n: int) -> int:
    """How many shards a batch of n samples is split into: decided by the network's shape, never by the machine.

    Shards pay where the work lies in many numbers passed from layer to layer, as in images or a very large batch, and
    not where it lies in many weights: each shard has a gradient of its own, and all are added up. There the products of
    matrices are shared out instead, see `Products`.
    """
    numbers = n * sum(math.prod(placed.out_shape) for placed in network.placed)
    if network.has_trait("whole_batch") or numbers < max(NUMBERS_OF_A_SHARD, network.layout.size):
        return 1
    return min(MOST_SHARDS, n)


class Shard:
    """A part of the batch: n of its rows, on memory of its own."""

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
        """The shard's part of the loss; its gradient is then in `grad`."""
        if rows is not self.rows:  # the full batch is the very same rows each time: it is fetched once
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
        grad: where the batch's gradient is left, (P,).
        shards: how many parts the batch is split into.
        team: shares the shards, or the products of a single one.
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
        self.parts: list[slice | Array] = []

    @property
    def layers(self) -> list[list[Layer]]:
        """The bound layers: for each of the network, one for every shard."""
        return [list(same) for same in zip(*(shard.stack.layers for shard in self.shards), strict=True)]

    def __call__(self, samples: Samples, rows: slice | Array) -> float:
        """The loss of these n rows; the gradient is then in `grad`.

        Rows that are the same object as the call's before are not fetched again. Numbers that overflow are the caller's
        matter: this may warn.
        """
        if len(self.shards) == 1:
            return self.shards[0].run(samples, rows, self.scale)
        if rows is not self.rows:
            self.rows = rows
            self.parts = [_part(rows, low, high) for low, high in zip(self.bounds, self.bounds[1:], strict=False)]
        values = self.team.run(
            [partial(shard.run, samples, part, self.scale) for shard, part in zip(self.shards, self.parts, strict=True)]
        )
        for shard in self.shards[1:]:
            np.add(self.grad, shard.grad, out=self.grad)
        return float(sum(values))


def _part(rows: slice | Array, low: int, high: int) -> slice | Array:
    if isinstance(rows, slice):
        return slice(rows.start + low, rows.start + high)
    return rows[low:high]
