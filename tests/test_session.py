"""The composition: a config and its data become a network, or an error that names the line and the way out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from bpcli.build.session import Session, check_alone, open_session
from bpcli.config.load import load_config
from bpcli.engine import registry
from bpcli.errors import BpcliError, ConfigError, DataError

TWO_CLASSES = "a,b,label\n" + "".join(f"{i},{i % 3},{'yes' if i % 2 else 'no'}\n" for i in range(12))
NUMBERS = "a,b,y\n" + "".join(f"{i},{i % 3},{i * 0.37}\n" for i in range(30))
THREE_CLASSES = "a,b,kind\n" + "".join(f"{i},{i % 5},{'xyz'[i % 3]}\n" for i in range(12))
TWO_TARGETS = "a,b,t1,t2\n" + "".join(f"{i},{i % 5},{i % 2},{(i + 1) % 2}\n" for i in range(12))


def opened(config: str, *overrides: str, **files: str) -> Session:
    for name, text in files.items():
        Path(f"{name}.csv").write_text(text)
    Path("c.yaml").write_text(config)
    return open_session(load_config("c.yaml", overrides))


def refused(config: str, **files: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        opened(config, **files)
    return caught.value.problems


def plain(layers: str, more: str = "", network: str = "", data: str = "") -> str:
    """Line 2 holds the data, line 3 the network's layers, line 4 its other keys, from line 6 on `more`."""
    return (
        f"name: c\ndata: {{train: d.csv{data}}}\nnetwork:\n  layers: {layers}\n  {network or 'bias: true'}\n"
        f"training: {{epochs: 1}}\n{more}"
    )


def layered(*layers: str, more: str = "", shape: str = "[2]") -> str:
    """Layer i stands in line 5 + i."""
    lines = "".join(f"    - {{{layer}}}\n" for layer in layers)
    return f"data: {{train: d.csv}}\ntraining: {{epochs: 1}}\nnetwork:\n  layers:\n{lines}  input: {shape}\n{more}"


LOG = "loss: log_likelihood\n"

