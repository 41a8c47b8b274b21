"""Every registered layer, activation, loss, optimizer and initializer keeps its contract."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import time
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from contract import (
    IN_SHAPES,
    LARGEST_LOGIT,
    RATES,
    VARIANTS,
    all_pairs,
    descend,
    fits,
    make,
    network_with,
    smooth_point,
    targets_for,
)
from tools.every_gradient import worst_of_block

from bpcli.engine import registry
from bpcli.engine.activations import Sigmoid, Softmax, Tanh
from bpcli.engine.arrays import Scratch
from bpcli.engine.initializers import Normal
from bpcli.engine.layers.dense import Dense
from bpcli.engine.losses.mse import MSE
from bpcli.engine.measure.gradcheck import check_gradients
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.objective import Objective
from bpcli.engine.protocols import Activation, LayerSpec, Loss
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import train

LAYERS = registry.layers.names()
ACTIVATIONS = registry.activations.names()
LOSSES = registry.losses.names()
OPTIMIZERS = registry.optimizers.names()
SEEDS = range(3)


def random_theta(network: Network, rng: np.random.Generator) -> np.ndarray:
    """Weights large enough that no gradient drowns in rounding."""
    return rng.normal(0.0, 0.7, network.layout.size)


def goes_together(names: Mapping[str, str]) -> bool:
    return fits(make(registry.losses, names["loss"]), make(registry.activations, names["output"]))


FACTORS = {
    "layer": LAYERS,
    "activation": ACTIVATIONS,
    "loss": LOSSES,
    "output": ACTIVATIONS,
    "reduction": ("mean", "sum"),
}
PAIRS = all_pairs(FACTORS, goes_together)


def check_combination(names: Mapping[str, str], seed: int) -> None:
    """Worst relative error of the gradients below 1e-6."""
    spec, in_shape = make(registry.layers, names["layer"]), IN_SHAPES.get(names["layer"], (5,))
    activation, output = (make(registry.activations, names[key]) for key in ("activation", "output"))
    loss = dataclasses.replace(make(registry.losses, names["loss"]), reduction=names["reduction"])
    check_parts(spec, in_shape, activation, loss, output, seed)


def check_parts(
    spec: LayerSpec, in_shape: tuple[int, ...], activation: Activation, loss: Loss, output: Activation, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    units, n = int(rng.integers(1 + isinstance(output, Softmax), 5)), int(rng.integers(2, 6))
    check, _ = smooth_point(network_with(spec, in_shape, activation, output, units), loss, n, rng)
    assert check.worst < 1e-6, check.where


@pytest.mark.parametrize(("seed", "names"), list(enumerate(PAIRS)), ids=["-".join(names.values()) for names in PAIRS])
def test_gradients_match_central_differences(seed: int, names: Mapping[str, str]) -> None:
    """In few combinations, in which each two parts that can go together do so at least once."""
    check_combination(names, seed)


@pytest.mark.long
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_match_central_differences_in_every_combination(layer: str, activation: str) -> None:
    """With every loss, and in turn with every output activation and reduction; 50 seeds each."""
    _, found = worst_of_block(layer, activation, seeds=50)
    assert found.worst < 1e-6, found.combination


def test_the_whole_product_names_the_combination_that_is_worst() -> None:
    count, found = worst_of_block("dense", "tanh", seeds=1)
    assert count == len(LOSSES)
    assert 0 < found.worst < 1e-6
    assert found.combination.startswith("dense, tanh, ")


@pytest.mark.parametrize(("kind", "name", "fields"), VARIANTS)
def test_gradients_match_central_differences_with_other_values_than_the_defaults(
    kind: str, name: str, fields: dict[str, Any]
) -> None:
    layer, in_shape, activation, loss = make(registry.layers, "dense"), (5,), Tanh(), MSE()
    outputs: list[Activation] = [Tanh()]
    if kind == "layer":
        layer, in_shape = registry.layers.get(name)(**fields), IN_SHAPES.get(name, (5,))
    elif kind == "activation":
        activation = registry.activations.get(name)(**fields)
        outputs.append(activation)
    else:
        loss = registry.losses.get(name)(**fields)
        outputs = [make(registry.activations, output) for output in ACTIVATIONS]
    for output, seed in itertools.product(outputs, SEEDS):
        if fits(loss, output):
            check_parts(layer, in_shape, activation, loss, output, seed)


def test_every_registered_part_is_in_a_gradient_check_with_every_other() -> None:
    found = {frozenset(pair) for names in PAIRS for pair in itertools.combinations(names.items(), 2)}
    for (first, ones), (second, others) in itertools.combinations(FACTORS.items(), 2):
        for one, other in itertools.product(ones, others):
            if {first, second} != {"loss", "output"} or goes_together({first: one, second: other}):
                assert {(first, one), (second, other)} in found


@pytest.mark.parametrize("loss_name", LOSSES)
def test_a_samples_weight_multiplies_its_loss_and_gradient(loss_name: str) -> None:
    """The scale may be one number for each sample, (N, 1)."""
    loss, rng = make(registry.losses, loss_name), np.random.default_rng(7)
    for name in ACTIVATIONS:
        output = make(registry.activations, name)
        if not fits(loss, output):
            continue
        z, weights = rng.normal(size=(5, 3)), rng.uniform(0.0, 2.0, size=(5, 1))
        y = targets_for(loss, output, 5, 3, rng)
        one, together = Objective(loss, output, 1, (3,), "float64"), Objective(loss, output, 5, (3,), "float64")
        total, deltas = 0.0, np.empty_like(z)
        for k in range(5):
            value, delta = one.value_and_delta(z[k : k + 1], y[k : k + 1], float(weights[k, 0]))
            total, deltas[k] = total + value, delta[0]
        value, delta = together.value_and_delta(z, y, weights)
        assert value == pytest.approx(total, rel=1e-12)
        np.testing.assert_allclose(delta, deltas, rtol=1e-12, atol=1e-15)


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
    large = LARGEST_LOGIT.get(loss_name, 1e4)
    z = np.array([[-large, large, 0.0], [large, -large, 5.0]], dtype)
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
    x, delta = rng.normal(size=(3, *network.in_shape)), rng.normal(size=(3, 2))
    found = []
    for _ in range(2):
        stack = network.bind(theta, grad, 3)  # anew, so that layers with noise draw the same
        stack.forward(x, training=True)
        stack.backward(delta.copy())
        found.append(grad.copy())
    assert np.isfinite(found[0]).all()
    assert np.array_equal(*found)


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
    theta, target = np.zeros(3), np.array([1.0, -2.0, 0.5])
    descend(optimizer, np.sqrt(2.0) * np.eye(3), target, theta, rate=RATES.get(name, 0.01), steps=5000)
    assert np.allclose(theta, target, atol=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer_never_moves_a_parameter_without_gradient_or_decay(name: str) -> None:
    optimizer = make(registry.optimizers, name)
    theta, target = np.array([3.0, -1.0]), np.array([0.0, -5.0])
    descend(optimizer, np.diag([0.0, 1.0]), target, theta, rate=0.1, steps=19)
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


def peak_of(work: Callable[[], object]) -> int:
    """Bytes allocated at most while it runs, for the second time."""
    with np.errstate(all="ignore"):
        work()
        tracemalloc.start()
        work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_makes_no_arrays_of_the_batchs_size(name: str) -> None:
    """At most some blocks of 8192 numbers, whatever the batch."""
    z, a, da = np.random.default_rng(0).normal(size=(3, 512, 512))
    scratch, part = Scratch.beside(z.shape, "float64"), make(registry.activations, name)
    assert peak_of(lambda: part.forward(z, a, scratch)) < 5 * 8192 * 8 < z.nbytes / 4
    assert peak_of(lambda: part.backward(da, z, a, scratch)) < 5 * 8192 * 8


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_makes_no_arrays_of_the_batchs_size(name: str) -> None:
    loss, rng = make(registry.losses, name), np.random.default_rng(0)
    weights = rng.uniform(size=(4096, 1))
    for activation in (make(registry.activations, key) for key in ("identity", "sigmoid", "softmax")):
        if fits(loss, activation):
            fused = loss.from_logits(activation) or loss
            output, d_output = rng.normal(size=(2, 4096, 20))
            target, scratch = np.eye(20)[rng.integers(20, size=4096)], Scratch.beside(output.shape, "float64")
            work = functools.partial(fused.value_and_grad, output, target, d_output, scratch, weights)
            assert peak_of(work) < 8192 * 8 + 20_000 < output.nbytes / 4


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
    reports = train(network, MSE(), optimizer, samples, state, TrainOptions(epochs=9, batch_size=128, shuffle=False))
    next(reports)
    next(reports)
    peaks = []
    tracemalloc.start()
    for _ in range(3):  # what other threads of the test runner make meanwhile is not in all of them
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        next(reports)
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
    tracemalloc.stop()
    assert min(peaks) < 8192 * 8 + 20_000 < 128 * width * 8


def test_the_work_of_a_network_grows_as_its_layers_do():
    """Names are looked up, not searched for: 8,000 layers took a minute before anything was trained."""

    def seconds(count: int) -> float:
        entries = [LayerEntry(spec=Dense(units=1), learning_rate_scale=0.5) for _ in range(count)]
        best = math.inf
        for _ in range(3):
            start = time.perf_counter()
            network = Network(entries, (1,))
            theta = network.initial_theta(np.random.default_rng(0), "float64")
            network.bind(theta, np.empty_like(theta), 1)
            assert network.rate_scale is not None
            best = min(best, time.perf_counter() - start)
        return best

    assert seconds(4000) < 25 * seconds(400)  # 100 times, where it grows with the square
