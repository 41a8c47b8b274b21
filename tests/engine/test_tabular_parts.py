"""What networks for tables are made of: rates by fan_in, biases, embeddings, and the last of equal epochs."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bpcli.engine import registry
from bpcli.engine.activations import ReLU
from bpcli.engine.initializers import HeUniform, LecunNormal, Normal, Uniform
from bpcli.engine.layers.batch_norm import BatchNorm
from bpcli.engine.layers.conv2d import Conv2d
from bpcli.engine.layers.dense import Dense
from bpcli.engine.layers.flatten import Flatten
from bpcli.engine.layers.parametric_activation import ParametricActivation
from bpcli.engine.layers.periodic_embedding import PeriodicEmbedding
from bpcli.engine.layers.scale import Scale
from bpcli.engine.losses.mse import MSE
from bpcli.engine.network import LayerEntry, LayerError, Network
from bpcli.engine.optimizers.adam import Adam
from bpcli.engine.optimizers.sgd import SGD
from bpcli.engine.training.options import EarlyStopping, TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import Validation, train

RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(20, 9)), RNG.normal(size=(20, 1))


def start(network: Network, seed: int = 0) -> dict[str, np.ndarray]:
    return network.layout.views(network.initial_theta(np.random.default_rng(seed), "float64"))


def test_with_inverse_sqrt_fan_in_adam_takes_the_steps_of_the_neural_tangent_parametrisation() -> None:
    """z = V x / 3 + b with V from N(0, 1), here by hand; eps alone acts on another scale, so it is next to nothing."""
    entry = LayerEntry(spec=Dense(units=1, init=LecunNormal()), learning_rate_scale="inverse_sqrt_fan_in")
    network, adam = Network([entry], (9,)), Adam(learning_rate=0.05, eps=1e-30)
    state = TrainState.start(network, adam, seed=0, dtype="float64")
    V, b = 3.0 * network.layout.views(state.theta)["dense_1.W"], np.zeros(1)
    moments = [np.zeros((2, *a.shape)) for a in (V, b)]
    for _ in train(network, MSE(), adam, Samples(X, Y), state, TrainOptions(epochs=10, batch_size=None)):
        delta = 2.0 * (X @ V.T / 3.0 + b - Y) / len(X)
        for a, g, (m, v) in zip((V, b), (delta.T @ X / 3.0, delta.sum(axis=0)), moments, strict=True):
            m[...], v[...] = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            a -= 0.05 * (m / (1 - 0.9**state.step)) / np.sqrt(v / (1 - 0.999**state.step))
    views = network.layout.views(state.theta)
    np.testing.assert_allclose(views["dense_1.W"], V / 3.0, rtol=1e-9)
    np.testing.assert_allclose(views["dense_1.b"], b, rtol=1e-9)


def test_weights_and_biases_have_a_rate_scale_each() -> None:
    entries = [
        LayerEntry(spec=Conv2d(filters=2, kernel=(3, 1)), learning_rate_scale="inverse_sqrt_fan_in"),
        LayerEntry(spec=Flatten()),
        LayerEntry(spec=Dense(units=1), learning_rate_scale=0.5),
        LayerEntry(spec=Dense(units=1), learning_rate_scale=0.5, bias_learning_rate_scale=0.1),
        LayerEntry(spec=Dense(units=1), learning_rate_scale="inverse_sqrt_fan_in", bias_learning_rate_scale=0.0),
    ]
    network = Network(entries, (3, 3, 4))
    assert network.rate_scale is not None
    found = {name: np.unique(view).tolist() for name, view in network.layout.views(network.rate_scale).items()}
    assert found == {
        "conv2d_1.W": [1.0 / 3.0],  # 3 channels x 3 rows
        "conv2d_1.b": [1.0],
        "dense_1.W": [0.5],
        "dense_1.b": [0.5],
        "dense_2.W": [0.5],
        "dense_2.b": [0.1],
        "dense_3.W": [1.0],
        "dense_3.b": [0.0],
    }


@pytest.mark.parametrize(
    ("entry", "key", "message"),
    [
        (LayerEntry(spec=Scale(), learning_rate_scale="inverse_sqrt_fan_in"), "learning_rate_scale", "fan_in"),
        (LayerEntry(spec=BatchNorm(), learning_rate_scale="inverse_sqrt_fan_in"), "learning_rate_scale", "fan_in"),
        (
            LayerEntry(spec=PeriodicEmbedding(), learning_rate_scale="inverse_sqrt_fan_in"),
            "learning_rate_scale",
            "fan_in",
        ),
        (LayerEntry(spec=Scale(), bias_learning_rate_scale=0.1), "bias_learning_rate_scale", "no biases"),
        (
            LayerEntry(spec=Dense(units=2, bias=False), bias_learning_rate_scale=0.1),
            "bias_learning_rate_scale",
            "no biases",
        ),
        (LayerEntry(spec=Flatten(), bias_learning_rate_scale=0.1), "bias_learning_rate_scale", "no biases"),
        (LayerEntry(spec=PeriodicEmbedding(columns=10)), "type", "columns is 10, but a row has 9"),
    ],
)
def test_a_setting_that_means_nothing_for_a_layer_is_an_error(entry: LayerEntry, key: str, message: str) -> None:
    with pytest.raises(LayerError, match=message) as caught:
        Network([entry, LayerEntry(spec=Dense(units=1))], (9,))
    assert (caught.value.index, caught.value.key) == (0, key)


def test_an_embedding_takes_rows_and_names_what_it_got() -> None:
    with pytest.raises(LayerError, match=r"rows of numbers, not inputs of shape \(2, 3, 4\)"):
        Network([LayerEntry(spec=PeriodicEmbedding())], (2, 3, 4))


def test_biases_are_drawn_by_their_initializer() -> None:
    units = 4000
    views = start(Network([LayerEntry(spec=Dense(units=units, bias_init=Normal(mean=2.0, std=1.0)))], (9,)))
    assert views["dense_1.b"].mean() == pytest.approx(2.0, abs=0.05)
    assert views["dense_1.b"].std() == pytest.approx(1.0, abs=0.05)
    assert len(np.unique(views["dense_1.b"])) == units


def test_an_initializer_of_biases_goes_by_the_fan_in_of_the_weights() -> None:
    views = start(Network([LayerEntry(spec=Conv2d(filters=2000, kernel=2, bias_init=HeUniform()))], (6, 2, 2)))
    assert 0.4995 < np.abs(views["conv2d_1.b"]).max() <= 0.5  # sqrt(6 / 24)


@pytest.mark.parametrize("layer", [Dense, lambda **keys: Conv2d(filters=1, kernel=1, **keys)])
def test_an_initializer_for_no_biases_is_an_error(layer) -> None:
    with pytest.raises(ValueError, match="bias_init: with bias: false there are no biases"):
        layer(**({"units": 1} if layer is Dense else {}), bias=False, bias_init=Uniform())


def test_weights_are_the_same_with_and_without_an_initializer_of_biases() -> None:
    with_init, without = (
        start(Network([LayerEntry(spec=Dense(units=3, bias_init=init))], (9,))) for init in (Normal(), None)
    )
    assert np.array_equal(with_init["dense_1.W"], without["dense_1.W"])
    assert not without["dense_1.b"].any()


def forward(network: Network, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    return network.bind(theta, np.empty_like(theta), len(x)).forward(x)


@pytest.mark.parametrize("spec", [Scale(), ParametricActivation(function=ReLU())])
def test_a_factor_starts_at_one(spec: Scale | ParametricActivation) -> None:
    network = Network([LayerEntry(spec=spec)], (9,))
    expected = X if isinstance(spec, Scale) else np.maximum(X, 0.0)
    np.testing.assert_allclose(forward(network, network.initial_theta(RNG, "float64"), X), expected, rtol=1e-15)


def test_a_parametric_activation_is_linear_at_zero() -> None:
    network = Network([LayerEntry(spec=ParametricActivation(function=ReLU()))], (9,))
    assert np.array_equal(forward(network, np.zeros(9), X), X)


def test_an_embedding_starts_as_its_docstring_says() -> None:
    spec = PeriodicEmbedding(columns=1000, frequencies=25, sigma=0.5)
    views = start(Network([LayerEntry(spec=spec)], (1003,)))
    frequency, phase, W, b = (views[f"periodic_embedding_1.{name}"] for name in ("frequency", "phase", "W", "b"))
    assert frequency.std() == pytest.approx(0.5, rel=0.02)
    assert 0.999 * math.pi < np.abs(phase).max() <= math.pi
    assert W.shape == (1000, 3, 25)
    assert 0.199 < np.abs(W).max() <= 0.2
    assert 0.19 < np.abs(b).max() <= 0.2


def test_an_embedding_computes_its_equation_and_passes_the_inputs_on() -> None:
    network = Network([LayerEntry(spec=PeriodicEmbedding(columns=2, frequencies=3, units=3))], (9,))
    theta = RNG.normal(size=network.layout.size)
    w, p, W, b = network.layout.views(theta).values()
    expected = [W[f, j] @ np.cos(2 * math.pi * w[f] * X[0, f] + p[f]) + b[f, j] for f in range(2) for j in range(2)]
    np.testing.assert_allclose(forward(network, theta, X)[0], [*expected, *X[0]], rtol=1e-13)


# --- The best of several epochs -----------------------------------------------------------------------------------

VALUES = [3.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]  # epochs 2, 4 and 6 are the best ones


def best_epoch(stopping: EarlyStopping, *, higher: bool = False) -> tuple[int, int, str | None]:
    """(the best epoch, the last one, why training stopped) where the metric `m` takes VALUES."""
    network, optimizer = Network([LayerEntry(spec=Dense(units=1))], (9,)), SGD(learning_rate=0.01)
    state = TrainState.start(network, optimizer, seed=0, dtype="float64")
    values = iter(VALUES)
    validation = Validation(
        Samples(X, Y),
        {"m": lambda output: next(values) * (-1.0 if higher else 1.0)},
        frozenset({"m"} if higher else ()),
    )
    options = TrainOptions(epochs=len(VALUES), early_stopping=stopping)
    reports = list(train(network, MSE(), optimizer, Samples(X, Y), state, options, validation=validation))
    assert state.best is not None
    return state.best.epoch, state.epoch, reports[-1].stop


@pytest.mark.parametrize("higher", [False, True])
@pytest.mark.parametrize(("ties", "epoch"), [("first", 2), ("last", 6)])
def test_ties_says_which_of_equal_epochs_is_the_best(ties, epoch: int, higher: bool) -> None:
    stopping = EarlyStopping(monitor="m", patience=None, ties=ties)
    assert best_epoch(stopping, higher=higher) == (epoch, len(VALUES), "epochs")


def test_without_a_patience_training_never_stops_early() -> None:
    assert best_epoch(EarlyStopping(monitor="m", patience=2)) == (2, 4, "early_stopping")
    assert best_epoch(EarlyStopping(monitor="m", patience=None)) == (2, len(VALUES), "epochs")


def test_a_tie_does_not_prolong_the_training() -> None:
    assert best_epoch(EarlyStopping(monitor="m", patience=3, ties="last")) == (4, 5, "early_stopping")


def test_the_recipes_names_are_those_of_the_registries() -> None:
    for name in ("scale", "periodic_embedding", "parametric_activation"):
        assert name in registry.layers
    assert registry.schedules.nearest("coslog4") == "coslog"
    assert registry.layers.nearest("pbld") == "periodic_embedding"
