"""Threads that share out work: results in order, errors passed on, threads at rest afterwards."""

from __future__ import annotations

import threading
import time
from functools import partial

import numpy as np
import pytest

from bpcli.engine.products import WORTH_TWO_THREADS, Products
from bpcli.engine.team import ALONE, Team


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
    deadline = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.001)


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
