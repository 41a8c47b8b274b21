"""Every registered layer, activation, loss, optimizer and initializer keeps its contract."""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc

import numpy as np
import pytest
from contract import IN_SHAPES, fits, make, network_with, targets_for

from bpcli.engine import registry
from bpcli.engine.activations.sigmoid import Sigmoid
from bpcli.engine.activations.tanh import Tanh
from bpcli.engine.arrays import Scratch
from bpcli.engine.gradcheck import check_gradients
from bpcli.engine.initializers import Normal
from bpcli.engine.layers.activation import ActivationLayer
from bpcli.engine.layers.dense import Dense
from bpcli.engine.losses.mse import MSE
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.objective import Objective
from bpcli.engine.samples import Samples
from bpcli.engine.state import TrainState
from bpcli.engine.trainer import TrainOptions, train

LAYERS = registry.layers.names()
ACTIVATIONS = registry.activations.names()
LOSSES = registry.losses.names()
OPTIMIZERS = registry.optimizers.names()
SEEDS = range(3)


def random_theta(network: Network, rng: np.random.Generator) -> np.ndarray:
    """Weights large enough that no gradient drowns in rounding."""
    return rng.normal(0.0, 0.7, network.layout.size)


def away_from_kinks(network: Network, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Weights and inputs for which no z is near 0, where relu and its relatives have no derivative."""
    while True:
        theta, x = random_theta(network, rng), rng.normal(size=(n, *network.in_shape))
        stack, value, nearest = network.bind(theta, np.empty_like(theta), n), x, np.inf
        for layer, after in zip(stack.layers, [*stack.layers[1:], None], strict=True):
            value = layer.forward(value, True).copy()
            if after is None or isinstance(after, ActivationLayer):
                nearest = min(nearest, np.abs(value).min())
        if nearest > 2e-3:
            return theta, x


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss_name", LOSSES)
@pytest.mark.parametrize("activation_name", ACTIVATIONS)
@pytest.mark.parametrize("layer_name", LAYERS)
def test_gradients_match_central_differences(
    layer_name: str, activation_name: str, loss_name: str, reduction: str, seed: int
) -> None:
    """Worst relative error below 1e-6, for every output activation that the loss goes with."""
    rng = np.random.default_rng([seed, LAYERS.index(layer_name), ACTIVATIONS.index(activation_name)])
    spec, activation = make(registry.layers, layer_name), make(registry.activations, activation_name)
    loss = dataclasses.replace(make(registry.losses, loss_name), reduction=reduction)
    outputs = [make(registry.activations, name) for name in ACTIVATIONS]
    units, n = int(rng.integers(2, 5)), int(rng.integers(2, 6))
    for output in outputs:
        if not fits(loss, output):
            continue
        in_shape = IN_SHAPES.get(layer_name, (5,))
        network = network_with(spec, in_shape, activation, output, units)
        theta, x = away_from_kinks(network, n, rng)
        y = targets_for(output, n, units, rng)
        check = check_gradients(network, loss, theta, x, y)
        assert check.worst < 1e-6, f"{check.where} with output {output}"


def test_the_gradient_check_notices_a_wrong_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(self: Tanh, da: np.ndarray, z: np.ndarray, a: np.ndarray, scratch: Scratch) -> None:
        np.multiply(da, 1.0 - a * a + 1e-4, out=da)

    monkeypatch.setattr(Tanh, "backward", wrong)
    network = Network([LayerEntry(spec=Dense(units=3), activation=Tanh()), LayerEntry(spec=Dense(units=2))], (4,))
    rng = np.random.default_rng(0)
    check = check_gradients(
        network, MSE(), random_theta(network, rng), rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    )
    assert check.worst > 1e-6


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_may_overwrite_its_input(name: str) -> None:
    activation = make(registry.activations, name)
    if activation.needs_z:
        return  # it says itself that it may not
    rng = np.random.default_rng(1)
    z, da = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    scratch = Scratch.beside(z.shape, "float64")
    a, da_apart = np.empty_like(z), da.copy()
    activation.forward(z, a, scratch)
    activation.backward(da_apart, z, a, scratch)
    in_place = z.copy()
    activation.forward(in_place, in_place, scratch)
    activation.backward(da, in_place, in_place, scratch)
    assert np.array_equal(a, in_place)
    assert np.array_equal(da, da_apart)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_finite_at_extreme_inputs(name: str, dtype: str) -> None:
    z = np.array([[-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4]], dtype)
    a, da, scratch = np.empty_like(z), np.ones_like(z), Scratch.beside(z.shape, dtype)
    with np.errstate(over="ignore"):
        make(registry.activations, name).forward(z, a, scratch)
        make(registry.activations, name).backward(da, z, a, scratch)
    assert np.isfinite(a).all()
    assert np.isfinite(da).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("loss_name", "activation_name"), [*itertools.product(LOSSES, ACTIVATIONS)])
def test_loss_is_finite_at_extreme_logits(loss_name: str, activation_name: str, dtype: str) -> None:
    loss, activation = make(registry.losses, loss_name), make(registry.activations, activation_name)
    if not fits(loss, activation):
        with pytest.raises(ValueError, match=loss_name):
            loss.from_logits(activation)
        return
    z = np.array([[-1e4, 1e4, 0.0], [1e4, -1e4, 5.0]], dtype)
    y = np.array([[1, 0, 0], [1, 0, 0]], dtype)
    objective = Objective(loss, activation, 2, (3,), dtype)
    with np.errstate(over="ignore"):
        value, delta = objective.value_and_delta(z, y, 0.5)
    assert np.isfinite(value)
    assert np.isfinite(delta).all()


@pytest.mark.parametrize("name", LAYERS)
def test_backward_overwrites_gradients(name: str) -> None:
    spec = make(registry.layers, name)
    network = network_with(spec, IN_SHAPES.get(name, (5,)), Sigmoid(), Sigmoid(), 2)
    rng = np.random.default_rng(2)
    theta, grad = random_theta(network, rng), np.full(network.layout.size, np.nan)
    stack = network.bind(theta, grad, 3)
    x, delta = rng.normal(size=(3, *network.in_shape)), rng.normal(size=(3, 2))
    stack.forward(x, training=True)
    stack.backward(delta.copy())
    first = grad.copy()
    stack.forward(x, training=True)
    stack.backward(delta.copy())
    assert np.isfinite(first).all()
    assert np.array_equal(first, grad)


@pytest.mark.parametrize("name", LAYERS)
def test_a_step_leaves_its_input_as_it_was(name: str) -> None:
    spec = make(registry.layers, name)
    in_shape = IN_SHAPES.get(name, (5,))
    network = Network([LayerEntry(spec=spec, activation=Tanh())], in_shape)
    rng = np.random.default_rng(3)
    theta = random_theta(network, rng)
    stack = network.bind(theta, np.empty_like(theta), 3)
    x = rng.normal(size=(3, *in_shape))
    before = x.copy()
    z = stack.forward(x, training=True)
    stack.backward(np.ones_like(z))
    assert np.array_equal(x, before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_finds_the_minimum_of_a_parabola(name: str) -> None:
    optimizer = make(registry.optimizers, name)
    target = np.array([1.0, -2.0, 0.5])
    theta, scratch = np.zeros(3), np.empty(3)
    state = {key: np.zeros(3) for key in optimizer.vector_names()}
    for t in range(1, 5001):
        grad = 2 * (theta - target)
        optimizer.step(theta, grad, state, scratch, rate=0.01, t=t, decay=np.ones(3))
    assert np.allclose(theta, target, atol=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_never_moves_a_parameter_without_gradient_or_decay(name: str) -> None:
    optimizer = make(registry.optimizers, name)
    theta, scratch = np.array([3.0, -1.0]), np.empty(2)
    state = {key: np.zeros(2) for key in optimizer.vector_names()}
    for t in range(1, 20):
        optimizer.step(theta, np.array([0.0, 1.0]), state, scratch, rate=0.1, t=t, decay=np.zeros(2))
    assert theta[0] == 3.0
    assert theta[1] != -1.0


@pytest.mark.parametrize("name", registry.initializers.names())
def test_initializer_is_seeded_and_has_the_right_shape(name: str) -> None:
    initializer = make(registry.initializers, name)
    first, second = (initializer.draw((4, 3, 5, 2), np.random.default_rng(5)) for _ in range(2))
    assert first.shape == (4, 3, 5, 2)
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("name", "variance"),
    # fan_in 600, fan_out 200
    [
        ("glorot_uniform", 2 / 800),
        ("glorot_normal", 2 / 800),
        ("he_uniform", 2 / 600),
        ("he_normal", 2 / 600),
        ("lecun_normal", 1 / 600),
        ("normal", 0.1**2),
        ("uniform", 1 / 12),
        ("zeros", 0.0),
        ("ones", 0.0),
    ],
)
def test_initializer_has_its_variance(name: str, variance: float) -> None:
    weights = make(registry.initializers, name).draw((200, 600), np.random.default_rng(6))
    assert weights.var() == pytest.approx(variance, rel=0.02)
    assert abs(weights.mean() - (name == "ones")) < 0.005


def test_float32_and_float64_networks_start_alike() -> None:
    network = Network([LayerEntry(spec=Dense(units=3, init=Normal()))], (4,))
    single = network.initial_theta(np.random.default_rng(1), "float32")
    double = network.initial_theta(np.random.default_rng(1), "float64")
    assert np.array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize("registry_", [registry.layers, registry.losses, registry.optimizers], ids=lambda r: r.kind)
def test_a_part_is_frozen(registry_: registry.Registry[object]) -> None:
    part = make(registry_, registry_.names()[0])
    field = dataclasses.fields(part)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(part, field, 1)


def test_unknown_part_names_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="did you mean sigmoid"):
        registry.activations.get("sigmoidd")


@pytest.mark.parametrize("width", [256, 512])
def test_a_step_makes_no_arrays(width: int) -> None:
    """Once all buffers are made, what a step allocates at most is NumPy's own buffer of 8192 numbers, at any width."""
    network = Network(
        [LayerEntry(spec=Dense(units=width), activation=Tanh()), LayerEntry(spec=Dense(units=1))], (width,)
    )
    optimizer = registry.optimizers.get("adam")()
    rng = np.random.default_rng(0)
    samples = Samples(rng.normal(size=(512, width)), rng.normal(size=(512, 1)))
    state = TrainState.start(network, optimizer, seed=0, dtype="float64")
    reports = train(network, MSE(), optimizer, samples, state, TrainOptions(epochs=3, batch_size=128, shuffle=False))
    next(reports)
    next(reports)
    tracemalloc.start()
    next(reports)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8192 * 8 + 20_000 < 128 * width * 8
