"""Each optimizer's first step worked by hand, and what holds of all of them: rates by parameter, frozen parameters."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from contract import parameters, step

from bpcli.engine import registry
from bpcli.engine.activations import Tanh
from bpcli.engine.layers.dense import Dense
from bpcli.engine.losses.mse import MSE
from bpcli.engine.network import LayerEntry, Network, Trainable
from bpcli.engine.optimizers.nadam import _first_products, _momentum, _momentum_product
from bpcli.engine.protocols import Optimizer
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import train

# One weight and one bias, and their gradients: theta = (1, -2), g = (0.5, -0.25), rate = 0.1.
THETA, GRAD, RATE = (1.0, -2.0), (0.5, -0.25), 0.1

# optimizer, its keys, theta after the first step
FIRST_STEPS: list[tuple[str, dict[str, Any], tuple[float, float]]] = [
    # theta - 0.1 g
    ("sgd", {}, (1 - 0.05, -2 + 0.025)),
    # v = g, whatever the momentum
    ("sgd", {"momentum": 0.9}, (1 - 0.05, -2 + 0.025)),
    # g + 0.9 v = 1.9 g
    ("sgd", {"momentum": 0.9, "nesterov": True}, (1 - 0.095, -2 + 0.0475)),
    # the weight's g is 0.5 + 0.2 * 1 + 0.3 * sign(1) = 1, the bias's stays
    ("sgd", {"weight_decay": 0.2, "l1": 0.3}, (1 - 0.1, -2 + 0.025)),
    # m' = g, v' = g^2: g / (|g| + eps) = 0.5 / 1 and -0.25 / 0.75
    ("adam", {"eps": 0.5}, (1 - 0.1 / 2, -2 + 0.1 / 3)),
    # the first v is the largest so far
    ("adam", {"eps": 0.5, "amsgrad": True}, (1 - 0.1 / 2, -2 + 0.1 / 3)),
    # the weight's g is 0.5 + 0.5 * 1 = 1: 1 / 1.5
    ("adam", {"eps": 0.5, "weight_decay": 0.5}, (1 - 0.1 / 1.5, -2 + 0.1 / 3)),
    # the weight becomes (1 - 0.1 * 0.5) 1 = 0.95, and g is as it was: 0.5 / 1
    ("adamw", {"eps": 0.5, "weight_decay": 0.5}, (0.95 - 0.1 / 2, -2 + 0.1 / 3)),
    ("adamw", {"eps": 0.5, "weight_decay": 0.5, "amsgrad": True}, (0.95 - 0.1 / 2, -2 + 0.1 / 3)),
    # u(1) = u(2) = 0.8 / 2, m = 0.2 g: 0.4 / (1 - 0.16) * 0.2 g + (1 - 0.4) / (1 - 0.4) g = (2/21 + 1) g
    ("nadam", {"beta1": 0.8, "momentum_decay": 0.0, "eps": 0.5}, (1 - 0.1 / 2 * 23 / 21, -2 + 0.1 / 3 * 23 / 21)),
    # s = g^2: g / (|g| + eps) = 0.5 / 1 and -0.25 / 0.75
    ("adagrad", {"eps": 0.5}, (1 - 0.1 / 2, -2 + 0.1 / 3)),
    # sqrt(0.75 + 0.5^2) = 1 and sqrt(0.75 + 0.25^2) = sqrt(13) / 4
    ("adagrad", {"initial_accumulator": 0.75}, (1 - 0.05, -2 + 0.1 / math.sqrt(13))),
    # v = 0.25 g^2: g / (0.5 |g| + eps) = 0.5 / 0.5 and -0.25 / 0.375
    ("rmsprop", {"alpha": 0.75, "eps": 0.25}, (1 - 0.1, -2 + 0.1 * 2 / 3)),
    # u = g / (sqrt(v) + eps), whatever the momentum
    ("rmsprop", {"alpha": 0.75, "eps": 0.25, "momentum": 0.9}, (1 - 0.1, -2 + 0.1 * 2 / 3)),
    # v = 0.5 g^2 less (0.5 g)^2 is 0.25 g^2 again
    ("rmsprop", {"alpha": 0.5, "eps": 0.25, "centered": True}, (1 - 0.1, -2 + 0.1 * 2 / 3)),
    # a step of learning_rate against g's sign
    ("rprop", {"learning_rate": 0.1}, (1 - 0.1, -2 + 0.1)),
    # ... but not longer than max_step
    ("rprop", {"learning_rate": 0.1, "max_step": 0.02}, (1 - 0.02, -2 + 0.02)),
]
each_way = pytest.mark.parametrize(("name", "keys"), [row[:2] for row in FIRST_STEPS])


def stepped(
    optimizer: Optimizer,
    gradient: Callable[[int], np.ndarray],
    steps: int,
    *,
    start: np.ndarray,
    rate: float | np.ndarray = RATE,
    decay: np.ndarray | None = None,
) -> np.ndarray:
    """theta after so many steps, gradient(t) each and the penalty's beside it."""
    p = parameters(optimizer, start.copy(), rate=rate, decay=decay)
    for p.t in range(1, steps + 1):
        p.grad[:] = gradient(p.t)
        step(optimizer, p)
    return p.theta


