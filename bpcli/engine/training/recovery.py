"""After divergence: back to the best epoch so far, or to the start, and on from there with half the learning rate.

The best epoch and not the last one, whose weights are finite but may be far gone already: a loss can take many epochs
to overflow. The start where that is the first epoch, the best only for want of another. Both are given by the training
alone, never by the clock, and lie in every checkpoint or come from the seed: equal runs stay equal, stopped or not. How
often the rate was halved lies in the schedule's memory, which is in every checkpoint too.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bpcli.engine.protocols import Progress, Schedule, WatchingSchedule
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import Report
from bpcli.errors import DivergenceError

MOST_HALVINGS = 5

OTHER_WAYS = "data.scale: standard, training.clip_norm: 1.0, or a far lower optimizer.learning_rate"

_KEY = "halvings"  # in the schedule's memory


def halvings(state: TrainState) -> int:
    """How often the learning rate was halved so far."""
    return int(state.memory.get(_KEY, 0))


def forget_halvings(state: TrainState) -> None:
    """The learning rate is the schedule's again."""
    state.memory.pop(_KEY, None)


@dataclass(frozen=True)
class HalvedRate:
    """A schedule's factor, 1 without a schedule, times 1/2 for each time that training diverged."""

    schedule: Schedule | None

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        factor = 1.0 if self.schedule is None else self.schedule.factor(progress, memory)
        return factor * 0.5 ** int(memory.get(_KEY, 0))

    def after_epoch(self, value: float, memory: dict[str, float]) -> None:
        if isinstance(self.schedule, WatchingSchedule):
            self.schedule.after_epoch(value, memory)


def train_with_halvings(
    training: Callable[[], Iterator[Report]],
    state: TrainState,
    start: Callable[[], TrainState],
    on_rollback: Callable[[str], None],
) -> Iterator[Report]:
    """Reports of `training`, which is begun again from a better place, up to MOST_HALVINGS times, when it diverges.

    Args:
        training: trains `state` on with a `HalvedRate`.
        start: gives the state before the first iteration, a new one.
        on_rollback: is given what happened, as text, once `state` has gone back.

    Raises:
        DivergenceError: halving the rate once more is no use, or not allowed.
    """
    while True:
        try:
            yield from training()
            return
        except DivergenceError as error:
            times, what = halvings(state), error.what
            if times == MOST_HALVINGS:
                what += f", with the learning rate halved {times} times"
            elif state.step == _steps_kept(state):
                what += ", before any step that a lower learning rate would change"
            else:
                go_back(state, start, times + 1)
                where = f"the end of epoch {state.epoch}, the best so far," if state.epoch else "the start"
                on_rollback(
                    f"{what}; going on from {where} with the learning rate halved ({times + 1} of {MOST_HALVINGS})"
                )
                continue
            raise DivergenceError(what, OTHER_WAYS) from None


def go_back(state: TrainState, start: Callable[[], TrainState], times: int) -> None:
    """Makes `state` what it was after its best epoch, or at the start; but for the halvings and the seconds."""
    earlier = state.at_best() if _steps_kept(state) else start()
    best = earlier.best
    for field in dataclasses.fields(TrainState):
        if field.name not in ("best", "seconds"):  # a copy: training goes on from there, and `best` stays
            setattr(state, field.name, copy.deepcopy(getattr(earlier, field.name)))
    state.best = best
    state.memory[_KEY] = times


def _steps_kept(state: TrainState) -> int:
    """How many iterations are not taken back."""
    return state.best.step if state.best is not None and state.best.epoch > 1 else 0
