"""Values that are not finite: found within the step, before they can be saved, and named by their layer."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from bpcli.engine import registry
from bpcli.engine.activations import Identity, ReLU, Sigmoid
from bpcli.engine.layers.batch_norm import BatchNorm
from bpcli.engine.layers.conv2d import Conv2d
from bpcli.engine.layers.dense import Dense
from bpcli.engine.layers.dropout import Dropout
from bpcli.engine.layers.flatten import Flatten
from bpcli.engine.layers.layer_norm import LayerNorm
from bpcli.engine.layers.prelu import PReLU
from bpcli.engine.losses.mse import MSE
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.optimizers.sgd import SGD
from bpcli.engine.training.divergence import is_finite
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import Validation, train
from bpcli.errors import DivergenceError

FIRST_ORDER = [name for name in registry.optimizers.names() if hasattr(registry.optimizers.get(name), "step")]
FULL_BATCH = [name for name in registry.optimizers.names() if hasattr(registry.optimizers.get(name), "iterate")]


def stack(*layers, activation=None, in_shape=(2,)):
    return Network(
        [LayerEntry(spec=spec, activation=activation) for spec in layers[:-1]] + [LayerEntry(spec=layers[-1])], in_shape
    )


def images():
    """A network with parameters of every kind."""
    spec = [
        Conv2d(filters=2, kernel=3),
        BatchNorm(),
        PReLU(),
        Flatten(),
        LayerNorm(),
        Dropout(rate=0.5),
        Dense(units=1),
    ]
    return stack(*spec, in_shape=(1, 5, 5))


def data(network, n=8, scale=1.0):
    rng = np.random.default_rng(3)
    return Samples(scale * rng.normal(size=(n, *network.in_shape)), rng.uniform(0.2, 0.8, size=(n, *network.out_shape)))


def diverging(
    network, *, loss=None, optimizer=None, samples=None, dtype="float32", state=None, validation=None, **options
):
    """The message of the error that training ends with, and the reports before it."""
    optimizer = optimizer or SGD(learning_rate=0.1)
    state = state or TrainState.start(network, optimizer, seed=0, dtype=dtype)
    options = TrainOptions(**{"epochs": 3, "batch_size": 4, **options})
    samples = samples or data(network)
    training = train(network, loss or MSE(), optimizer, samples, state, options, validation=validation)
    reports = []

    def take_all():
        for report in training:
            reports.append(report)
            assert is_finite(state.theta)
            assert is_finite(state.stats)

    with pytest.raises(DivergenceError) as caught, np.errstate(all="ignore"):  # as bpcli.workflows.train does
        take_all()
    return str(caught.value), reports


def poisoned(network, name, value, dtype="float32", optimizer=None):
    """A first state with one value put into the parameter of that name."""
    state = TrainState.start(network, optimizer or SGD(), seed=0, dtype=dtype)
    views = network.layout.views(state.theta) | network.stats_layout.views(state.stats)
    views[name].flat[-1] = value
    return state


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("name", [*images().layout.specs, *images().stats_layout.specs])
def test_weights_that_are_not_finite_are_named_before_the_first_iteration(name, value):
    text, reports = diverging(images(), state=poisoned(images(), name, value))
    layer, parameter = name.split(".")
    named = {"W": "weights", "b": "biases"}.get(parameter, parameter)
    assert f"diverged before the first iteration: the {named} of layer {layer}: a value is not finite" in text
    assert reports == []


@pytest.mark.parametrize("name", FULL_BATCH)
def test_full_batch_methods_look_at_the_weights_they_start_from(name):
    network, optimizer = stack(Dense(units=3), Dense(units=1), activation=Sigmoid()), registry.optimizers.get(name)()
    state = poisoned(network, "dense_2.W", np.nan, optimizer=optimizer)
    text, _ = diverging(network, optimizer=optimizer, state=state, batch_size=None)
    assert "before the first iteration: the weights of layer dense_2" in text
    assert "learning_rate" not in text


def test_a_start_state_that_is_not_finite_is_reported_at_its_epoch_and_iteration():
    state = dataclasses.replace(poisoned(images(), "dense_1.b", np.nan), epoch=2, step=4)
    assert "in epoch 2, iteration 4: the biases of layer dense_1" in diverging(images(), state=state)[0]


@pytest.mark.parametrize(("dtype", "rate"), [("float32", 1e30), ("float64", 1e200)])
@pytest.mark.parametrize("activation", [Sigmoid(), ReLU()], ids=["sigmoid", "relu"])
@pytest.mark.parametrize("name", FIRST_ORDER)
def test_weights_that_overflow_are_found_in_the_very_step(name, activation, dtype, rate):
    """Also behind a sigmoid, which turns any weight into outputs and gradients that are finite."""
    more = {"max_step": rate} if name == "rprop" else {}
    optimizer = registry.optimizers.get(name)(learning_rate=rate, **more)
    network = Network([LayerEntry(spec=Dense(units=units), activation=activation) for units in (3, 1)], (2,))
    text, _ = diverging(network, optimizer=optimizer, dtype=dtype)
    assert "in epoch 1, iteration 1: the " in text
    assert re.search(
        rf"of layer dense_[12]: a value (has grown to [\d.e+]+, too large for {dtype}|is not finite)\.", text
    )
    assert f"a lower optimizer.learning_rate (it was {rate:g})" in text


def test_weights_that_weight_decay_makes_overflow_are_found_by_the_end_of_the_epoch():
    network = stack(Dense(units=3), Dense(units=1), activation=Sigmoid())
    network = Network([*network.entries[:-1], LayerEntry(spec=Dense(units=1), activation=Sigmoid())], (2,))
    text, reports = diverging(network, optimizer=SGD(learning_rate=1.0, weight_decay=1e3), epochs=50)
    assert "the weights of layer dense_" in text
    assert all(np.isfinite(report.train_loss) for report in reports)


@pytest.mark.parametrize("name", registry.losses.names())
def test_an_output_that_overflows_is_named_whatever_the_loss(name):
    loss, activation = registry.losses.get(name)(), Identity()
    try:
        loss.from_logits(activation)
    except ValueError:
        activation = Sigmoid()
    network = Network(
        [LayerEntry(spec=Dense(units=3), activation=ReLU()), LayerEntry(spec=Dense(units=1), activation=activation)],
        (2,),
    )
    samples = Samples(np.full((4, 2), 1e30), np.ones((4, 1)))
    state = poisoned(network, "dense_1.W", 1e15)
    text, _ = diverging(network, loss=loss, samples=samples, state=state)
    assert "in epoch 1, iteration 1: the output of layer dense_1 is not finite" in text


def test_a_loss_that_overflows_behind_finite_outputs_is_named():
    text, _ = diverging(stack(Dense(units=1)), samples=Samples(np.full((4, 2), 1e25), np.ones((4, 1))))
    assert "in epoch 1, iteration 1: the loss at the output of layer dense_1 is not finite" in text


def test_a_gradient_that_overflows_behind_a_finite_loss_is_named():
    network = stack(Dense(units=3), Dense(units=1), activation=Sigmoid())
    samples = Samples(np.full((4, 2), 1e25) * [[1], [-1], [1], [-1]], np.ones((4, 1)))
    state = TrainState.start(network, SGD(), seed=0, dtype="float32")
    network.layout.views(state.theta)["dense_1.W"][...] = 1e-25
    text, _ = diverging(network, samples=samples, state=state)
    assert "in epoch 1, iteration 1: the gradient of layer dense_1 has grown to " in text


def test_the_step_within_an_epoch_is_named():
    x = np.ones((12, 2))
    x[8:] = 1e25
    text, _ = diverging(stack(Dense(units=1)), samples=Samples(x, np.ones((12, 1))), shuffle=False)
    assert "in epoch 1, iteration 3: the loss" in text


def test_a_validation_loss_that_is_not_finite_is_divergence_too():
    network = stack(Dense(units=1))
    validation = Validation(Samples(np.full((4, 2), 1e25), np.ones((4, 1))))
    text, reports = diverging(network, validation=validation)
    assert "in epoch 1, iteration 2: the validation loss of the epoch is not finite" in text
    assert reports == []


def test_large_finite_numbers_are_not_taken_for_divergence():
    network = stack(Dense(units=1))
    state = TrainState.start(network, SGD(), seed=0, dtype="float64")
    samples = Samples(np.full((4, 2), 1e20), np.ones((4, 1)))
    options = TrainOptions(epochs=2, batch_size=4, clip_norm=1.0)
    assert [report.stop for report in train(network, MSE(), SGD(), samples, state, options)] == [None, "epochs"]


@pytest.mark.parametrize("clip_norm", [1e-308, 1e308])
def test_a_clip_norm_whose_square_is_out_of_range_works_like_any_other(clip_norm):
    network = stack(Dense(units=1))
    state = TrainState.start(network, SGD(), seed=0, dtype="float64")
    before = state.theta.copy()
    samples = Samples(np.ones((4, 2)), np.ones((4, 1)))
    options = TrainOptions(epochs=1, batch_size=4, clip_norm=clip_norm)
    assert [report.stop for report in train(network, MSE(), SGD(), samples, state, options)] == ["epochs"]
    assert np.allclose(state.theta, before, atol=1e-300) == (clip_norm < 1)