# config, data, where the error is, what it says: what does not fit, and the way out
MISFITS = {
    "too many inputs": (
        plain("[3, 1]"),
        NUMBERS,
        "c.yaml:4 network.layers[0]",
        r"the data has 2 inputs \(a, b\), got 3",
    ),
    "one input too many by data.features": (
        plain("[2, 1]", data=", features: a, target: y"),
        NUMBERS,
        "c.yaml:4 network.layers[0]",
        r"the data has 1 input \(a\), got 2",
    ),
    "an input shape of another size": (
        layered("type: dense, units: 1", shape="[3]"),
        NUMBERS,
        "c.yaml:6 network.input",
        r"the data has 2 inputs \(a, b\), got \[3\]",
    ),
    "two outputs for three classes": (
        plain("[2, 2]", LOG),
        THREE_CLASSES,
        "c.yaml:4 network.layers[1]",
        r"the data has 3 classes \(x, y, z\), which takes 3 outputs, got 2",
    ),
    "one output for three classes": (
        plain("[2, 4, 1]", LOG),
        THREE_CLASSES,
        "c.yaml:4 network.layers[2]",
        "takes 3 outputs, got 1",
    ),
    "three outputs for two classes": (
        plain("[2, 3]", LOG),
        TWO_CLASSES,
        "c.yaml:4 network.layers[1]",
        r"the data has 2 classes \(no, yes\), which takes 2 outputs or 1, got 3",
    ),
    "two outputs for three classes, layer by layer": (
        layered("type: dense, units: 4", "type: dense, units: 2", more=LOG),
        THREE_CLASSES,
        "c.yaml:6 network.layers[1]",
        "takes 3 outputs, got 2",
    ),
    "two outputs for one target column": (
        plain("[2, 2]"),
        NUMBERS,
        "c.yaml:4 network.layers[1]",
        r"the data has 1 target columns? \(y\), got 2 outputs",
    ),
    "one output for two target columns": (
        plain("[2, 1]", data=", target: [t1, t2]"),
        TWO_TARGETS,
        "c.yaml:4 network.layers[1]",
        r"the data has 2 target columns \(t1, t2\), got 1 outputs?",
    ),
    "three outputs for two yes-or-no columns": (
        plain("[2, 3]", LOG, data=", target: [t1, t2]"),
        TWO_TARGETS,
        "c.yaml:4 network.layers[1]",
        r"the data has 2 target columns \(t1, t2\), got 3 outputs",
    ),
    "weights of a wrong shape": (
        layered("type: dense, units: 2, weights: [[1, 2, 3], [4, 5, 6]]", "type: dense, units: 1"),
        NUMBERS,
        "c.yaml:5 network.layers[0].weights",
        r"expected the shape \(2, 2\) \(row j into neuron j\), got \(2, 3\)",
    ),
    "weights that are rows of different lengths": (
        layered("type: dense, units: 2, weights: [[1, 2], [4]]", "type: dense, units: 1"),
        NUMBERS,
        "c.yaml:5 network.layers[0].weights",
        r"expected the shape \(2, 2\), got rows of different lengths",
    ),
    "weights that are one number": (
        layered("type: dense, units: 1, weights: 3"),
        NUMBERS,
        "c.yaml:5 network.layers[0].weights",
        r"expected the shape \(1, 2\)",
    ),
    "biases of a wrong shape": (
        layered("type: dense, units: 1, biases: [1, 2]"),
        NUMBERS,
        "c.yaml:5 network.layers[0].biases",
        r"expected the shape \(1,\)",
    ),
    "biases of a layer without any": (
        layered("type: dense, units: 1, bias: false, biases: [1]"),
        NUMBERS,
        "c.yaml:5 network.layers[0].biases",
        "the layer has no biases",
    ),
    "weights of a layer without any": (
        layered("type: flatten, weights: [[1]]", "type: dense, units: 1"),
        NUMBERS,
        "c.yaml:5 network.layers[0].weights",
        "the layer has no weights",
    ),
    "two layers of one name": (
        layered("type: dense, units: 2, name: a", "type: dense, units: 1, name: a"),
        NUMBERS,
        "c.yaml:6 network.layers[1].name",
        "two layers are called 'a'",
    ),
    "a dense layer on an image": (
        layered("type: dense, units: 1", shape="[1, 1, 2]"),
        NUMBERS,
        "c.yaml:5 network.layers[0]",
        "put a flatten layer before it",
    ),
    "a second dense layer on an image": (
        layered("type: activation, function: relu", "type: dense, units: 1", shape="[1, 1, 2]"),
        NUMBERS,
        "c.yaml:6 network.layers[1]",
        "put a flatten layer before it",
    ),
    "outputs that are an image": (
        layered("type: activation, function: relu", shape="[1, 1, 2]"),
        NUMBERS,
        "c.yaml:5 network.layers[0]",
        "end with a dense layer",
    ),
    "log_likelihood with tanh": (
        plain("[2, 1]", LOG, network="output_activation: tanh"),
        TWO_CLASSES,
        "c.yaml:5 network.output_activation",
        "log_likelihood goes with the output activation sigmoid .* or softmax .*, not tanh",
    ),
    "log_likelihood with tanh, layer by layer": (
        layered("type: dense, units: 2", "type: dense, units: 1, activation: tanh", more=LOG),
        TWO_CLASSES,
        "c.yaml:6 network.layers[1].activation",
        "log_likelihood goes with the output activation sigmoid .* or softmax .*, not tanh",
    ),
    "softmax over one output": (
        plain("[2, 1]", LOG, network="output_activation: softmax"),
        TWO_CLASSES,
        "c.yaml:5 network.output_activation",
        "softmax over a single output is always 1: take sigmoid, or one output for each class",
    ),
    "softmax over one output, with mse": (
        layered("type: dense, units: 1, activation: softmax"),
        TWO_CLASSES,
        "c.yaml:5 network.layers[0].activation",
        "softmax over a single output is always 1",
    ),
    "tanh as a last layer of its own": (
        layered("type: dense, units: 2", "type: activation, function: softmax, activation: tanh", more=LOG),
        TWO_CLASSES,
        "c.yaml:6 network.layers[1].activation",
        "log_likelihood goes with the output activation sigmoid .* or softmax .*, not tanh",
    ),
    "softmax over one output, as a last layer of its own": (
        layered("type: dense, units: 1", "type: activation, function: softmax", more=LOG),
        TWO_CLASSES,
        "c.yaml:6 network.layers[1].function",
        "softmax over a single output is always 1: take sigmoid",
    ),
    "softmax over a softmax layer": (
        layered("type: dense, units: 2", "type: activation, function: softmax, activation: softmax", more=LOG),
        TWO_CLASSES,
        "c.yaml:6 network.layers[1].function",
        "log_likelihood puts softmax behind the last layer, on top of this softmax: leave this one out",
    ),
    "softmax behind dropout behind softmax": (
        layered("type: dense, units: 2, activation: softmax", "type: dropout", "type: flatten", more="loss: focal\n"),
        TWO_CLASSES,
        "c.yaml:5 network.layers[0].activation",
        "focal puts softmax behind the last layer, on top of this softmax: leave this one out",
    ),
    "softmax behind a layer of sigmoid": (
        layered("type: dense, units: 2", "type: activation, function: sigmoid", "type: gaussian_noise", more=LOG),
        TWO_CLASSES,
        "c.yaml:6 network.layers[1].function",
        "log_likelihood puts softmax behind the last layer, on top of this sigmoid: leave this one out",
    ),
    "weights by hand beyond float32": (
        layered("type: dense, units: 1, weights: [[1, -1.0e+39]]"),
        NUMBERS,
        "c.yaml:5 network.layers[0].weights",
        "1e\\+39 is too large for float32: set dtype: float64",
    ),
    "biases by hand beyond float32": (
        layered("type: dense, units: 1, biases: [1.0e+308]"),
        NUMBERS,
        "c.yaml:5 network.layers[0].biases",
        "1e\\+308 is too large for float32: set dtype: float64",
    ),
    "first values from a range beyond float64": (
        layered("type: dense, units: 1, init: {type: uniform, low: -1.7e+308, high: 1.7e+308}"),
        NUMBERS,
        "c.yaml:5 network.layers[0].init.high",
        "must be within 1.79e308 of low, got -1.7e\\+308 to 1.7e\\+308",
    ),
    "too few activations": (
        plain("[2, 3, 3, 1]", network="activation: [relu]"),
        NUMBERS,
        "c.yaml:5 network.activation",
        "expected 2, one for each hidden layer, got 1",
    ),
    "too many activations": (
        plain("[2, 3, 1]", network="activation: [relu, relu]"),
        NUMBERS,
        "c.yaml:5 network.activation",
        "expected 1, one for each hidden layer, got 2",
    ),
    "val_loss without val": (
        plain("[2, 1]").replace("{epochs: 1}", "{epochs: 1, early_stopping: {monitor: val_loss}}"),
        NUMBERS,
        "c.yaml:6 training.early_stopping.monitor",
        "val_loss needs data.val, for example `val: 0.2`; or monitor train_loss",
    ),
    "the default monitor without val": (
        plain("[2, 1]").replace("{epochs: 1}", "{epochs: 1, early_stopping: {patience: 3}}"),
        NUMBERS,
        "c.yaml:6 training.early_stopping.monitor",
        "val_loss needs data.val",
    ),
    "an unknown monitor": (
        plain("[2, 1]", data=", val: 0.2").replace("{epochs: 1}", "{epochs: 1, early_stopping: {monitor: val_los}}"),
        NUMBERS,
        "c.yaml:6 training.early_stopping.monitor",
        "expected one of train_loss, val_loss, val_rmse, val_r2, got val_los",
    ),
    "a monitor of the other task": (
        plain("[2, 1]", data=", val: 0.2").replace(
            "{epochs: 1}", "{epochs: 1, early_stopping: {monitor: val_accuracy}}"
        ),
        NUMBERS,
        "c.yaml:6 training.early_stopping.monitor",
        "expected one of train_loss, val_loss, val_rmse, val_r2, got val_accuracy",
    ),
    "an unknown monitor without val": (
        plain("[2, 1]").replace("{epochs: 1}", "{epochs: 1, early_stopping: {monitor: los}}"),
        NUMBERS,
        "c.yaml:6 training.early_stopping.monitor",
        "expected train_loss(?!, val)|expected one of train_loss, got los|data.val",
    ),
    "accuracy for a regression": (
        plain("[2, 1]", "metrics: [rmse, accuracy]\n"),
        NUMBERS,
        "c.yaml:7 metrics[1]",
        r"accuracy is for classification, the task is regression.*(\br2\b|data\.task)",
    ),
    "rmse for a classification": (
        plain("[2, 1]", LOG + "metrics: [rmse]\n"),
        TWO_CLASSES,
        "c.yaml:8 metrics[0]",
        r"rmse is for regression, the task is classification.*(\bf1\b|data\.task)",
    ),
    "log_likelihood for a regression": (
        plain("[2, 1]", LOG, data=", task: regression"),
        NUMBERS,
        "c.yaml:7 loss",
        "log_likelihood is for classification; for data.task: regression take mse",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_misfit_is_one_error_with_its_line_and_the_way_out(name):
    config, data, where, message = MISFITS[name]
    (problem,) = refused(config, d=data)
    assert problem.startswith(f"{where}: "), problem
    assert re.search(message, problem.removeprefix(f"{where}: ")), problem


ALONE = [
    "too few activations",
    "val_loss without val",
    "log_likelihood for a regression",
    "weights of a wrong shape",
    "a dense layer on an image",
    "softmax over one output",
    "log_likelihood with tanh",
    "two layers of one name",
]


@pytest.mark.parametrize("name", ALONE)
def test_a_misfit_within_the_config_is_found_without_the_data(name):
    Path("c.yaml").write_text(MISFITS[name][0])
    with pytest.raises(ConfigError, match=re.escape(MISFITS[name][2])):
        check_alone(load_config("c.yaml"))


# task and targets that do not fit: found in the data, so the message names the data file, and the key to change
TARGETS = {
    "text labels for a regression": (plain("[2, 1]", data=", task: regression"), TWO_CLASSES, "text", "data.task"),
    "numbers with fractions for classes": (
        plain("[2, 30]", LOG),
        NUMBERS,
        "numbers with fractions",
        "data.task: regression",
    ),
    "one class only": (
        plain("[2, 1]", LOG),
        TWO_CLASSES.replace("no", "yes"),
        'one class only, "yes"',
        "data.target",
    ),
    "one number only for classes": (
        plain("[2, 1]", LOG),
        "a,b,y\n1,2,0\n3,4,0\n",
        'one class only, "0"',
        "data.target",
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_do_not_fit_the_task_are_an_error_that_names_the_file_and_the_key(name):
    config, data, message, key = TARGETS[name]
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        opened(config, d=data)
    assert str(caught.value).startswith("d.csv")
    assert key in str(caught.value)


def test_all_misfits_within_a_config_are_shown_at_once():
    config = plain("[2, 3, 1]", LOG, network="activation: [relu, relu]", data=", task: regression").replace(
        "{epochs: 1}", "{epochs: 1, early_stopping: {patience: 3}}"
    )
    found = [problem.split(": ")[0] for problem in refused(config, d=NUMBERS)]
    assert found == [
        "c.yaml:5 network.activation",
        "c.yaml:6 training.early_stopping.monitor",
        "c.yaml:7 loss",
    ]


def test_all_misfits_with_the_data_are_shown_at_once():
    config = plain("[3, 2]", "metrics: [accuracy]\n", data=", val: 0.2").replace(
        "{epochs: 1}", "{epochs: 1, early_stopping: {monitor: los}}"
    )
    found = {problem.split(": ")[0] for problem in refused(config, d=NUMBERS)}
    assert found >= {"c.yaml:4 network.layers[0]", "c.yaml:4 network.layers[1]", "c.yaml:7 metrics[0]"}


def test_a_misfit_from_an_override_is_located_there():
    with pytest.raises(ConfigError, match=r"^--set network\.layers\b.*the data has 2 inputs \(a, b\), got 5"):
        opened(plain("[2, 1]"), "network.layers=[5, 1]", d=NUMBERS)


def test_a_missing_data_file_is_named_with_the_nearest_there_is():
    with pytest.raises(DataError, match=r'd\.csv: no such file \(did you mean "dd\.csv"\?\)'):
        opened(plain("[2, 1]"), dd=NUMBERS)


# --- npz: no columns that could be named ------------------------------------------------------------------------------

NPZ = "data: {train: d.npz%s}\nnetwork: {layers: [4, %d]}\ntraining: {epochs: 1}\n%s"


def npz(y: np.ndarray, x: np.ndarray | None = None, name: str = "d.npz") -> None:
    rng = np.random.default_rng(0)
    np.savez(name, x=rng.random((len(y), 4)) if x is None else x, y=y)


def test_outputs_that_do_not_fit_an_arrays_columns_are_an_error():
    npz(np.random.default_rng(1).random((10, 2)))
    (problem,) = refused(NPZ % ("", 3, ""))
    assert problem.startswith("c.yaml:2 network.layers[1]: ")
    assert "2 target columns" in problem
    assert "got 3" in problem


def test_several_yes_or_no_columns_of_an_array_get_a_sigmoid_as_those_of_a_table_do():
    npz(np.random.default_rng(1).integers(0, 2, (10, 3)))
    network = opened(NPZ % ("", 3, LOG)).model.network
    assert type(network.output_activation).__name__ == "Sigmoid"


def test_a_validation_array_with_more_target_columns_is_an_error():
    rng = np.random.default_rng(1)
    npz(rng.random((10, 2)))
    npz(rng.random((10, 3)), name="v.npz")
    with pytest.raises(BpcliError, match=r"v\.npz"):
        opened(NPZ % (", val: v.npz", 2, ""))


def test_a_validation_array_with_more_inputs_is_an_error():
    rng = np.random.default_rng(1)
    npz(rng.random((10, 2)))
    npz(rng.random((10, 2)), x=rng.random((10, 5)), name="v.npz")
    with pytest.raises(DataError, match=r"v\.npz: .*\(5,\).*\(4,\)"):
        opened(NPZ % (", val: v.npz", 2, ""))


def test_an_array_of_images_fits_a_plain_network_of_as_many_inputs():
    npz(np.array([0, 1, 0, 1]), x=np.zeros((4, 2, 2)))
    session = opened(NPZ % ("", 1, LOG))
    assert session.model.samples(session.datasets.parts["train"]).x.shape == (4, 4)


def test_an_image_without_channels_gets_one():
    npz(np.array([0, 1, 0, 1]), x=np.zeros((4, 3, 2)))
    config = (
        "data: {train: d.npz}\nnetwork: {layers: [flatten, {type: dense, units: 1}]}\ntraining: {epochs: 1}\n" + LOG
    )
    assert opened(config).model.network.in_shape == (1, 3, 2)


def test_images_of_another_size_than_the_network_are_named_by_their_shape():
    npz(np.array([0, 1, 0, 1]), x=np.zeros((4, 3, 2)))
    (problem,) = refused(NPZ % ("", 1, LOG))
    assert problem == "c.yaml:2 network.layers[0]: the data has 6 inputs (3 x 2), got 4"


# --- what is put together ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "more", "data", "activation"),
    [
        ("[2, 1]", "", NUMBERS, "Identity"),
        ("[2, 1]", LOG, TWO_CLASSES, "Sigmoid"),
        ("[2, 2]", LOG, TWO_CLASSES, "Softmax"),
        ("[2, 3]", LOG, THREE_CLASSES, "Softmax"),
        ("[2, 3]", "", THREE_CLASSES, "Identity"),
    ],
)
def test_the_output_activation_is_chosen_by_loss_and_outputs(layers, more, data, activation):
    assert type(opened(plain(layers, more), d=data).model.network.output_activation).__name__ == activation


def test_several_yes_or_no_columns_get_a_sigmoid():
    session = opened(plain("[2, 2]", LOG, data=", target: [t1, t2]"), d=TWO_TARGETS)
    assert type(session.model.network.output_activation).__name__ == "Sigmoid"


@pytest.mark.parametrize(
    ("data", "more", "task"),
    [
        (NUMBERS, "", "regression"),
        (TWO_CLASSES, "", "classification"),
        ("a,b,y\n1,2,0\n3,4,1\n", "", "regression"),
        ("a,b,y\n1,2,0\n3,4,1\n", LOG, "classification"),
    ],
)
def test_the_task_is_a_classification_for_log_likelihood_or_text_labels(data, more, task):
    assert opened(plain("[2, 1]", more), d=data).model.preparation.task == task


@pytest.mark.parametrize(
    ("data", "more", "metrics"),
    [
        (NUMBERS, "", ["rmse", "r2"]),
        (TWO_CLASSES, LOG, ["accuracy"]),
        (TWO_CLASSES, LOG + "metrics: [f1]\n", ["f1"]),
        (TWO_CLASSES, LOG + "metrics: [auc]\n", ["roc_auc"]),
        (TWO_CLASSES, LOG + "metrics: [f1, {type: f1, average: micro}]\n", ["f1", "f1_micro"]),
        (TWO_CLASSES, LOG + "metrics: [{type: f1, average: macro}, {type: top_k, k: 3}]\n", ["f1", "top_k_3"]),
    ],
)
def test_the_metrics_are_those_of_the_config_or_of_the_task(data, more, metrics):
    assert list(opened(plain("[2, 1]", more), d=data).model.metrics) == metrics


@pytest.mark.parametrize(
    ("layers", "data", "codes"),
    [
        ("[2, 1]", TWO_CLASSES, [[0], [1]]),
        ("[2, 2]", TWO_CLASSES, [[1, 0], [0, 1]]),
        ("[2, 3]", THREE_CLASSES, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
    ],
)
def test_a_class_has_its_target_code(layers, data, codes):
    session = opened(plain(layers, LOG), d=data)
    samples = session.model.samples(session.datasets.parts["train"])
    np.testing.assert_array_equal(samples.codes, codes)


def test_the_list_of_activations_is_laid_over_the_hidden_layers_in_order():
    session = opened(plain("[2, 3, 4, 1]", network="activation: [relu, tanh]"), d=NUMBERS)
    assert [type(entry.activation).__name__ for entry in session.model.network.entries] == ["ReLU", "Tanh", "Identity"]


def test_full_and_auto_are_left_to_the_engine():
    session = opened(plain("[2, 1]").replace("{epochs: 1}", "{epochs: 1, batch_size: full}"), d=NUMBERS)
    assert (session.options.batch_size, session.options.shards) == (None, None)


def test_metrics_are_in_the_datas_own_units():
    session = opened(plain("[2, 1]", data=", scale: standard"), d=NUMBERS)
    part = session.datasets.parts["train"]
    rmse = session.model.metric_functions(part)["rmse"]
    spread = float(part.raw_targets.std())
    assert rmse(part.y) == pytest.approx(0, abs=1e-6 * spread)
    assert rmse(part.y + 1) == pytest.approx(spread, rel=1e-5)


def test_a_config_without_an_input_shape_needs_the_data_to_know_its_network():
    config = "data: {train: d.csv}\nnetwork: {layers: [{type: dense, units: 1}]}\ntraining: {epochs: 1}\n"
    Path("c.yaml").write_text(config)
    assert check_alone(load_config("c.yaml")) is None
    assert opened(config, d=NUMBERS).model.network.in_shape == (2,)


def test_sessions_of_one_seed_start_with_the_same_weights():
    one, other = (opened(plain("[2, 3, 1]", "seed: 5\n"), d=NUMBERS).start().theta for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_sessions_of_two_seeds_start_with_different_weights():
    one, other = (opened(plain("[2, 3, 1]", f"seed: {seed}\n"), d=NUMBERS).start().theta for seed in (1, 2))
    assert not np.array_equal(one, other)


def test_the_start_does_not_depend_on_the_split():
    one, other = (opened(plain("[2, 3, 1]", data=data), d=NUMBERS).start().theta for data in ("", ", val: 0.5"))
    np.testing.assert_array_equal(one, other)


ONE_OR_BOTH = "a,b,t1,t2\n" + "".join(f"{i},{i % 5},{i % 2},1\n" for i in range(12))


@pytest.mark.parametrize("loss", ["log_likelihood", "focal"])
def test_a_softmax_over_target_columns_of_which_several_are_1_is_refused(loss):
    config = plain("[2, 2]", f"loss: {loss}\n", network="output_activation: softmax", data=", target: [t1, t2]")
    (problem,) = refused(config, d=ONE_OR_BOTH)
    assert problem.startswith("c.yaml:5 network.output_activation: with softmax ")
    assert "exactly one is 1 in each row, here is one with 2: take sigmoid" in problem
    opened(config, d=TWO_TARGETS)  # exactly one in each row


def test_a_softmax_over_target_columns_looks_at_validation_too():
    config = plain("[2, 2]", LOG, network="output_activation: softmax", data=", target: [t1, t2], val: v.csv")
    (problem,) = refused(config, d=TWO_TARGETS, v=ONE_OR_BOTH)
    assert "here is one with 2" in problem


def test_hinge_is_not_for_several_yes_or_no_columns():
    (problem,) = refused(plain("[2, 2]", "loss: hinge\n", data=", target: [t1, t2]"), d=TWO_TARGETS)
    assert problem.startswith("c.yaml:7 loss: hinge has one right class for each sample")


@pytest.mark.parametrize("loss", ["log_likelihood", "focal", "mse"])
@pytest.mark.parametrize(("function", "units"), [("softmax", 2), ("sigmoid", 1), ("sigmoid", 2)])
def test_an_activation_layer_at_the_end_is_the_output_activation(loss: str, function: str, units: int) -> None:
    dense = f"type: dense, units: {units}, weights: {[[0.5, -0.5]] * units}"
    rest = ["data.task=classification", f"loss={loss}", "optimizer.learning_rate=0.1"]
    as_layer = layered(dense, f"type: activation, function: {function}")
    as_key = layered(f"{dense}, activation: {function}")
    sessions = [opened(config, *rest, d=TWO_CLASSES) for config in (as_layer, as_key)]
    states = [session.start() for session in sessions]
    losses = [
        [report.train_loss for report in session.train(state)] for session, state in zip(sessions, states, strict=True)
    ]
    assert losses[0] == losses[1]
    np.testing.assert_array_equal(states[0].theta, states[1].theta)


@pytest.mark.parametrize(
    "layers",
    [
        ["type: dense, units: 2, activation: softmax", "type: dense, units: 2"],
        ["type: dense, units: 2, activation: sigmoid", "type: batch_norm"],
        ["type: dense, units: 2", "type: activation, function: tanh", "type: dropout"],
        ["type: dense, units: 2, activation: sigmoid", "type: activation, function: relu"],
    ],
)
def test_a_softmax_is_put_behind_whatever_is_no_probability_yet(layers: list[str]) -> None:
    network = opened(layered(*layers, more=LOG), d=TWO_CLASSES).model.network
    assert registry.activations.name_of(network.output_activation) == "softmax"
