"""A file, a folder or a word at the wrong place is named for what it is, with the command that was meant."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def run(ok) -> Path:
    """configs/xor.yaml with its data, and runs/xor, trained by it."""
    ok("init", "xor")
    ok("train", "configs/xor.yaml", "--set", "training.epochs=1", "--quiet")
    return Path("runs/xor")


@pytest.mark.parametrize("command", ["train", "validate", "step", "profile"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "runs/xor/checkpoints/last.npz",
            "this is a checkpoint (.npz) or another zip file, not a config; the config of ",
        ),
        ("runs/xor", "this is a run folder; its config is runs/xor/config.yaml"),
        ("configs", "this is a folder; name a YAML file in it, such as configs/xor.yaml"),
        ("https://example.org/xor.yaml", "this is a URL; save the file and name it"),
        ("datasets/xor.csv", "this is a data file; a config names it as data.train"),
        ("xor", "did you mean configs/xor.yaml?"),
        ("iris", "there is no such file; iris is an example: bpcli init iris"),
        ("configs/iris.yaml", "iris is an example: bpcli init iris"),
    ],
)
def test_what_is_given_as_a_config(run, cli, command, given, message):
    result = cli(command, given)
    if command == "step" and given.startswith("runs/"):
        assert result.code == 0  # it takes a run as well
        return
    assert result.code == 2
    assert message in result.err


@pytest.mark.parametrize("command", ["eval", "predict", "resume"])
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("configs/xor.yaml", "is no run: name a run folder, such as runs/xor, or a checkpoint"),
        ("runs/xor/config.yaml", "is no run: name a run folder, such as runs/xor, or a checkpoint"),
        ("runs/xor/checkpoints", "these are a run's checkpoints; name the run, runs/xor, or one of the files"),
        ("datasets/xor.csv", "is no run"),
    ],
)
def test_what_is_given_as_a_run(run, cli, command, given, message):
    result = cli(command, given, *(["datasets/xor.csv"] if command == "predict" else []))
    assert result.code == 4
    assert message in result.err


def test_a_checkpoint_away_from_its_run_is_no_config_either(run, cli):
    shutil.copy(run / "checkpoints" / "last.npz", "a.npz")
    assert "the config of a run is its config.yaml" in cli("validate", "a.npz").err


@pytest.mark.parametrize("command", ["step", "gradcheck"])
def test_a_checkpoint_away_from_its_run_has_no_data(run, cli, command):
    shutil.copy(run / "checkpoints" / "last.npz", "a.npz")
    result = cli(command, "a.npz")
    assert result.code == 4
    assert result.err == "error: a.npz: lies in no run folder, so nothing says where its data is: name the run\n"


@pytest.mark.parametrize("command", ["step", "gradcheck"])
def test_a_run_whose_data_has_changed_names_a_remedy_that_the_command_has(run, cli, command):
    with Path("datasets/xor.csv").open("a") as file:
        file.write("1,1,0\n")
    result = cli(command, run)
    assert result.code == 4
    assert result.err.endswith("put back the files that the run was trained on\n")


def test_eval_of_a_file_without_its_target(run, cli):
    Path("new.csv").write_text("x1,x2\n0,1\n", encoding="utf-8")
    result = cli("eval", run, "--data", "new.csv")
    assert result.code == 3
    assert 'no column "y", the target to compare predictions with; bpcli predict needs none' in result.err


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("tanh", "tanh is one of the activations: bpcli parts activations"),
        ("trainrp", "rprop is one of the optimizers: bpcli parts optimizers"),
    ],
)
def test_parts_of_a_name_says_where_it_is(cli, word, hint):
    result = cli("parts", word)
    assert result.code == 2
    assert hint in result.err


@pytest.mark.parametrize(
    ("option", "key"),
    [
        ("--epochs", "training.epochs"),
        ("--lr", "optimizer.learning_rate"),
        ("--batch-size", "training.batch_size"),
        ("--seed", "seed"),
        ("--optimizer.lr", "optimizer.learning_rate"),
    ],
)
def test_an_option_that_is_a_key_says_how_to_set_it(cli, option, key):
    result = cli("train", "a.yaml", option, "3")
    assert result.code == 2
    assert f"No such option: {option}. It is a key of the config: --set {key}=VALUE\n" in result.err


def test_an_option_that_is_no_key_says_nothing_of_keys(cli):
    assert "key of the config" not in cli("train", "a.yaml", "--zzz").err
    assert "key of the config" not in cli("eval", "--lr", "3").err


def test_a_decimal_comma_between_brackets_says_the_number_to_write(cli):
    Path("c.yaml").write_text("optimizer: {type: sgd, learning_rate: 0,01}\n", encoding="utf-8")
    assert "c.yaml:1: the key 01 is not text; if 0,01 is a number, write 0.01" in cli("validate", "c.yaml").err


def test_an_example_may_be_named_by_its_path(cli):
    assert "did you mean xor?" in cli("init", "configs/xor.yaml").err


@pytest.mark.parametrize("arguments", [("--set", "training.epochs", "5"), ("training.epochs=5",)])
def test_a_setting_in_several_words_says_how_to_write_it(cli, arguments):
    result = cli("train", "a.yaml", *arguments)
    assert result.code == 2
    assert result.err.endswith("A key is set in one word: --set training.epochs=5\n")


def test_another_extra_argument_is_no_setting(cli):
    assert "--set" not in cli("train", "a.yaml", "b.yaml").err
    assert "--set" not in cli("train", "a.yaml", "--set", "seed=1", "b.yaml").err
    assert "--set" not in cli("eval", "a", "training.epochs=5").err


def test_a_run_after_its_data_is_told_the_order(run, cli):
    result = cli("predict", "datasets/xor.csv", "runs/xor")
    assert result.code == 2
    assert "the run comes first: bpcli predict runs/xor datasets/xor.csv" in result.err
