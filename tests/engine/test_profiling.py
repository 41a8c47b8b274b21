"""A profile is of the real step: what it trains comes out as `train` gives it, and every part is on the clock."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from bpcli.engine import registry
from bpcli.engine.layers.dense import Dense
from bpcli.engine.losses.mse import MSE
from bpcli.engine.measure import instrumented, profile
from bpcli.engine.measure.instrumented import TimedRun, Training, WatchCost, attach, watch_cost
from bpcli.engine.measure.profile import StepProfile, multiply_adds, profile_step
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import train
from bpcli.errors import DivergenceError

FREE = WatchCost(0.0, 0.0)
RNG = np.random.default_rng(0)
SAMPLES = Samples(RNG.normal(size=(10, 3)), RNG.normal(size=(10, 2)), weights=RNG.uniform(0.5, 1.5, (10, 1)))

# name -> optimizer, its keys, and options of training: a short last batch, shards, threads, whole batches
TRAININGS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "one sample at a time": ("sgd", {}, {"batch_size": 1}),
    "a short last batch": ("adam", {}, {"batch_size": 4}),
    "no shuffling": ("sgd", {"momentum": 0.9}, {"batch_size": 5, "shuffle": False, "clip_norm": 1.0}),
    "a last batch left out": ("sgd", {}, {"batch_size": 4, "drop_last": True, "min_change": 1e-300}),
    "shards": ("sgd", {}, {"batch_size": 6, "shards": 2}),
    "threads": ("sgd", {}, {"batch_size": 6, "shards": 2, "threads": 2}),
    "lbfgs": ("lbfgs", {}, {"batch_size": None}),
    "levenberg_marquardt": ("levenberg_marquardt", {"weight_decay": 0.01}, {"batch_size": None}),
    "gradient_descent_adaptive": ("gradient_descent_adaptive", {}, {"batch_size": None, "shards": 2, "threads": 2}),
}


def training(name: str = "a short last batch", samples: Samples = SAMPLES, **options: Any) -> Training:
    optimizer_name, keys, settings = TRAININGS[name]
    optimizer = registry.optimizers.get(optimizer_name)(**keys)
    tanh = registry.activations.get("tanh")()
    network = Network([LayerEntry(spec=Dense(units=4), activation=tanh), LayerEntry(spec=Dense(units=2))], (3,))
    return Training(
        network=network,
        loss=MSE(),
        optimizer=optimizer,
        samples=samples,
        start=lambda: TrainState.start(network, optimizer, seed=3, dtype="float64", shards=2),
        options=TrainOptions(**{"epochs": 5, **settings, **options}),
    )


def profiled(of: Training, seconds: float = 0.02) -> StepProfile:
    return profile_step(of, TimedRun(of), seconds=seconds)


def trained(of: Training) -> TrainState:
    state = of.start()
    for _ in train(of.network, of.loss, of.optimizer, of.samples, state, of.options):
        pass
    return state


@pytest.mark.parametrize("name", TRAININGS)
def test_training_under_stopwatches_gives_the_bytes_that_training_gives(name: str) -> None:
    of = training(name)
    of = dataclasses.replace(of, options=dataclasses.replace(of.options, epochs=instrumented.FEWEST_EPOCHS))
    run = TimedRun(of, FREE)
    while not run.ended:
        run.advance(1.0)
    assert run.watches is not None
    assert run.state.theta.tobytes() == trained(of).theta.tobytes()


@pytest.mark.parametrize("name", TRAININGS)
def test_every_part_is_on_the_clock_in_every_step(name: str) -> None:
    of = training(name)
    run = TimedRun(of, FREE)
    run.advance(0.0)
    windows = run.advance(0.0, to_step=3 * of.batches.count)
    evaluations, _, *seconds = np.sum([window.taken for window in windows], axis=0)
    assert evaluations >= sum(window.steps for window in windows) >= of.batches.count
    data, loss, own, normal_equations, *layers = seconds
    assert (normal_equations > 0) == (name == "levenberg_marquardt")
    assert (data == 0) == (of.options.batch_size is None)  # the full batch is fetched in the first step
    assert all(value > 0 for value in [loss, own, *layers])
    assert len(seconds) == 4 + 2 * len(of.network.placed)


@pytest.mark.parametrize("name", TRAININGS)
def test_a_profile_adds_up_to_the_step_as_trained(name: str) -> None:
    profile = profiled(training(name))
    assert profile.step > 0
    assert profile.parts + profile.rest == pytest.approx(profile.step)
    assert profile.one_thread > 0
    assert profile.all_threads >= profile.one_thread
    assert profile.buffers > 0
    assert 0 <= profile.watches < profile.watched


def test_work_is_counted_for_the_mean_batch() -> None:
    """3 x 4 and 4 x 2 weights; 10 samples in 3 batches; backward twice as much, but for the first layer's dx."""
    first, activation, second = profiled(training()).layers
    assert (first.forward_work, first.backward_work) == pytest.approx((40.0, 40.0))
    assert (activation.forward_work, activation.backward_work) == (0.0, 0.0)
    assert (second.forward_work, second.backward_work) == pytest.approx((80.0 / 3, 160.0 / 3))


