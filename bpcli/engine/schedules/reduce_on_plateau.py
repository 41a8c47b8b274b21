"""Reduce on plateau: the rate falls when training no longer gets better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from bpcli.engine.clock import time_of
from bpcli.engine.fields import AtLeast, Between, check_fields
from bpcli.engine.protocols import Moment
from bpcli.engine.registry import schedules


@schedules.register("reduce_on_plateau", elsewhere="plateau reduce_lr_on_plateau")
@dataclass(frozen=True, kw_only=True)
class ReduceOnPlateau:
    """The factor, 1 at first, is multiplied by gamma, not below `floor`, whenever `patience` epochs brought nothing.

    An epoch brings something if the monitored value is better than the best so far by more than min_delta, in the
    value's own units; which value that is, training.early_stopping.monitor says, or else val_loss, or without a
    validation split train_loss. After a fall, `cooldown` epochs do not count. warmup: epochs of linear rise that come
    before, and do not count.

    Keras's ReduceLROnPlateau. patience is meant as in early stopping here and in Keras: PyTorch's bears one epoch more,
    and its threshold is relative unless told otherwise.
    """

    patience: Annotated[int, AtLeast(1)] = 10
    gamma: Annotated[float, Between(0, 1, end=False)] = 0.1
    min_delta: Annotated[float, AtLeast(0)] = 0.0
    cooldown: Annotated[int, AtLeast(0)] = 0
    floor: Annotated[float, Between(0, 1)] = 0.0
    warmup: Annotated[int, AtLeast(0)] = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def factor(self, moment: Moment, memory: dict[str, float]) -> float:
        return time_of(moment, by="epoch", warmup=self.warmup).rise * memory.get("factor", 1.0)

    def acts_within(self, epochs: int) -> bool:
        """Whether the factor changes within so many epochs if none is better than the first."""
        return (self.warmup > 0 and epochs > 1) or (self.floor < 1.0 and epochs > self.warmup + 1 + self.patience)

    def after_epoch(self, value: float, memory: dict[str, float]) -> None:
        memory["epochs"] = memory.get("epochs", 0) + 1
        if memory["epochs"] <= self.warmup:
            return
        memory["stalled"] = memory.get("stalled", 0) + 1
        if value < memory.get("best", math.inf) - self.min_delta:
            memory["best"], memory["stalled"] = value, 0
        if memory.get("cooldown", 0) > 0:
            memory["cooldown"] -= 1
            memory["stalled"] = 0
        if memory["stalled"] >= self.patience:
            memory["factor"] = max(memory.get("factor", 1.0) * self.gamma, self.floor)
            memory["cooldown"], memory["stalled"] = self.cooldown, 0
