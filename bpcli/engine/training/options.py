"""How long to train, in which batches, and when to stop early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from bpcli.engine.fields import AtLeast, MoreThan, check_fields


@dataclass(frozen=True, kw_only=True)
class EarlyStopping:
    """Stops when `monitor` has not improved by more than min_delta for `patience` epochs; None: never.

    ties: whether the best epoch is the first or the last of those with the same best value, as happens with a metric
    such as the accuracy. A tie is no improvement: it does not prolong the training.
    restore_best: whether the run's result is the weights of the best epoch or those of the last. Training keeps both in
    its state, so that it can be resumed.
    """

    monitor: str = "val_loss"
    patience: Annotated[int, AtLeast(1)] | None = 6
    min_delta: Annotated[float, AtLeast(0)] = 0.0
    ties: Literal["first", "last"] = "first"
    restore_best: bool = True

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How long and in which batches. batch_size None: the full batch. shards None: chosen from the work in a step."""

    epochs: Annotated[int, AtLeast(1)]
    batch_size: Annotated[int, AtLeast(1)] | None = 32
    drop_last: bool = False
    shuffle: bool = True
    shards: Annotated[int, AtLeast(1)] | None = None
    threads: Annotated[int, AtLeast(1)] = 1
    clip_norm: Annotated[float, MoreThan(0)] | None = None
    clip_value: Annotated[float, MoreThan(0)] | None = None
    early_stopping: EarlyStopping | None = None
    goal: float | None = None
    min_change: Annotated[float, MoreThan(0)] | None = None
    max_seconds: Annotated[float, MoreThan(0)] | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def batches(self, n: int) -> Batches:
        """The batches of an epoch of n samples."""
        size = min(self.batch_size or n, n)
        return Batches(n, size, iterations_per_epoch(n, size, drop_last=self.drop_last))


@dataclass(frozen=True)
class Batches:
    """The batches of an epoch: n samples in `count` batches of `size`, of which the last may be short."""

    n: int
    size: int
    count: int

    @property
    def samples(self) -> int:
        """How many samples an epoch trains on: all, or with drop_last all but those of a short last batch."""
        return min(self.count * self.size, self.n)

    @property
    def sizes(self) -> set[int]:
        """Every batch size that occurs."""
        return {self.size, self.samples % self.size} - {0}


def iterations_per_epoch(n: int, batch_size: int, *, drop_last: bool = False) -> int:
    """ceil(n / batch_size); with drop_last, which leaves out a short last batch, floor(n / batch_size)."""
    return n // batch_size if drop_last else -(-n // batch_size)