def made(name: str, keys: dict[str, Any]) -> Any:
    return registry.optimizers.get(name)(**keys)


@pytest.mark.parametrize(("name", "keys", "expected"), FIRST_STEPS)
def test_the_first_step_is_the_one_worked_by_hand(
    name: str, keys: dict[str, Any], expected: tuple[float, float]
) -> None:
    gradient, decay = np.array(GRAD), np.array([1.0, 0.0])
    theta = stepped(made(name, keys), lambda t: gradient, 1, start=np.array(THETA), decay=decay)
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-9)


def test_every_optimizer_that_works_on_batches_has_a_first_step_worked_by_hand() -> None:
    names = registry.optimizers.names()
    assert {row[0] for row in FIRST_STEPS} == {name for name in names if hasattr(registry.optimizers.get(name), "step")}


@each_way
def test_a_vector_of_rates_is_each_parameters_own_rate(name: str, keys: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    gradients, start, decay = rng.normal(size=(10, 3)), rng.normal(size=3), np.array([1.0, 1.0, 0.0])
    rates = np.array([0.1, 0.03, 0.25])
    together = stepped(made(name, keys), lambda t: gradients[t - 1], 10, start=start, rate=rates, decay=decay)
    for index, rate in enumerate(rates):
        alone = stepped(made(name, keys), lambda t: gradients[t - 1], 10, start=start, rate=float(rate), decay=decay)
        assert together[index] == pytest.approx(alone[index], rel=1e-12)


@each_way
def test_a_rate_of_0_moves_nothing(name: str, keys: dict[str, Any]) -> None:
    rng = np.random.default_rng(1)
    gradients, start = rng.normal(size=(10, 3)), rng.normal(size=3)
    for rate in (0.0, np.zeros(3)):
        theta = stepped(made(name, keys), lambda t: gradients[t - 1], 10, start=start, rate=rate, decay=np.ones(3))
        assert np.array_equal(theta, start)


@pytest.mark.parametrize("trainable", [False, "weights", "biases"])
@each_way
def test_a_frozen_parameter_never_moves(name: str, keys: dict[str, Any], trainable: Trainable) -> None:
    penalty = {"weight_decay": 0.1} if name != "rprop" else {}
    optimizer = made(name, {**keys, **penalty})
    layers = [
        LayerEntry(spec=Dense(units=3), activation=Tanh(), trainable=trainable),
        LayerEntry(spec=Dense(units=2), learning_rate_scale=0.5),
    ]
    network, rng = Network(layers, (4,)), np.random.default_rng(2)
    state = TrainState.start(network, optimizer, seed=0, dtype="float64")
    state.theta[:] = rng.normal(size=network.layout.size)
    before = state.theta.copy()
    samples = Samples(rng.normal(size=(8, 4)), rng.normal(size=(8, 2)))
    list(train(network, MSE(), optimizer, samples, state, TrainOptions(epochs=5, batch_size=None)))
    assert np.array_equal(state.theta == before, network.trainable_mask == 0)


@each_way
def test_a_step_keeps_the_precision(name: str, keys: dict[str, Any]) -> None:
    rng = np.random.default_rng(3)
    gradients, start = rng.normal(size=(20, 5)), rng.normal(size=5)
    for rate in (0.01, np.full(5, 0.01, np.float32)):
        single = stepped(made(name, keys), lambda t: gradients[t - 1], 20, start=start.astype(np.float32), rate=rate)
        double = stepped(made(name, keys), lambda t: gradients[t - 1], 20, start=start, rate=rate)
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", [0.01, np.full(50_000, 0.01)], ids=["one rate", "a rate each"])
@each_way
def test_a_step_makes_no_arrays(name: str, keys: dict[str, Any], rate: float | np.ndarray) -> None:
    optimizer, n = made(name, keys), 50_000
    p = parameters(optimizer, np.ones(n), rate=rate, decay=np.ones(n))
    p.grad[:], p.t = 1.0, 1
    step(optimizer, p)
    tracemalloc.start()
    p.t = 2
    step(optimizer, p)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 < n * 8


def test_amsgrad_does_not_forget_a_large_gradient() -> None:
    """After one gradient of 100, Adam's steps for gradients of 1 grow again as v forgets it; AMSGrad's do not."""

    def gradient(t: int) -> np.ndarray:
        return np.array([100.0 if t == 1 else 1.0])

    def size_of_step(t: int, **keys: Any) -> float:
        before, after = (
            stepped(made("adam", {"beta2": 0.9, **keys}), gradient, steps, start=np.zeros(1)) for steps in (t - 1, t)
        )
        return float(abs(after - before)[0])

    assert size_of_step(300) == pytest.approx(0.1, rel=1e-3)  # m / sqrt(v) = 1
    assert size_of_step(300, amsgrad=True) == pytest.approx(0.1 / math.sqrt(0.1 * 100**2), rel=1e-3)


def test_adamw_without_decay_is_adam() -> None:
    rng = np.random.default_rng(4)
    gradients, start = rng.normal(size=(10, 3)), rng.normal(size=3)
    thetas = [
        stepped(made(name, {"weight_decay": 0.0}), lambda t: gradients[t - 1], 10, start=start, decay=np.ones(3))
        for name in ("adam", "adamw")
    ]
    assert np.array_equal(*thetas)


def test_adamw_decays_by_rate_times_weight_decay_whatever_the_gradients_were() -> None:
    """With g = 0 all along, theta is multiplied by 1 - 0.1 * 0.5 in each step; a bias stays."""
    optimizer, start = made("adamw", {"weight_decay": 0.5}), np.array([1.0, 1.0])
    theta = stepped(optimizer, lambda t: np.zeros(2), 3, start=start, decay=np.array([1.0, 0.0]))
    np.testing.assert_allclose(theta, [0.95**3, 1.0], rtol=1e-15)


@pytest.mark.parametrize("momentum_decay", [0.0, 0.004, 0.1, 3.0, 1e6])
@pytest.mark.parametrize("beta1", [0.0, 0.6, 0.9, 0.9999])
def test_nadams_product_of_momenta_is_the_product(beta1: float, momentum_decay: float) -> None:
    product = 1.0
    for t in range(1, 5000):
        product *= _momentum(beta1, momentum_decay, t)
        assert 1.0 - _momentum_product(beta1, momentum_decay, t) == pytest.approx(1.0 - product, rel=1e-12)
    assert len(_first_products(beta1, momentum_decay)) < 3000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rmsprop_centered_survives_a_gradient_without_variance(dtype: str) -> None:
    """v less the mean's square is then 0 but for rounding, which takes it below 0 for about one number in ten."""
    gradient = np.random.default_rng(5).uniform(0.1, 10.0, 400)
    optimizer = made("rmsprop", {"centered": True, "alpha": 0.9})
    theta = stepped(optimizer, lambda t: gradient, 1000, start=np.zeros(400, dtype))
    assert np.isfinite(theta).all()


def test_rprop_grows_its_steps_and_halves_them_where_the_gradient_changes_sign() -> None:
    """Steps 0.1, 0.12, 0.144; the gradient turns: 0.072 and rests; then moves back by 0.072, then by 0.0864."""
    optimizer = made("rprop", {"learning_rate": 0.1})
    gradients = [3.0, 0.2, 7.0, -1.0, -5.0, -0.1]
    places = [
        stepped(optimizer, lambda t: np.array([gradients[t - 1]]), steps, start=np.zeros(1))[0] for steps in range(7)
    ]
    np.testing.assert_allclose(np.diff(places), [-0.1, -0.12, -0.144, 0.0, 0.072, 0.0864], rtol=0, atol=1e-15)


def test_rprop_takes_no_notice_of_how_small_a_gradient_is() -> None:
    """The product of two such gradients is 0 in floating point; their signs are not."""
    optimizer = made("rprop", {"learning_rate": 0.1})
    theta = stepped(optimizer, lambda t: np.array([1e-300]), 2, start=np.zeros(1))
    assert theta[0] == pytest.approx(-0.1 - 0.12)


def test_rprop_keeps_its_steps_between_min_step_and_max_step() -> None:
    optimizer = made("rprop", {"learning_rate": 0.1, "min_step": 0.04, "max_step": 0.11})
    same = stepped(optimizer, lambda t: np.array([1.0]), 3, start=np.zeros(1))
    assert same[0] == pytest.approx(-0.1 - 0.11 - 0.11)
    gradients = [1.0, -1.0, -1.0, 1.0, 1.0]  # 0.1; 0.05, rests; 0.05; 0.04, rests; 0.04
    turning = stepped(optimizer, lambda t: np.array([gradients[t - 1]]), 5, start=np.zeros(1))
    assert turning[0] == pytest.approx(-0.1 + 0.05 - 0.04)


def test_a_schedule_multiplies_rprops_steps() -> None:
    """At a quarter of the learning rate every step is a quarter as long."""
    optimizer = made("rprop", {"learning_rate": 0.1})
    theta = stepped(optimizer, lambda t: np.array([1.0]), 2, start=np.zeros(1), rate=0.025)
    assert theta[0] == pytest.approx((-0.1 - 0.12) / 4)


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("adagrad", {"eps": 0.0}, "eps: must be more than 0"),
        ("adagrad", {"initial_accumulator": -1.0}, "initial_accumulator: must be at least 0"),
        ("rmsprop", {"alpha": 1.0}, "alpha: must be at least 0 and below 1"),
        ("rmsprop", {"momentum": -0.1}, "momentum: must be"),
        ("nadam", {"momentum_decay": -1.0}, "momentum_decay: must be at least 0"),
        ("adamw", {"weight_decay": -0.1}, "weight_decay: must be at least 0"),
        ("rprop", {"eta_plus": 1.0}, "eta_plus: must be more than 1"),
        ("rprop", {"eta_minus": 1.0}, "eta_minus: must be at least 0 and below 1"),
    ],
)
def test_a_value_out_of_range_is_refused(name: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(name, keys)
