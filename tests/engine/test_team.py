"""Threads that share out work: results in order, errors passed on, threads at rest afterwards."""

from __future__ import annotations

import threading
import time
from functools import partial

import numpy as np
import pytest

from bpcli.engine import registry
from bpcli.engine.activations import ReLU, Softmax
from bpcli.engine.layers.conv2d import Conv2d
from bpcli.engine.layers.dense import Dense
from bpcli.engine.layers.flatten import Flatten
from bpcli.engine.losses.log_likelihood import LogLikelihood
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.team import ALONE, WORTH_TWO_THREADS, Products, Team, ThreadTuner
from bpcli.engine.training.gradient import shards_for
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import Validation, train


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks(threads: int, count: int) -> None:
    def work(k: int) -> int:
        time.sleep(0.001 * (count - k))
        return k

    with Team(threads) as team:
        for _ in range(3):
            assert team.run([partial(work, k) for k in range(count)]) == list(range(count))


def test_tasks_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=10)
    with Team(2) as team:
        assert sorted(team.run([meeting.wait, meeting.wait])) == [0, 1]


@pytest.mark.parametrize("wrong", [0, 1])
def test_an_error_is_passed_on_when_all_are_at_rest(wrong: int) -> None:
    finished = []

    def work(k: int) -> None:
        if k == wrong:
            raise ZeroDivisionError
        time.sleep(0.02)
        finished.append(k)

    with Team(2) as team:
        with pytest.raises(ZeroDivisionError):
            team.run([partial(work, k) for k in range(2)])
        assert finished == [1 - wrong]
        assert team.run([int, int]) == [0, 0]


def test_threads_end_with_the_team() -> None:
    before = threading.active_count()
    with Team(3) as team:
        assert threading.active_count() == before + 2
        team.run([int] * 3)
    assert threading.active_count() == before


def test_fewer_threads_than_asked_for_do_where_the_system_has_no_more(monkeypatch) -> None:
    start, left = threading.Thread.start, [None]

    def start_while_there_are(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_while_there_are)
    with Team(4) as team:
        assert team.size == 2
        assert team.run([partial(abs, -k) for k in range(5)]) == [0, 1, 2, 3, 4]


def test_numpy_does_not_warn_in_the_other_threads() -> None:
    with Team(2) as team:
        first, second = team.run([int, partial(np.exp, np.float32(1000.0))])
    assert (first, second) == (0, np.inf)


def test_a_large_product_is_the_same_with_one_thread_and_two() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(301, 160)), rng.normal(size=(160, 170))
    work = 301 * 160 * 170
    assert work >= WORTH_TWO_THREADS
    with Team(2) as team:
        products = []
        for member in (ALONE, team):
            out = np.full((301, 170), np.nan)
            Products(member).dot_for(work)(a, b, out)
            products.append(out)
    assert products[0].tobytes() == products[1].tobytes()
    np.testing.assert_allclose(products[0], a @ b, rtol=0, atol=1e-12)


def test_a_small_product_is_numpys_own() -> None:
    assert Products().dot_for(WORTH_TWO_THREADS - 1) is np.ndarray.dot


class Machine:
    """A clock, and a step that takes so many seconds with the helpers and without."""

    def __init__(self, helped: float, alone: float) -> None:
        self.team, self.now, self.helped_seconds = Team(1), 0.0, 0.0
        self.tuner = ThreadTuner(self.team)
        self.costs = {True: helped, False: alone}

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        self.tuner.begin(self.now)
        while self.now < end:
            cost = self.costs[self.team.is_helped]
            self.helped_seconds += cost if self.team.is_helped else 0.0
            self.now += cost
            self.tuner.step(self.now)


@pytest.mark.parametrize("step", [0.0001, 0.004, 0.3])
def test_helpers_rest_where_they_are_of_no_use(step: float) -> None:
    useless, useful = Machine(helped=3 * step, alone=step), Machine(helped=0.6 * step, alone=step)
    for machine in (useless, useful):
        machine.run(100 * max(1.0, step))
    assert useless.helped_seconds < 0.25 * useless.now
    assert useful.helped_seconds > 0.75 * useful.now


def test_a_machine_that_becomes_busy_is_noticed_and_so_is_its_rest() -> None:
    machine = Machine(helped=0.001, alone=0.002)
    machine.run(5)
    machine.costs[True] = 0.02
    before, seconds = machine.now, machine.helped_seconds
    machine.run(20)
    assert machine.helped_seconds - seconds < 0.3 * (machine.now - before)
    machine.costs[True] = 0.001
    before, seconds = machine.now, machine.helped_seconds
    machine.run(20)
    assert machine.helped_seconds - seconds > 0.8 * (machine.now - before)


def test_time_between_steps_does_not_count() -> None:
    machine = Machine(helped=0.001, alone=0.002)
    for _ in range(200):
        machine.run(0.003)
        machine.now += 10.0  # an evaluation, say
    assert machine.team.is_helped
    assert machine.tuner.paces.get(True, 0.001) < 0.0011


def test_without_helpers_the_results_are_the_same() -> None:
    with Team(2) as team:
        team.is_helped = False
        assert team.run([threading.get_ident, partial(int, "7")]) == [threading.get_ident(), 7]


def trained_bytes(threads: int, *layers: LayerEntry, in_shape: tuple[int, ...], optimizer: str) -> bytes:
    network, rng = Network(layers, in_shape), np.random.default_rng(0)
    samples = Samples(rng.random((300, *in_shape), np.float32), rng.integers(0, 10, 300), np.eye(10, dtype=np.float32))
    part = registry.optimizers.get(optimizer)()
    state = TrainState.start(network, part, seed=0, dtype="float32")
    options = TrainOptions(epochs=3, batch_size=128, threads=threads)
    for _ in train(network, LogLikelihood(), part, samples, state, options, validation=Validation(samples)):
        pass
    return state.theta.tobytes() + np.float64(state.best.value if state.best else 0).tobytes()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("kind", ["products in halves", "shards"])
def test_training_gives_the_same_bytes_on_one_thread_and_on_two(monkeypatch, kind: str, optimizer: str) -> None:
    monkeypatch.setattr(ThreadTuner, "TRIAL", (0.0, 1))  # helpers come and go with every step
    monkeypatch.setattr(ThreadTuner, "SETTLED", (0.0, 1))
    if kind == "shards":
        layers = [LayerEntry(spec=Conv2d(filters=4, kernel=3), activation=ReLU()), LayerEntry(spec=Flatten())]
        in_shape: tuple[int, ...] = (1, 28, 28)
    else:
        layers, in_shape = [LayerEntry(spec=Dense(units=300), activation=ReLU())], (400,)
    layers.append(LayerEntry(spec=Dense(units=10), activation=Softmax()))
    network = Network(layers, in_shape)
    assert shards_for(network, 128) == (2 if kind == "shards" else 1)
    one, two = (trained_bytes(threads, *layers, in_shape=in_shape, optimizer=optimizer) for threads in (1, 2))
    assert one == two
