"""What is suggested for another tool's word, for a key at the wrong place, and for a number written another way."""

from __future__ import annotations

import re

import pytest

from bpcli.config.load import load_config
from bpcli.engine import registry
from bpcli.errors import ConfigError

CONFIG = """\
data: {train: d.csv}
network: {layers: [2, 1]}
loss: mse
optimizer: {type: sgd, learning_rate: 0.1}
training: {epochs: 3}
"""


def message(tmp_path, *overrides: str) -> str:
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path, overrides)
    return str(caught.value)


WORDS = {
    "loss": {
        "bce": "log_likelihood", "nll": "log_likelihood", "NLLLoss": "log_likelihood", "log_loss": "log_likelihood",
        "categorical_crossentropy": "log_likelihood", "CrossEntropyLoss": "log_likelihood", "l1": "mae", "L2": "mse",
        "MSELoss": "mse", "smooth_l1": "huber", "sse": "half_squared_error", "HingeLoss": "hinge", "MSE": "mse",
        "nn.CrossEntropyLoss": "log_likelihood", "torch.nn.MSELoss()": "mse", "softmax": "log_likelihood",
    },
    "optimizer": {
        "trainrp": "rprop", "trainbfg": "lbfgs", "trainbr": "levenberg_marquardt", "traingd": "sgd",
        "traingdm": "sgd", "traingda": "gradient_descent_adaptive", "trainoss": "lbfgs", "bfgs": "lbfgs",
        "trainsgc": "trainscg", "RMSProp": "rmsprop", "Adam": "adam", "L-BFGS": "lbfgs", "LM": "lm",
        "FANN_TRAIN_RPROP": "rprop", "Adagrad": "adagrad", "torch.optim.Adam": "adam", "keras.optimizers.adam": "adam",
    },
    "schedule": {
        "reduce_lr_on_plateau": "reduce_on_plateau", "ReduceLROnPlateau": "reduce_on_plateau",
        "CosineAnnealingLR": "cosine", "StepLR": "step", "OneCycleLR": "one_cycle", "linear": "polynomial",
    },
    "metrics": {
        "f1_macro": "{type: f1, average: macro}", "f1_micro": "{type: f1, average: micro}", "macro_f1": "f1",
        "R2": "r2", "auroc": "roc_auc", "categorical_accuracy": "accuracy",
    },
    "network.activation": {
        "hardsigmoid": "hard_sigmoid", "ReLU": "relu", "LeakyReLU": "leaky_relu", "none": "identity",
        "elliotsig": "softsign", "poslin": "relu", "Tanh": "tanh", "logsigg": "logsig", "nn.Tanh": "tanh",
    },
    "network.init": {"xavier": "glorot_uniform", "kaiming_normal": "he_normal", "random_uniform": "uniform"},
    "data.scale": {"mapminmax": "minmax", "mapstd": "standard", "StandardScaler": "standard", "MinMaxScaler": "minmax"},
    "dtype": {"double": "float64", "float": "float32", "float16": "float32", "half": "float32"},
    "data.missing": {"dropna": "drop"},
}  # fmt: skip


@pytest.mark.parametrize(("key", "word"), [(key, word) for key, words in WORDS.items() for word in words])
def test_another_tools_word_is_answered_with_the_name(tmp_path, key, word):
    value = f"[{word}]" if key == "metrics" else word
    found = re.search(r'did you mean "?([^"?]*)"?\?', message(tmp_path, f"{key}={value}"))
    assert found is not None
    assert found[1] == WORDS[key][word]


@pytest.mark.parametrize("override", ["optimizer=lamb", "optimizer=lion", "network.activation=sin", "loss=dice"])
def test_a_short_word_of_which_half_would_have_to_change_is_answered_with_every_name(tmp_path, override):
    told = message(tmp_path, override)
    assert "did you mean" not in told
    assert "expected one of" in told


@pytest.mark.parametrize(
    ("override", "example"),
    [
        ("optimizer={sgd: {learning_rate: 0.1}}", "{type: sgd, ...}"),
        ("loss={mse: {}}", "{type: mse, ...}"),
        ("schedule={cosine: {period: 3}}", "{type: cosine, ...}"),
        ("network={layers: [{dense: 16}]}", "{type: dense, ...}"),
    ],
)
def test_a_part_named_by_a_key_is_answered_with_how_to_write_it(tmp_path, override, example):
    assert f"expected the key `type`, as in {example}, got {{" in message(tmp_path, override)


