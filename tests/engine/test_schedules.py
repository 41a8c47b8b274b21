"""The shape of each schedule, worked by hand; the warm-up that they share; and a plateau's memory."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from typing import Any

import pytest
from contract import make

from bpcli.config.part_models import part, plain
from bpcli.engine import registry
from bpcli.engine.protocols import Progress, Schedule, WatchingSchedule
from bpcli.engine.schedules import time_of

ITERATIONS = 4  # in an epoch
NAMES = registry.schedules.names()
WITH_WARMUP = [name for name in NAMES if "warmup" in {f.name for f in dataclasses.fields(registry.schedules.get(name))}]

# schedule, its keys, the epochs of the training, {epoch: factor}
SHAPES: list[tuple[str, dict[str, Any], int, dict[int, float]]] = [
    ("step", {"every": 3}, 9, {0: 1, 2: 1, 3: 0.1, 5: 0.1, 6: 0.01, 8: 0.01}),
    ("step", {"every": 1, "gamma": 0.5}, 9, {0: 1, 1: 1 / 2, 4: 1 / 16}),
    ("multi_step", {"at": (2, 5), "gamma": 0.5}, 9, {0: 1, 1: 1, 2: 0.5, 4: 0.5, 5: 0.25, 8: 0.25}),
    ("exponential", {"gamma": 0.5}, 9, {0: 1, 1: 1 / 2, 2: 1 / 4, 8: 1 / 256}),
    ("inverse_time", {"decay": 0.5}, 9, {0: 1, 1: 1 / 1.5, 2: 1 / 2, 8: 1 / 5}),
    ("polynomial", {}, 10, {0: 1, 1: 0.9, 5: 0.5, 9: 0.1}),
    ("polynomial", {"power": 2.0, "end": 0.2}, 10, {0: 1, 5: 0.2 + 0.8 / 4, 9: 0.2 + 0.8 / 100}),
    ("polynomial", {"duration": 4, "end": 0.1}, 10, {0: 1, 2: 0.55, 4: 0.1, 9: 0.1}),
    ("polynomial", {"end": 11.0}, 10, {0: 1, 1: 2, 9: 10}),  # rises
    ("cosine", {}, 6, {0: 1, 1: 0.5 + math.sqrt(3) / 4, 2: 0.75, 3: 0.5, 4: 0.25, 5: 0.5 - math.sqrt(3) / 4}),
    ("cosine", {"end": 0.2}, 6, {0: 1, 2: 0.2 + 0.8 * 0.75, 3: 0.6}),
    # restarts in 3, 6, 9
    ("cosine", {"period": 3}, 20, {0: 1, 1: 0.75, 2: 0.25, 3: 1, 5: 0.25, 6: 1, 19: 0.75}),
    # periods of 2, 4, 8 epochs: restarts in 2, 6, 14
    ("cosine", {"period": 2, "multiplier": 2}, 20, {0: 1, 1: 0.5, 2: 1, 4: 0.5, 6: 1, 10: 0.5, 14: 1}),
    # up over epochs 0 to 0.3 * 10 - 1 = 2, down over 2 to 9; epoch 1 is half the way up: (0.04 + 1) / 2
    ("one_cycle", {"by": "epoch"}, 10, {0: 0.04, 1: 0.52, 2: 1, 9: 0.04e-4}),
    # up over 0 to 3, down over 3 to 7; epochs 1 and 2 are a third and two thirds up, 5 is half the way down
    (
        "one_cycle",
        {"by": "epoch", "warmup_share": 0.5, "div_factor": 2.0, "final_div_factor": 5.0},
        8,
        {0: 0.5, 1: 0.625, 2: 0.875, 3: 1, 5: 0.55, 7: 0.1},
    ),
    ("one_cycle", {"by": "epoch", "warmup_share": 0.0}, 1, {0: 0.04e-4}),
    ("one_cycle", {"by": "epoch", "warmup_share": 0.1}, 10, {0: 1, 9: 0.04e-4}),  # the peak is epoch 0
    ("one_cycle", {"by": "epoch", "warmup_share": 1.0}, 5, {0: 0.04, 2: 0.52, 4: 1}),
    # 1 + 15 t is the epoch + 1: 0 at each power of 2
    (
        "coslog",
        {"by": "epoch"},
        15,
        {0: 0, 1: 0, 2: 0.5 - 0.5 * math.cos(2 * math.pi * math.log2(3)), 3: 0, 7: 0, 15: 0},
    ),
    ("coslog", {"by": "epoch", "cycles": 1}, 3, {0: 0, 1: 0.5 - 0.5 * math.cos(2 * math.pi * math.log2(4 / 3)), 3: 0}),
]


def factor(schedule: Schedule, epoch: int, epochs: int = 10, iteration: int = 0) -> float:
    """The factor of an iteration of an epoch."""
    return schedule.factor(Progress(epoch, epoch * ITERATIONS + iteration, ITERATIONS, epochs), {})


def made(name: str, **keys: Any) -> Any:
    return dataclasses.replace(make(registry.schedules, name), **keys)


@pytest.mark.parametrize(("name", "keys", "epochs", "expected"), SHAPES)
def test_the_shape_is_the_one_worked_by_hand(
    name: str, keys: dict[str, Any], epochs: int, expected: dict[int, float]
) -> None:
    schedule = registry.schedules.get(name)(**keys)
    assert {epoch: factor(schedule, epoch, epochs) for epoch in expected} == pytest.approx(expected, abs=1e-15)


def test_every_schedule_without_a_memory_has_a_shape_worked_by_hand() -> None:
    watching = {name for name in NAMES if isinstance(make(registry.schedules, name), WatchingSchedule)}
    assert watching == {"reduce_on_plateau"}
    assert {row[0] for row in SHAPES} == set(NAMES) - watching


@pytest.mark.parametrize(("name", "keys", "epochs", "expected"), SHAPES)
def test_by_epoch_the_rate_stands_still_within_an_epoch(
    name: str, keys: dict[str, Any], epochs: int, expected: dict[int, float]
) -> None:
    schedule = registry.schedules.get(name)(**keys)
    for epoch in expected:
        assert len({factor(schedule, epoch, epochs, iteration) for iteration in range(ITERATIONS)}) == 1


@pytest.mark.parametrize(("name", "keys", "epochs", "expected"), SHAPES)
def test_by_iteration_the_shape_is_the_same_in_iterations(
    name: str, keys: dict[str, Any], epochs: int, expected: dict[int, float]
) -> None:
    """What epoch 5 of 10 was is iteration 5 of 10: 5 epochs of 2."""
    schedule = registry.schedules.get(name)(**{**keys, "by": "iteration"})
    for number, value in expected.items():
        for per_epoch in (1, 2, 5):
            if epochs % per_epoch == 0:
                progress = Progress(number // per_epoch, number, per_epoch, epochs // per_epoch)
                assert schedule.factor(progress, {}) == pytest.approx(value, abs=1e-15)


@pytest.mark.parametrize("name", WITH_WARMUP)
def test_warmup_rises_in_equal_steps_to_1_and_the_schedule_counts_from_its_end(name: str) -> None:
    plain_one, warmed = made(name), made(name, warmup=3)
    assert [factor(warmed, epoch, 13) for epoch in range(4)] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    shifted = [factor(warmed, epoch + 3, 13) for epoch in range(10)]
    assert shifted == pytest.approx([factor(plain_one, epoch, 10) for epoch in range(10)])


def test_only_schedules_that_rise_by_themselves_have_no_warmup() -> None:
    assert set(NAMES) - set(WITH_WARMUP) == {"coslog", "one_cycle"}


@pytest.mark.parametrize("cycles", [1, 2, 4])
def test_coslog_touches_0_and_1_once_in_each_cycle_and_each_is_twice_as_long(cycles: int) -> None:
    schedule, epochs = made("coslog", cycles=cycles), 1000
    factors = [factor(schedule, i // ITERATIONS, epochs, i % ITERATIONS) for i in range(epochs * ITERATIONS)]
    peaks = [i for i in range(1, len(factors) - 1) if factors[i - 1] < factors[i] >= factors[i + 1]]
    valleys = [i for i in range(1, len(factors) - 1) if factors[i - 1] > factors[i] <= factors[i + 1]]
    assert (len(peaks), len(valleys)) == (cycles, cycles - 1)
    assert [factors[i] for i in peaks] == pytest.approx([1.0] * cycles, abs=1e-3)
    assert [factors[i] for i in [0, *valleys]] == pytest.approx([0.0] * cycles, abs=1e-3)
    lengths = [high - low for low, high in itertools.pairwise([0, *valleys, len(factors)])]
    assert [later / earlier for earlier, later in itertools.pairwise(lengths)] == pytest.approx(
        [2.0] * (cycles - 1), abs=0.01
    )


def test_warmup_by_iteration_rises_within_the_epoch() -> None:
    schedule = made("exponential", gamma=1.0, by="iteration", warmup=7)
    assert [factor(schedule, 0, iteration=i) for i in range(4)] == pytest.approx([1 / 8, 2 / 8, 3 / 8, 4 / 8])
    assert [factor(schedule, 1, iteration=i) for i in range(4)] == pytest.approx([5 / 8, 6 / 8, 7 / 8, 1])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_warmup_or_a_period_longer_than_training_is_no_error(name: str, epochs: int) -> None:
    """Nor is a moment after the end, which a resume with fewer epochs could ask for."""
    schedule = made(name, warmup=5) if name in WITH_WARMUP else made(name)
    assert all(0 <= factor(schedule, epoch, epochs) <= 1 for epoch in range(12))


@pytest.mark.parametrize("name", NAMES)
def test_the_factor_depends_on_nothing_but_moment_and_memory(name: str) -> None:
    schedule, memory = make(registry.schedules, name), {}
    first = [schedule.factor(Progress(epoch, 4 * epoch, 4, 10), memory) for epoch in range(10)]
    again = [schedule.factor(Progress(epoch, 4 * epoch, 4, 10), memory) for epoch in reversed(range(10))]
    assert first == again[::-1]
    assert memory == {}


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_survives_being_written_to_a_config(name: str) -> None:
    schedule = make(registry.schedules, name)
    assert part(Schedule).read(json.loads(json.dumps(plain(schedule)))) == schedule


def test_a_list_in_a_config_becomes_a_tuple() -> None:
    schedule = part(Schedule).read({"type": "multi_step", "at": [2, 5]})
    assert schedule == registry.schedules.get("multi_step")(at=(2, 5))


@pytest.mark.parametrize("at", [(), (0, 3), (3, 3), (5, 2), (-1,)])
def test_multi_step_refuses_times_that_do_not_rise(at: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at: must be increasing numbers of at least 1"):
        made("multi_step", at=at)


def test_time_of_counts_whole_training_in_either_unit() -> None:
    progress = Progress(epoch=3, step=14, iterations_per_epoch=4, epochs=10)
    assert time_of(progress, by="epoch") == (1.0, 3, 10)
    assert time_of(progress, by="iteration") == (1.0, 14, 40)
    assert time_of(progress, by="epoch", warmup=5) == (4 / 6, 0, 5)
    assert time_of(progress, by="iteration", warmup=10) == (1.0, 4, 30)


# --- reduce_on_plateau ------------------------------------------------------------------------------------------------


def factors(values: list[float], **keys: Any) -> list[float]:
    """The factor in the epoch after each value."""
    schedule, memory, found = made("reduce_on_plateau", **keys), dict[str, float](), []
    for epoch, value in enumerate(values):
        schedule.after_epoch(value, memory)
        memory = json.loads(json.dumps(memory, allow_nan=False))  # as through a checkpoint
        found.append(schedule.factor(Progress(epoch + 1, (epoch + 1) * ITERATIONS, ITERATIONS, 100), memory))
    return found


def test_a_plateau_of_patience_epochs_brings_the_rate_down() -> None:
    """Epoch 2 is the best; 3 and 4 bring nothing, so epoch 5 has the lower rate; 5 and 6 bring nothing again."""
    assert factors([3, 2, 2, 2.5, 2, 2, 2], patience=2) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_whatever_gets_better_begins_the_patience_anew() -> None:
    assert factors([3, 3, 2, 2, 1, 1], patience=2) == [1] * 6


def test_no_more_than_min_delta_better_is_no_better() -> None:
    """3 to 2.5 and 2.25 is not enough below 3; 1.9 is."""
    assert factors([3, 2.5, 2.25, 1.9], patience=3, min_delta=1.0) == [1, 1, 1, 1]
    assert factors([3, 2.5, 2.25, 2.0], patience=3, min_delta=1.0, gamma=0.5) == [1, 1, 1, 0.5]


def test_epochs_of_the_cooldown_do_not_count() -> None:
    """Falls after epoch 2; 3 and 4 do not count; the next one does."""
    assert factors([1, 1, 1, 1, 1, 1, 1], patience=1, gamma=0.5, cooldown=2) == [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_the_best_value_is_kept_up_in_the_cooldown() -> None:
    assert factors([3, 3, 1, 2, 2], patience=1, gamma=0.5, cooldown=1) == [1, 0.5, 0.5, 0.25, 0.25]


def test_the_factor_stays_above_the_floor() -> None:
    assert factors([1] * 5, patience=1, gamma=0.5, floor=0.3) == [1, 0.5, 0.3, 0.3, 0.3]


def test_epochs_of_the_warmup_do_not_count() -> None:
    """The losses at warm-up's low rates, and the best of them, mean nothing for the plateau."""
    found = factors([0.1, 1, 1, 1], patience=1, gamma=0.5, warmup=2)
    assert found == pytest.approx([2 / 3, 1, 1, 0.5])


def test_a_loss_that_is_not_a_number_is_no_better() -> None:
    assert factors([1, math.nan, math.inf], patience=2, gamma=0.5) == [1, 1, 0.5]
    assert factors([math.inf, math.inf], patience=1, gamma=0.5) == [0.5, 0.25]
