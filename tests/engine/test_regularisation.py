"""What the layers do that behave otherwise in training than in evaluation."""

from __future__ import annotations

import numpy as np
import pytest

from bpcli.engine.activations import Identity
from bpcli.engine.layers.batch_norm import BatchNorm
from bpcli.engine.layers.dense import Dense
from bpcli.engine.layers.dropout import Dropout
from bpcli.engine.layers.gaussian_noise import GaussianNoise
from bpcli.engine.losses.mse import MSE
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.optimizers.sgd import SGD
from bpcli.engine.protocols import LayerSpec
from bpcli.engine.training.evaluation import predict
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import train


def forward(spec: LayerSpec, x: np.ndarray, *, training: bool, seed: int = 0) -> np.ndarray:
    network = Network([LayerEntry(spec=spec, activation=Identity())], x.shape[1:])
    theta = network.initial_theta(np.random.default_rng(0), x.dtype.name)
    noise = np.random.default_rng(seed)
    stack = network.bind(theta, np.empty_like(theta), len(x), noise=noise)
    return np.array(stack.forward(x, training))


X = np.random.default_rng(1).normal(2.0, 3.0, size=(2000, 20))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_drops_its_share_and_keeps_the_mean(dtype: str) -> None:
    y = forward(Dropout(rate=0.3), np.ones((2000, 20), dtype), training=True)
    assert (y == 0).mean() == pytest.approx(0.3, abs=0.01)
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)


def test_dropout_draws_a_new_mask_for_each_batch_and_repeats_with_the_seed() -> None:
    assert not np.array_equal(forward(Dropout(), X, training=True), forward(Dropout(), X, training=True, seed=1))
    assert np.array_equal(forward(Dropout(), X, training=True), forward(Dropout(), X, training=True))


def test_gaussian_noise_has_its_deviation() -> None:
    noise = forward(GaussianNoise(std=0.5), X, training=True) - X
    assert noise.std() == pytest.approx(0.5, rel=0.02)
    assert abs(noise.mean()) < 0.01


@pytest.mark.parametrize("spec", [Dropout(rate=0.9), GaussianNoise(std=9.0)], ids=["dropout", "gaussian_noise"])
def test_noise_is_added_only_in_training(spec: LayerSpec) -> None:
    assert np.array_equal(forward(spec, X, training=False), X)


@pytest.mark.parametrize("shape", [(200, 3), (50, 3, 4, 5)], ids=["dense", "images"])
def test_batch_norm_brings_each_channel_to_mean_0_and_deviation_1(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(2).normal(5.0, 2.0, size=shape)
    y = forward(BatchNorm(eps=1e-12), x, training=True)
    axes = (0, *range(2, len(shape)))
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=axes), 1, rtol=1e-9)


def test_batch_norm_keeps_running_averages_as_worked_by_hand() -> None:
    """One batch (1, 3), momentum 0.1: mean 2, unbiased variance 2: running 0.9 * 0 + 0.1 * 2 and 0.9 * 1 + 0.1 * 2."""
    network = Network([LayerEntry(spec=BatchNorm())], (1,))
    theta, stats = network.initial_theta(np.random.default_rng(0), "float64"), network.initial_stats("float64")
    network.bind(theta, np.empty_like(theta), 2, stats=stats).forward(np.array([[1.0], [3.0]]), training=True)
    views = network.stats_layout.views(stats)
    np.testing.assert_allclose(views["batch_norm_1.running_mean"], [0.2], rtol=1e-12)
    np.testing.assert_allclose(views["batch_norm_1.running_var"], [1.1], rtol=1e-12)


def test_batch_norm_evaluates_each_sample_on_its_own() -> None:
    """By the running averages: a sample's output does not depend on who else is in the batch."""
    network = Network(
        [LayerEntry(spec=Dense(units=4)), LayerEntry(spec=BatchNorm()), LayerEntry(spec=Dense(units=1))], (20,)
    )
    state = TrainState.start(network, SGD(), seed=0, dtype="float64")
    list(train(network, MSE(), SGD(learning_rate=0.01), Samples(X, X[:, :1]), state, TrainOptions(epochs=2)))
    together = predict(network, state.theta, X, stats=state.stats)
    alone = predict(network, state.theta, X[:1], stats=state.stats)
    np.testing.assert_allclose(together[:1], alone, rtol=1e-12)


def test_running_averages_are_seen_by_no_optimizer() -> None:
    network = Network([LayerEntry(spec=BatchNorm())], (4,))
    assert network.layout.size == 8
    assert network.stats_layout.size == 8


def test_dropout_gives_the_same_bits_on_any_number_of_threads() -> None:
    network = Network(
        [LayerEntry(spec=Dense(units=8)), LayerEntry(spec=Dropout()), LayerEntry(spec=Dense(units=1))], (20,)
    )
    thetas = []
    for threads in (1, 2):
        state = TrainState.start(network, SGD(), seed=0, dtype="float64", shards=2)
        options = TrainOptions(epochs=2, shards=2, threads=threads)
        list(train(network, MSE(), SGD(learning_rate=0.01), Samples(X, X[:, :1]), state, options))
        thetas.append(state.theta.tobytes())
    assert thetas[0] == thetas[1]
