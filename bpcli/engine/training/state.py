"""All that changes while a network trains: what a checkpoint holds, and a resume needs to go on bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from bpcli.engine.arrays import Array, DType
from bpcli.engine.network import Network
from bpcli.engine.protocols import AnyOptimizer

GeneratorState: TypeAlias = Mapping[str, Any]

MOST_SHARDS = 2  # unless training.shards says more

# Each purpose has its own stream, so that drawing more for one leaves the others as they were.
STREAMS = ("init", "split", "shuffle", "noise")


def random_streams(seed: int) -> dict[str, np.random.Generator]:
    """One independent generator for each purpose, from one seed."""
    return {
        name: np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index,))))
        for index, name in enumerate(STREAMS)
    }


def generator_at(state: GeneratorState) -> np.random.Generator:
    """A generator in a state that was read off another."""
    generator = np.random.Generator(np.random.PCG64())
    generator.bit_generator.state = state
    return generator


@dataclass
class Best:
    """The state after the epoch with the best monitored `value` so far: enough to go on from there."""

    value: float
    epoch: int
    step: int
    theta: Array
    stats: Array
    vectors: dict[str, Array]
    shuffle: GeneratorState
    noise: list[GeneratorState]
    memory: dict[str, float]
    stall_value: float
    stall_epoch: int
    scalars: dict[str, float] = field(default_factory=dict)


@dataclass
class TrainState:
    """Where training stands.

    epoch counts whole epochs, step iterations. In the middle of an epoch, `position` of its iterations are done,
    `loss_sum` is the sum so far of each batch's loss times its samples, and `shuffle_before` is the state that the
    shuffling generator had before it drew the epoch's order, from which the order can be drawn again.
    `stall_value` and `stall_epoch` are early stopping's: the value to beat, and since when it stands.
    `stats` is what layers keep up themselves; `noise` has a generator for each shard of a batch,
    `memory` is the learning-rate schedule's, `scalars` are a full-batch optimizer's.
    """

    theta: Array
    stats: Array
    vectors: dict[str, Array]
    shuffle: np.random.Generator
    noise: list[np.random.Generator]
    epoch: int = 0
    step: int = 0
    position: int = 0
    loss_sum: float = 0.0
    shuffle_before: GeneratorState | None = None
    best: Best | None = None
    stall_value: float | None = None
    stall_epoch: int = 0
    seconds: float = 0.0
    memory: dict[str, float] = field(default_factory=dict)
    scalars: dict[str, float] = field(default_factory=dict)

    @classmethod
    def start(
        cls, network: Network, optimizer: AnyOptimizer, *, seed: int, dtype: DType, shards: int = MOST_SHARDS
    ) -> TrainState:
        """The state before the first iteration. shards: how many parts a batch is split into at most."""
        streams = random_streams(seed)
        return cls(
            theta=network.initial_theta(streams["init"], dtype),
            stats=network.initial_stats(dtype),
            vectors={name: np.zeros(network.layout.size, dtype) for name in optimizer.vector_names()},
            shuffle=streams["shuffle"],
            noise=streams["noise"].spawn(shards) if network.has_trait("noise") else [],
        )

    def is_better(self, value: float, sign: float) -> bool:
        """Whether the value is better than the best so far; sign 1 where smaller is better, -1 where larger is."""
        return self.best is None or sign * value < sign * self.best.value

    def keep_as_best(self, value: float) -> None:
        """Copies the state at the end of an epoch into `best`, reusing its memory."""
        assert self.stall_value is not None
        if self.best is None:
            self.best = Best(
                value=value,
                epoch=self.epoch,
                step=self.step,
                theta=self.theta.copy(),
                stats=self.stats.copy(),
                vectors={name: vector.copy() for name, vector in self.vectors.items()},
                shuffle=self.shuffle.bit_generator.state,
                noise=[generator.bit_generator.state for generator in self.noise],
                memory=dict(self.memory),
                scalars=dict(self.scalars),
                stall_value=self.stall_value,
                stall_epoch=self.stall_epoch,
            )
            return
        best = self.best
        best.value, best.epoch, best.step = value, self.epoch, self.step
        best.stall_value, best.stall_epoch = self.stall_value, self.stall_epoch
        np.copyto(best.theta, self.theta)
        if self.stats.size:
            np.copyto(best.stats, self.stats)
        for name, vector in self.vectors.items():
            np.copyto(best.vectors[name], vector)
        if self.shuffle_before is not None:  # else nothing has been drawn: every epoch is one batch, or in order
            best.shuffle = self.shuffle.bit_generator.state
        if self.noise:
            best.noise = [generator.bit_generator.state for generator in self.noise]
        best.memory, best.scalars = self.memory.copy(), self.scalars.copy()

    def at_best(self) -> TrainState:
        """The state as it was after the best epoch; shares its arrays with `best`.

        Raises:
            ValueError: no epoch is finished yet.
        """
        if self.best is None:
            raise ValueError("no epoch is finished yet")
        best = self.best
        return TrainState(
            theta=best.theta,
            stats=best.stats,
            vectors=best.vectors,
            shuffle=generator_at(best.shuffle),
            noise=[generator_at(state) for state in best.noise],
            memory=dict(best.memory),
            scalars=dict(best.scalars),
            epoch=best.epoch,
            step=best.step,
            best=best,
            stall_value=best.stall_value,
            stall_epoch=best.stall_epoch,
        )