@pytest.mark.parametrize(
    ("schedule", "meant"),
    [
        ("type: step, step_size: 3", "every"),
        ("type: step, every: 3, factor: 0.5", "gamma"),
        ("type: reduce_on_plateau, factor: 0.5", "gamma"),
        ("type: multi_step, milestones: [1, 2]", "at"),
        ("type: cosine, T_max: 3", "period"),
        ("type: cosine, warmup_epochs: 3", "warmup"),
    ],
)
def test_another_tools_key_of_a_schedule_is_answered_with_the_key(tmp_path, schedule, meant):
    told = message(tmp_path, f"schedule={{{schedule}}}")
    assert f'did you mean "{meant}"?' in told
    assert "required" not in told


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("epochs", "training.epochs"),
        ("lr", "optimizer.learning_rate"),
        ("learning_rate", "optimizer.learning_rate"),
        ("batch_size", "training.batch_size"),
        ("layers", "network.layers"),
        ("patience", "training.early_stopping.patience"),
        ("target", "data.target"),
        ("training.learning_rate", "optimizer.learning_rate"),
        ("optimizer.epochs", "training.epochs"),
        ("optimizer.lr", "learning_rate"),
        ("training.num_epochs", "epochs"),
        ("data.validation_split", "val"),
        ("random_state", "seed"),
        ("data.test_size", "test"),
        ("network.hidden", "layers"),
        ("network.units", "layers"),
        ("network.hidden_units", "layers"),
    ],
)
def test_a_key_at_the_wrong_place_is_answered_with_its_full_name(tmp_path, key, meant):
    assert f'did you mean "{meant}"?' in message(tmp_path, f"{key}=1")


def test_a_key_of_the_top_level_says_so(tmp_path):
    assert 'unknown key "seed" here: it belongs at the top level of the config' in message(tmp_path, "training.seed=1")


@pytest.mark.parametrize("key", ["activation", "bias", "init", "output_activation"])
def test_a_key_of_a_network_given_by_its_sizes_is_told_beside_single_layers(tmp_path, key):
    told = message(tmp_path, f"network={{{key}: relu, layers: [{{type: dense, units: 3}}]}}")
    assert "did you mean" not in told
    assert f"network.{key}: is for layers given by their sizes; here each layer has its own" in told


def test_early_stopping_by_its_patience_alone_says_how_to_write_it(tmp_path):
    assert "(write {patience: 10})" in message(tmp_path, "training.early_stopping=10")
    assert "(write {patience: 6})" in message(tmp_path, "training.early_stopping=true")


def test_an_optimizer_is_not_offered_the_keys_of_another(tmp_path):
    assert "optimizer.momentum" not in message(tmp_path, "optimizer={type: adam, momentom: 1}")
    assert 'did you mean "type"?' in message(tmp_path, "optimizer={name: adam}")


def test_a_key_by_another_tools_name_is_not_said_to_be_missing_too(tmp_path):
    assert "required" not in message(tmp_path, "training={num_epochs: 10}")


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("optimizer.learning_rate=0,01", "write 0.01 with a point"),
        ("data.val=20%", "write 0.2"),
        ("data.val=0,2", "write 0.2 with a point"),
        ('training.epochs="10"', "write 10 without quotes"),
        ("training.epochs=1,000", "write 1000"),
        ("training.epochs=1e3", "write 1000"),
        ("training.batch_size=32.0", "write 32"),
    ],
)
def test_a_number_written_another_way_says_how_to_write_it(tmp_path, override, hint):
    assert f"({hint})" in message(tmp_path, override)


@pytest.mark.parametrize("weights", ["{1: 2, 0: 1}", "{1: 2,0: 1}", "{1: 2, false: 1}"])
def test_a_number_as_a_key_is_no_decimal_comma(tmp_path, weights):
    told = message(tmp_path, f"data.class_weights={weights}")
    assert told.count("is not text; put it in quotes") == 2
    assert "if 2," not in told
    assert "write 0.01" in message(tmp_path, "optimizer={type: sgd, learning_rate: 0,01}")


def test_a_decimal_comma_can_be_set_without_quotes(tmp_path):
    (tmp_path / "c.yaml").write_text(CONFIG, encoding="utf-8")
    assert load_config(tmp_path / "c.yaml", ["data.decimal=,"]).config.data.decimal == ","


KINDS = {parts.kind: parts for parts in vars(registry).values() if isinstance(parts, registry.Registry)}


@pytest.mark.parametrize("kind", KINDS)
def test_another_tools_words_are_no_names_and_stand_for_one_part_each(kind):
    parts = KINDS[kind]
    names = {*parts.names(), *parts.aliases()}
    words = [word for name in parts.names() for word in parts._elsewhere[name]]
    assert len(set(words)) == len(words)
    assert not names & set(words)
    assert all(parts.nearest(word) in names for word in words)