def test_shards_side_by_side_count_once_and_one_after_another_twice() -> None:
    """The same laps: half of their sum passes on the clock where two threads share them."""
    seconds = []
    for threads in (1, 2):
        run = TimedRun(training("shards", threads=threads), FREE)
        run.advance(0.0)
        assert run.watches is not None
        for gradient in run.watches.gradients:
            for part in gradient.parts:
                for watch in part:
                    watch.laps[:] = [1.0]
        seconds.append(run.watches.take()[6:])
    np.testing.assert_array_equal(seconds[0], 2 * seconds[1])


@pytest.mark.parametrize(
    ("name", "keys", "shape", "work"),
    [
        ("dense", {"units": 10}, (84,), 840),
        ("conv2d", {"filters": 6, "kernel": 5, "padding": 2}, (1, 28, 28), 6 * 25 * 28 * 28),
        ("conv2d", {"filters": 16, "kernel": 5}, (6, 14, 14), 16 * 6 * 25 * 100),
        ("max_pool2d", {"size": 2}, (6, 28, 28), 0),
        ("batch_norm", {}, (6, 28, 28), 0),
        ("layer_norm", {}, (6, 28, 28), 0),
    ],
    ids=["dense", "conv2d padded", "conv2d", "max_pool2d", "batch_norm", "layer_norm"],
)
def test_counts_the_multiply_adds_of_a_layer(
    name: str, keys: dict[str, Any], shape: tuple[int, ...], work: int
) -> None:
    network = Network([LayerEntry(spec=registry.layers.get(name)(**keys))], shape)
    assert multiply_adds(network.placed[0]) == work


def at_the_minimum() -> Training:
    """There is no way down from here, so every run ends after its first iteration."""
    of = training("levenberg_marquardt", Samples(np.zeros((4, 3)), np.zeros((4, 2))))

    def start() -> TrainState:
        state = of.start()
        state.theta.fill(0.0)
        return state

    return dataclasses.replace(of, start=start)


def test_a_run_of_one_iteration_is_measured_with_all_that_it_takes() -> None:
    plain = TimedRun(at_the_minimum())
    [(steps, seconds, _)] = plain.advance(0.0)
    assert (plain.ended, steps) == (True, 1)
    assert seconds > 0


def test_a_long_turn_comes_in_windows_that_leave_no_step_out_but_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that moves by a quarter of a window each time it is read."""
    readings = itertools.count(0.0, instrumented.WINDOW_SECONDS / 4)
    monkeypatch.setattr(instrumented, "perf_counter", lambda: next(readings))
    plain = TimedRun(training("one sample at a time", epochs=50))
    first = plain.advance(30 * instrumented.WINDOW_SECONDS)
    second = plain.advance(30 * instrumented.WINDOW_SECONDS)
    assert min(len(first), len(second)) > 10
    assert sum(window.steps for window in first + second) == plain.state.step - 1
    assert all(window.seconds >= instrumented.WINDOW_SECONDS for window in first + second)


def test_a_run_that_has_ended_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that moves by 10 ms each time it is read."""
    readings = itertools.count(0.0, 0.01)
    monkeypatch.setattr(profile, "perf_counter", lambda: next(readings))
    assert profiled(at_the_minimum(), seconds=0.2).steps > 4


@pytest.mark.parametrize("name", registry.schedules.names())
def test_a_schedule_sees_the_same_length_of_training_both_ways(name: str) -> None:
    """A run of a few epochs is made longer to be measured, and nothing runs on behind a schedule's end."""
    keys: dict[str, dict[str, Any]] = {
        "exponential": {"gamma": 0.9},
        "inverse_time": {"decay": 0.1},
        "step": {"every": 9},
    }
    schedule = registry.schedules.get(name)(**keys.get(name, {}))
    of = dataclasses.replace(training(epochs=2), schedule=schedule)
    plain, watched = TimedRun(of), TimedRun(of, FREE)
    for run in (plain, watched):
        while not run.ended:
            run.advance(1.0)
    assert plain.state.epoch == instrumented.FEWEST_EPOCHS
    assert watched.state.theta.tobytes() == plain.state.theta.tobytes()


def test_reasons_to_stop_are_left_out() -> None:
    plain = TimedRun(training(goal=1e9, epochs=50))
    plain.advance(0.0)
    assert not plain.ended


def test_divergence_is_reported_as_in_training() -> None:
    of = training(samples=Samples(SAMPLES.x, SAMPLES.y * 1e200))
    with pytest.raises(DivergenceError, match="training diverged in epoch 1"):
        profiled(of)


class Doubler:
    def twice(self, x: float, *, plus: float = 0.0) -> float:
        return 2 * x + plus


def test_a_stopwatch_is_attached_to_one_object_only_and_changes_no_result() -> None:
    watched, other = Doubler(), Doubler()
    watch = attach(watched, "twice")
    assert (watched.twice(2.0, plus=1.0), other.twice(2.0)) == (5.0, 4.0)
    seconds, calls = watch.take()
    assert seconds > 0
    assert calls == 1
    assert watch.take() == (0, 0)


def test_a_stopwatch_costs_less_of_its_own_lap_than_in_all() -> None:
    cost = watch_cost()
    assert 0 <= cost.seen <= cost.whole < 1e-3
