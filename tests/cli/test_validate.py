"""bpcli validate: every error of a config and its data at once, or OK."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

WRONG = """\
name: wrong
seed: -1
dtype: float16
data:
  train: xor.csv
  targt: y
network:
  layers: [2, 0, 1]
  activation: sigmoidd
loss: mean_squared
optimizer: {type: sgd, learning_rate: fast}
training:
  epochs: 10
  batch_size: 0
trainng: {}
"""
PROBLEMS = {
    "seed": (2, "must be at least 0, got -1"),
    "dtype": (3, "float32"),
    "data.targt": (6, 'did you mean "target"?'),
    "network.layers": (8, "at least 1, got 0"),
    "network.activation": (9, 'did you mean "sigmoid"?'),
    "loss": (10, "mean_squared"),
    "optimizer.learning_rate": (11, "expected a number"),
    "training.batch_size": (14, "must be at least 1, got 0"),
    "trainng": (15, 'did you mean "training"?'),
}


@pytest.mark.parametrize(
    "name",
    ["xor", "or", "and", "xor-bias-free", "textbook-2-2-2", "iris", "digits", "breast-cancer", "diabetes", "spirals"],
)
def test_every_example_is_ok(ok, configs, name):
    path = configs / f"{name}.yaml"
    result = ok("validate", path)
    assert result.out.startswith(f"{path}: OK\n")
    assert result.err == ""


def test_says_what_the_data_and_the_network_are(ok, configs):
    out = ok("validate", configs / "iris.yaml").out
    assert "90 train, 30 val, 30 test samples of 4" in out
    assert "classification, 3 classes: setosa, versicolor, virginica" in out
    assert "4-16-3, 131 parameters" in out


def test_the_sizes_are_those_of_layers_with_units(ok, write_config, configs):
    """Dropout, normalisations and flatten give as many values as they take."""
    layers = [
        {"type": "conv2d", "filters": 3, "kernel": 3},
        "layer_norm",
        {"type": "max_pool2d", "size": 2},
        "batch_norm",
        "flatten",
        {"type": "dense", "units": 12},
        {"type": "dropout", "rate": 0.5},
        {"type": "dense", "units": 12},
        "prelu",
        {"type": "dense", "units": 1},
    ]
    np.savez("images.npz", x=np.ones((6, 1, 6, 6)), y=np.arange(6.0))
    config = write_config(
        {
            "data": {"train": "images.npz", "task": "regression"},
            "network": {"layers": layers},
            "training": {"epochs": 1},
        }
    )
    assert "network  1x6x6-3x4x4-3x2x2-12-12-1, " in ok("validate", config).out


def test_trains_nothing(ok, configs):
    ok("validate", configs / "iris.yaml")
    assert list(Path().iterdir()) == []


@pytest.fixture
def wrong(cli):
    Path("wrong.yaml").write_text(WRONG)
    Path("xor.csv").write_text("x1,x2,y\n0,1,1\n")
    return cli("validate", "wrong.yaml")


def test_all_problems_are_shown_at_once(wrong):
    assert wrong.code == 2
    lines = wrong.err.splitlines()
    assert lines[0] == f"{len(PROBLEMS)} errors:"
    assert len(lines) == len(PROBLEMS) + 1


@pytest.mark.parametrize("key", PROBLEMS)
def test_a_problem_names_file_line_key_and_what_was_expected(wrong, key):
    line, message = PROBLEMS[key]
    found = [text for text in wrong.err.splitlines() if text.startswith(f"wrong.yaml:{line} {key}")]
    assert len(found) == 1
    assert message in found[0]


def test_problems_come_in_the_order_of_the_file(wrong):
    numbers = [int(text.split(":")[1].split()[0]) for text in wrong.err.splitlines()[1:]]
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (("[2, 4, 1]", "[3, 4, 1]"), 10, "network.layers[0]: the data has 2 inputs (x1, x2), got 3"),
        (
            ("[2, 4, 1]", "[2, 4, 3]"),
            10,
            "network.layers[2]: the data has 2 classes (0, 1), which takes 2 outputs or 1",
        ),
        (("task: classification", "task: regresion"), 8, "data.task"),
        (("epochs: 5000", "epochs: 5000, epochs: 3"), 15, "`epochs` is given twice"),
        (("seed: 7", "seed: 7\nseed: 8"), 4, "`seed` is given twice"),
    ],
)
def test_one_problem_is_one_line(cli, configs, datasets, change, line, message):
    text = (configs / "xor.yaml").read_text().replace("../datasets", str(datasets))
    assert change[0] in text
    Path("mine.yaml").write_text(text.replace(*change))
    result = cli("validate", "mine.yaml")
    assert result.code == 2
    assert re.match(rf"error: mine\.yaml:{line}\b", result.err)
    assert message in result.err
    assert len(result.err.splitlines()) == 1


def test_wrong_data_are_exit_code_3(cli, configs):
    Path("bad.csv").write_text("x1,x2,y\n0,0,0\n0,one,1\n")
    result = cli("validate", configs / "xor.yaml", "--set", "data.train=bad.csv")
    assert result.code == 3
    assert "bad.csv:3" in result.err
    assert "one" in result.err


def test_an_override_is_checked_too(cli, configs):
    result = cli("validate", configs / "xor.yaml", "--set", "training.epochs=-3")
    assert result.code == 2
    assert "training.epochs: must be at least 1, got -3" in result.err


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "empty.yaml"),
        (b"- a\n- b\n", "`key: value` lines"),
        (b"a: [1\n", "empty.yaml:"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
    ids=["empty", "a list", "no end", "not UTF-8"],
)
def test_what_is_no_config(cli, content, named):
    Path("empty.yaml").write_bytes(content)
    result = cli("validate", "empty.yaml")
    assert result.code == 2
    assert named in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(("line", "text"), [("2,4x", "4x"), ("2,5\n3,four", "four")])
def test_a_text_among_numbers_is_no_reason_to_take_more_outputs(cli, write_config, line, text):
    """Text in the target makes a classification of it: the message must not lead to a network of as many outputs."""
    Path("d.csv").write_text(f"a,y\n1,3\n{line}\n9,7\n")
    config = {"data": {"train": "d.csv"}, "network": {"layers": [1, 1]}, "loss": "mse", "training": {"epochs": 1}}
    result = cli("validate", write_config(config))
    assert result.code == 2
    assert f'if the target holds numbers and "{text}" is a mistake, data.task: regression shows its line' in result.err
    result = cli("validate", write_config(config), "--set", "data.task=regression")
    assert result.code == 3
    assert f'd.csv:{1 + len(line.splitlines()) + 1}: column "y": got "{text}", expected a number' in result.err


def test_a_header_with_years_in_it_is_asked_for(cli, write_config):
    Path("d.csv").write_text("2019,y\n1,3\n2,4\n")
    data = {"train": "d.csv", "task": "regression"}
    config = {"data": data, "network": {"layers": [1, 1]}, "training": {"epochs": 1}}
    result = cli("validate", write_config(config))
    assert result.code == 3
    assert 'd.csv:1: column "c2": got "y"' in result.err
    assert "if line 1 holds the columns' names, set data.header: true" in result.err
    assert cli("validate", write_config(config), "--set", "data.header=true").code == 0


def test_numbers_that_are_classes_under_a_loss_for_numbers_ask_for_the_task(cli, write_config):
    Path("codes.csv").write_text("a,b,kind\n" + "".join(f"{k},{k % 5},{k % 3}\n" for k in range(30)))
    values = {
        "data": {"train": "codes.csv"},
        "network": {"layers": [2, 4, 3]},
        "loss": "mse",
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "training": {"epochs": 2},
    }
    said = cli("validate", write_config(values)).err
    assert "the data has 1 target column (kind), got 3 outputs; for numbers that are classes set data.task" in said


BESIDE = """\
data: {train: TRAIN, val: VAL, target: kind}
network: {layers: [NETWORK]}
loss: LOSS
optimizer: {type: OPTIMIZER, learning_rate: 0.1}
training: {epochs: EPOCHS}
metrics: [METRIC]
"""
SOUND = {"NETWORK": "2, 4, 3", "LOSS": "log_likelihood", "OPTIMIZER": "sgd", "EPOCHS": "3", "METRIC": "accuracy"}


@pytest.fixture
def problems(cli):
    """The problems, and the exit code, of a config that is sound but for these words."""
    rows = "".join(f"{k % 7},{k % 5},{'xyz'[k % 3]}\n" for k in range(30))
    Path("table.csv").write_text(f"a,b,kind\n{rows}")
    Path("cell.csv").write_text("a,b,kind\n1,2,x\n3,?!,y\n")
    Path("column.csv").write_text("a,c,kind\n1,2,x\n")

    def call(command: str = "validate", **words: str) -> tuple[list[str], int]:
        text = BESIDE
        for word, value in {"TRAIN": "table.csv", "VAL": "0.2", **SOUND, **words}.items():
            text = text.replace(word, value)
        Path("c.yaml").write_text(text)
        result = cli(command, "c.yaml")
        assert result.out == ""
        head, _, rest = result.err.partition("\n")
        return (rest.splitlines() if head.endswith("errors:") else [head.removeprefix("error: ")]), result.code

    return call


@pytest.mark.parametrize("command", ["validate", "train"])
@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        ({"LOSS": "bce", "TRAIN": "gone.csv"}, 2, ["loss: ", "gone.csv: no such file"]),
        ({"LOSS": "bce", "TRAIN": "gone.csv", "VAL": "lost.csv"}, 2, ["loss: ", "gone.csv: ", "lost.csv: "]),
        ({"LOSS": "bce", "NETWORK": "3, 4, 3"}, 2, ["loss: ", "network.layers[0]: the data has 2 inputs"]),
        ({"LOSS": "bce", "NETWORK": "2, 4, 5"}, 2, ["loss: ", "network.layers[2]: the data has 3 classes"]),
        ({"OPTIMIZER": "adm", "NETWORK": "3, 4, 2"}, 2, ["network.layers[0]", "network.layers[2]", "optimizer"]),
        ({"EPOCHS": "0", "METRIC": "rmse"}, 2, ["training.epochs: ", "metrics[0]: rmse is for regression"]),
        ({"EPOCHS": "0", "VAL": "cell.csv"}, 2, ["training.epochs: ", 'cell.csv:3: column "b": got "?!"']),
        ({"NETWORK": "2, four, 3"}, 2, ["network.layers: expected whole numbers"]),
        ({"NETWORK": "2, 0, 3", "VAL": "column.csv"}, 2, ["network.layers", 'column.csv: no column "b"']),
        ({"TRAIN": "gone.csv", "VAL": "cell.csv"}, 3, ["gone.csv: no such file", 'cell.csv:3: column "b"']),
        ({"TRAIN": "gone.csv", "VAL": "20%"}, 2, ["data.val: expected", "gone.csv: no such file"]),
        ({"TRAIN": "cell.csv", "VAL": "gone.csv"}, 3, ['cell.csv:3: column "b"', "gone.csv: no such file"]),
    ],
)
def test_what_is_wrong_with_config_and_data_is_shown_in_one_go(problems, command, words, code, expected):
    found, ended = problems(command, **words)
    assert ended == code
    assert len(found) == len(expected), found
    for part in expected:
        assert sum(part in problem for problem in found) == 1, found
    assert not Path("runs").exists()


def test_a_target_and_features_that_are_not_there_are_both_named(cli, write_config):
    Path("table.csv").write_text("a,b,kind\n1,2,x\n3,4,y\n")
    values = {
        "data": {"train": "table.csv", "target": "sort", "features": ["a", "bb"]},
        "network": {"layers": [2, 2]},
        "loss": "log_likelihood",
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "training": {"epochs": 2},
    }
    said = cli("validate", write_config(values)).err
    assert said.startswith("2 errors:")
    assert 'no column "sort"' in said
    assert 'no column "bb"' in said


def test_nothing_is_made_up_of_a_section_that_is_wrong(problems):
    """With another loss, optimizer or training the rest may be as it should."""
    rows = "".join(f"{k % 7},{k % 5},{k % 3}\n" for k in range(30))
    Path("table.csv").write_text(f"a,b,kind\n{rows}")
    for wrong in ({"LOSS": "bce"}, {"OPTIMIZER": "levenberg"}, {"EPOCHS": "-1"}, {"METRIC": "accuracyy"}):
        assert len(problems(**wrong)[0]) == 1


def test_a_layer_that_does_not_fit_is_shown_beside_the_data(cli, write_config):
    values = {
        "data": {"train": "gone.csv"},
        "network": {"input": [1, 4, 4], "layers": [{"type": "conv2d", "filters": 2, "kernel": 9}, "flatten"]},
        "loss": "mse",
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "training": {"epochs": 2},
    }
    result = cli("validate", write_config(values))
    assert result.code == 2
    assert "network.layers[0]: a window of 9 x 9" in result.err
    assert "gone.csv: no such file" in result.err
