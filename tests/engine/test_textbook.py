"""Numbers that textbooks print, reproduced to 1e-9 in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bpcli.build.session import open_session
from bpcli.config.load import load_config
from bpcli.engine.activations import Sigmoid
from bpcli.engine.arrays import Scratch
from bpcli.engine.layers.dense import Dense
from bpcli.engine.measure.trace import StepTrace
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.training.evaluation import predict
from bpcli.engine.training.options import iterations_per_epoch
from bpcli.workflows.step import first_steps

CONFIGS = Path(__file__).parents[2] / "configs"


def close(value: object, expected: object) -> bool:
    return bool(np.abs(np.asarray(value) - np.asarray(expected)).max() < 1e-9)


@pytest.fixture(scope="module")
def step() -> StepTrace:
    return first_steps(open_session(load_config(CONFIGS / "textbook-2-2-2.yaml"))).traces[0]


@pytest.mark.parametrize(
    ("layer", "quantity", "expected"),
    [
        (0, "z", [[0.3775, 0.3925]]),
        (0, "a", [[0.593269992107, 0.596884378260]]),
        (1, "z", [[1.105905967060, 1.224921404096]]),
        (1, "a", [[0.751365069552, 0.772928465321]]),
        (1, "delta", [[0.138498561629, -0.038098236517]]),
        (0, "delta", [[0.008771354689, 0.009954254705]]),
    ],
)
def test_2_2_2_forward_and_deltas(step: StepTrace, layer: int, quantity: str, expected: list[list[float]]) -> None:
    assert close(getattr(step.layers[layer], quantity), expected)


@pytest.mark.parametrize(
    ("layer", "name", "expected"),
    [
        (1, "W", [[0.082167040564, 0.082667627848], [-0.022602540477, -0.022740242216]]),
        (1, "b", [0.138498561629, -0.038098236517]),
        (0, "W", [[0.000438567734, 0.000877135469], [0.000497712735, 0.000995425471]]),
        (0, "b", [0.008771354689, 0.009954254705]),
    ],
)
def test_2_2_2_gradients(step: StepTrace, layer: int, name: str, expected: list[float]) -> None:
    assert close(step.layers[layer].grads[name], expected)


@pytest.mark.parametrize(
    ("layer", "name", "expected"),
    [
        (1, "W", [[0.358916479718, 0.408666186076], [0.511301270239, 0.561370121108]]),
        (1, "b", [0.530750719186, 0.619049118258]),
        (0, "W", [[0.149780716133, 0.199561432266], [0.249751143632, 0.299502287265]]),
        (0, "b", [0.345614322655, 0.345022872647]),
    ],
)
def test_2_2_2_weights_after_the_step(step: StepTrace, layer: int, name: str, expected: list[float]) -> None:
    assert close(step.layers[layer].after[name], expected)


def test_2_2_2_loss_before_and_after(step: StepTrace) -> None:
    assert close(step.loss, 0.298371108760)
    assert close(step.loss_after, 0.280471446791)


def test_2_2_2_training_takes_the_very_step_that_is_shown(step: StepTrace) -> None:
    session = open_session(load_config(CONFIGS / "textbook-2-2-2.yaml"))
    state = session.start()
    list(session.train(state))
    views = session.model.network.layout.views(state.theta)
    for layer in step.layers:
        for name, value in layer.after.items():
            assert np.array_equal(views[f"{layer.name}.{name}"], value)


@pytest.mark.parametrize("setting", ["training.clip_norm=0.01", "optimizer={type: adam, learning_rate: 0.1}"])
def test_the_step_shown_is_the_one_trained_with_any_setting(setting: str) -> None:
    file = load_config(CONFIGS / "textbook-2-2-2.yaml", [setting])
    trace, session = first_steps(open_session(file)).traces[0], open_session(file)
    state = session.start()
    list(session.train(state))
    views = session.model.network.layout.views(state.theta)
    assert all(np.array_equal(views[f"{layer.name}.W"], layer.after["W"]) for layer in trace.layers)


WEIGHED = """
data: {train: rows.csv, target: y%s}
network: {layers: [{type: dense, units: 4, activation: tanh}, {type: dropout, rate: 0.5}, {type: dense, units: 1}]}
loss: log_likelihood
optimizer: {type: sgd, learning_rate: 0.5}
training: {epochs: 1, batch_size: full, shards: %s}
"""


@pytest.mark.parametrize("shards", ["auto", 3])
@pytest.mark.parametrize("weights", ["", ", sample_weight: w", ", class_weights: {no: 3, yes: 0.5}"])
def test_the_step_shown_is_the_one_trained_with_weights_of_samples_and_in_shards(weights: str, shards: object) -> None:
    Path("rows.csv").write_text("a,b,w,y\n1,0,1,no\n2,1,3,yes\n0,2,0.5,no\n1,1,2,yes\n2,0,0,no\n")
    Path("c.yaml").write_text(WEIGHED % (weights, shards))
    session = open_session(load_config("c.yaml"))
    trace, state = first_steps(session).traces[0], session.start()
    (report,) = session.train(state)
    views = session.model.network.layout.views(state.theta)
    dense = [layer for layer in trace.layers if layer.after]
    assert all(np.array_equal(views[f"{layer.name}.{key}"], layer.after[key]) for layer in dense for key in "Wb")
    assert (trace.loss, trace.finite) == (report.train_loss, True)


def test_iterations_per_epoch() -> None:
    assert iterations_per_epoch(50000, 256) == 196
    assert iterations_per_epoch(50000, 256, drop_last=True) == 195
    assert iterations_per_epoch(50000, 50000) == 1
    assert iterations_per_epoch(50000, 1) == 50000


def test_parameters_of_784_30_10() -> None:
    network = Network([LayerEntry(spec=Dense(units=30)), LayerEntry(spec=Dense(units=10))], (784,))
    assert network.layout.size == 23_860


def test_parameters_of_one_hidden_layer() -> None:
    """(d + l + 1) q + l weights and thresholds for d inputs, q hidden neurons, l outputs."""
    d, q, outputs = 7, 5, 3
    network = Network([LayerEntry(spec=Dense(units=q)), LayerEntry(spec=Dense(units=outputs))], (d,))
    assert network.layout.size == (d + outputs + 1) * q + outputs


@pytest.mark.parametrize("seed", range(20))
def test_3_5_1_without_biases_comes_within_three_hundredths(seed: int) -> None:
    session = open_session(load_config(CONFIGS / "xor-bias-free.yaml", [f"seed={seed}"]))
    state = session.start()
    list(session.train(state))
    x = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1.0]])
    output = predict(session.model.network, state.theta, x)
    error = output - np.array([[0.0], [1.0], [1.0], [0.0]])
    assert np.abs(error).max() < 0.03
    assert 0.5 * (error**2).sum() < 0.001


def test_the_chain_rule_on_a_single_node() -> None:
    """f = 1 / (1 + exp(-(w x + b))) at x = 1, w = b = 0: f = 0.5 and df/dw = df/db = 0.25."""
    network = Network([LayerEntry(spec=Dense(units=1), activation=Sigmoid())], (1,))
    theta, grad = np.zeros(2), np.empty(2)
    stack, scratch = network.bind(theta, grad, 1), Scratch.beside((1, 1), "float64")
    z = stack.forward(np.array([[1.0]]))
    f, df = np.empty((1, 1)), np.ones((1, 1))
    Sigmoid().forward(z, f, scratch)
    Sigmoid().backward(df, z, f, scratch)
    stack.backward(df)
    assert f[0, 0] == 0.5
    assert np.array_equal(grad, [0.25, 0.25])
