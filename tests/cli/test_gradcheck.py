"""bpcli gradcheck: gradients by back-propagation against numerical ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bpcli.engine.activations import Tanh
from bpcli.engine.layers import avg_pool2d, batch_norm, conv2d, dense, layer_norm, max_pool2d, prelu, scale
from bpcli.engine.protocols import ParamSpec
from bpcli.engine.registry import layers, part_of

IMAGES = """
data: {train: {x: x.npy, y: y.npy}, task: classification}
network:
  layers:
    - {type: conv2d, filters: 2, kernel: 3, activation: relu}
    - {type: avg_pool2d, size: 2, stride: 1}
    - {type: max_pool2d, size: 2, stride: 1}
    - {type: batch_norm}
    - {type: prelu}
    - {type: dropout, rate: 0.3}
    - {type: flatten}
    - {type: layer_norm}
    - {type: scale}
    - {type: dense, units: 3, activation: softmax}
loss: log_likelihood
optimizer: {type: sgd, weight_decay: 0.1, l1: 0.01}
training: {epochs: 1, batch_size: 8}
"""


@pytest.fixture
def images() -> Path:
    """A config with most of the layers, on 12 random images of 3 classes."""
    rng = np.random.default_rng(3)
    np.save("x.npy", rng.normal(size=(12, 1, 7, 7)))
    np.save("y.npy", np.arange(12) % 3)
    path = Path("images.yaml")
    path.write_text(IMAGES)
    return path


def checked(result) -> dict[str, dict]:
    return {f"{row['layer']}.{row['parameter']}": row for row in json.loads(result.out)["parameters"]}


@pytest.mark.parametrize(
    "example", ["textbook-2-2-2", "xor", "xor-bias-free", "iris", "diabetes", "diabetes-lm", "digits-batch-norm"]
)
def test_the_gradients_of_the_examples_pass(ok, configs, example):
    result = ok("gradcheck", configs / f"{example}.yaml", "--samples", 8)
    assert result.out.endswith("\npassed\n")


def test_layers_of_images_noise_and_penalties_pass_in_float64_whatever_the_dtype(ok, images):
    values = json.loads(ok("gradcheck", images, "--json").out)
    assert values["passed"] is True
    assert values["samples"] == 8
    assert all(row["worst_error"] < 1e-6 for row in values["parameters"])


def test_a_large_array_is_sampled_and_the_seed_draws_the_places(ok, images):
    rows = [row.split() for row in ok("gradcheck", images, "--samples", 5).out.splitlines()]
    assert ["dense_1", "W", "5", "of", "54"] in [row[:5] for row in rows]
    first, again, other = (
        checked(ok("gradcheck", images, "--samples", 5, "--seed", seed, "--json"))["dense_1.W"]["index"]
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_text_names_the_place_and_both_values(ok, configs):
    row = checked(ok("gradcheck", configs / "textbook-2-2-2.yaml", "--json"))["dense_2.W"]
    line = next(
        line for line in ok("gradcheck", configs / "textbook-2-2-2.yaml").out.splitlines() if "dense_2  W" in line
    )
    assert f"[{row['index'][0]}, {row['index'][1]}]" in line
    assert f"{row['back_propagation']:.9g}" in line


def test_weights_of_samples_and_the_penalty_belong_to_the_loss(ok, write_config):
    # L = (1 (1 - 0)^2 + 3 (2 - 1)^2) / 2 + 0.5 / 2 * 1^2 = 2.25; dL/dw = 7 + 0.5; weights are moved by about 0.001
    Path("rows.csv").write_text("x,wt,y\n1,1,0\n2,3,1\n")
    unit = {"type": "dense", "units": 1, "weights": [[1.0]], "biases": [0.0]}
    path = write_config(
        {
            "data": {"train": "rows.csv", "target": "y", "sample_weight": "wt", "task": "regression"},
            "network": {"layers": [unit]},
            "optimizer": {"type": "sgd", "weight_decay": 0.5},
            "training": {"epochs": 1, "batch_size": "full"},
        }
    )
    result = ok("gradcheck", path, "--json")
    assert json.loads(result.out)["loss"] == pytest.approx(2.25, abs=0.05)
    assert checked(result)["dense_1.W"]["difference"] == pytest.approx(7.5, abs=0.1)


def test_a_run_is_checked_at_its_trained_weights(ok, cli, configs):
    ok("train", configs / "iris.yaml", "--set", "training.epochs=2", "--out", "run")
    results = [ok("gradcheck", "run", *more, "--json") for more in ((), ("--checkpoint", "last"))]
    assert all(json.loads(result.out)["passed"] for result in results)
    assert cli("gradcheck", "run", "--set", "seed=1").code == 2
    assert cli("gradcheck", configs / "iris.yaml", "--checkpoint", "last").code == 2


def test_zeros_at_the_kink_of_relu_are_no_error(ok, write_config):
    Path("rows.csv").write_text("x,y\n0,1\n0,2\n")
    layers = [{"type": "dense", "units": 3, "activation": "relu"}, {"type": "dense", "units": 1}]
    data = {"train": "rows.csv", "target": "y", "task": "regression", "scale": "none"}
    ok("gradcheck", write_config({"data": data, "network": {"layers": layers}, "training": {"epochs": 1}}))


class ToyLayer:
    """y = W x, with a backward that forgets a factor of 2 at one place of W."""

    def __init__(self, bindings):
        self.W, self.dW = bindings.params["W"], bindings.grads["W"]

    def forward(self, x, training):
        self.x = x
        return x * self.W

    def backward(self, dy):
        self.dW[...] = (dy * self.x).sum(axis=0)
        self.dW[1] *= 0.5
        return dy * self.W


@pytest.fixture
def toy(monkeypatch):
    """The toy layer, registered under the name `toy`."""
    for name, value in vars(layers).items():
        if isinstance(value, dict):
            monkeypatch.setattr(layers, name, dict(value))

    @part_of(layers, "toy")
    class Toy:
        """y = W x."""

        traits = frozenset()

        def out_shape(self, in_shape):
            return in_shape

        def param_specs(self, in_shape):
            from bpcli.engine.initializers import Ones

            return {"W": ParamSpec(in_shape, Ones())}

        def build(self, bindings):
            return ToyLayer(bindings)

    return Toy


def test_a_wrong_backward_of_a_registered_layer_fails_with_its_place(toy):
    from bpcli.engine.layers.dense import Dense
    from bpcli.engine.losses.mse import MSE
    from bpcli.engine.measure.gradcheck import LossAt, check_arrays
    from bpcli.engine.network import LayerEntry, Network

    entries = [LayerEntry(spec=toy(), activation=Tanh()), LayerEntry(spec=Dense(units=1))]
    network, rng = Network(entries, (3,)), np.random.default_rng(0)
    theta, x, y = rng.normal(size=network.layout.size), rng.normal(size=(4, 3)), rng.normal(size=(4, 1))
    found = {array.name: array for array in check_arrays(LossAt(network, MSE(), theta, x, y), 50, rng)}
    assert {name: array.passed for name, array in found.items()} == {
        "toy_1.W": False,
        "dense_1.W": True,
        "dense_1.b": True,
    }
    assert found["toy_1.W"].index == (1,)
    assert found["toy_1.W"].analytic == pytest.approx(found["toy_1.W"].numeric / 2)


def off_by_a_thousandth(layer, name):
    """The layer's backward, with one gradient or the dx that it returns larger by a thousandth."""
    backward = layer.backward

    def wrong(self, dy):
        dx = backward(self, dy)
        if name == "dx":
            return dx * 1.001
        getattr(self, name)[...] *= 1.001
        return dx

    return wrong


