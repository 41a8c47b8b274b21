"""Loss and gradient of one batch, the batch split into shards that may be worked on side by side.

Each shard has its own stack, buffers and gradient on the shared theta. The shards' gradients are added in the order of
the shards, so the sum depends neither on the number of threads nor on who finished first.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bpcli.engine.arrays import Array, batch_array
from bpcli.engine.network import Network
from bpcli.engine.objective import Objective, batch_scale
from bpcli.engine.protocols import Loss
from bpcli.engine.samples import Samples
from bpcli.engine.state import MOST_SHARDS, TrainState

# A second shard pays from about this many multiply-adds in the forward pass of a step.
WORK_OF_A_SHARD = 4_000_000


def shards_for(network: Network, n: int) -> int:
    """How many shards a batch of n samples is split into: decided by the work in a step, never by the machine."""
    per_sample = sum(
        math.prod(spec.shape) * math.prod(placed.out_shape[1:])
        for placed in network.placed
        for name, spec in placed.spec.param_specs(placed.in_shape).items()
        if name == "W"
    )
    if network.has_trait("whole_batch"):
        return 1
    return max(1, min(MOST_SHARDS, n, per_sample * n // WORK_OF_A_SHARD))


class Shard:
    """A part of the batch: n of its rows, on memory of its own."""

    def __init__(self, network: Network, loss: Loss, state: TrainState, grad: Array, n: int, k: int) -> None:
        dtype = grad.dtype.name
        noise = state.noise[k] if state.noise else None
        self.stack = network.bind(state.theta, grad, n, stats=state.stats, noise=noise)
        self.objective = Objective(loss, network.output_activation, n, network.out_shape, dtype)  # type: ignore[arg-type]
        self.grad = grad
        self.x = batch_array(n, network.in_shape, dtype)  # type: ignore[arg-type]
        self.y = np.empty((n, *network.out_shape), dtype)
        self.weights = np.empty((n, 1), dtype)

    def run(self, samples: Samples, rows: slice | Array, scale: float) -> float:
        """The shard's part of the loss; its gradient is then in `grad`."""
        with np.errstate(all="ignore"):  # what is not finite is found by the trainer, which names the layer
            samples.fetch(rows, self.x, self.y)
            logits = self.stack.forward(self.x, training=True)
            weighted = samples.fetch_scale(rows, scale, self.weights)
            value, delta = self.objective.value_and_delta(logits, self.y, weighted)
            self.stack.backward(delta)
        return value


class BatchGradient:
    """Loss and gradient for batches of exactly n samples.

    Args:
        grad: where the batch's gradient is left, (P,).
        shards: how many parts the batch is split into.
        pool: works on all shards but the first, which the caller's thread takes; None works on them one by one.
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
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        self.grad = grad
        self.scale = batch_scale(loss, n)
        self.pool = pool
        self.bounds = [n * k // shards for k in range(shards + 1)]
        self.shards = [
            Shard(
                network,
                loss,
                state,
                grad if k == 0 else np.empty_like(grad),
                self.bounds[k + 1] - self.bounds[k],
                k,
            )
            for k in range(shards)
        ]

    def __call__(self, samples: Samples, rows: slice | Array) -> float:
        """The loss of these n rows; the gradient is then in `grad`."""
        if len(self.shards) == 1:
            return self.shards[0].run(samples, rows, self.scale)
        parts = [_part(rows, low, high) for low, high in zip(self.bounds, self.bounds[1:], strict=False)]
        if self.pool is None:
            values = [shard.run(samples, part, self.scale) for shard, part in zip(self.shards, parts, strict=True)]
        else:
            others = [
                self.pool.submit(shard.run, samples, part, self.scale)
                for shard, part in zip(self.shards[1:], parts[1:], strict=True)
            ]
            values = [
                self.shards[0].run(samples, parts[0], self.scale),
                *(other.result() for other in others),
            ]
        for shard in self.shards[1:]:
            np.add(self.grad, shard.grad, out=self.grad)
        return sum(values)


def _part(rows: slice | Array, low: int, high: int) -> slice | Array:
    if isinstance(rows, slice):
        return slice(rows.start + low, rows.start + high)
    return rows[low:high]