@pytest.mark.parametrize(
    ("layer", "name", "blamed"),
    [
        (dense.DenseLayer, "dW", "dense_1.W"),
        (dense.DenseLayer, "db", "dense_1.b"),
        (dense.DenseLayer, "dx", "scale_1.W"),
        (conv2d.Conv2dLayer, "dW", "conv2d_1.W"),
        (conv2d.Conv2dLayer, "db", "conv2d_1.b"),
        (batch_norm.BatchNormLayer, "dW", "batch_norm_1.W"),
        (batch_norm.BatchNormLayer, "dx", "conv2d_1.W"),
        (layer_norm.LayerNormLayer, "dW", "layer_norm_1.W"),
        (layer_norm.LayerNormLayer, "dx", "prelu_1.slope"),
        (prelu.PReLULayer, "dslope", "prelu_1.slope"),
        (scale.ScaleLayer, "dW", "scale_1.W"),
        (max_pool2d.MaxPool2dLayer, "dx", "conv2d_1.W"),
        (avg_pool2d.AvgPool2dLayer, "dx", "conv2d_1.W"),
    ],
)
def test_a_gradient_made_wrong_on_purpose_fails_with_exit_code_8(cli, images, monkeypatch, layer, name, blamed):
    monkeypatch.setattr(layer, "backward", off_by_a_thousandth(layer, name))
    result = cli("gradcheck", images, "--samples", 10)
    assert result.code == 8
    assert blamed in result.err
    assert "WRONG" in result.out
