"""Commands and options that bpcli does not have: what is said to somebody who knows them from another tool."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("fit", "train"), ("run", "train"), ("learn", "train"), ("trian", "train"), ("TRAIN", "train"),
        ("test", "eval"), ("evaluate", "eval"), ("score", "eval"), ("infer", "predict"), ("continue", "resume"),
        ("check", "validate"), ("lint", "validate"), ("show", "summary"), ("bench", "profile"), ("new", "init"),
        ("list", "parts"), ("epochs", "epochs-calc"), ("help", "--help"), ("version", "--version"),
    ],
)  # fmt: skip
def test_another_tools_command_is_answered_with_the_command(cli, word, meant):
    result = cli(word, "configs/xor.yaml")
    assert result.code == 2
    assert result.err.endswith(f"No such command '{word}'. Did you mean '{meant}'?\n")


def test_a_command_unlike_any_other_is_answered_with_all_there_are(cli):
    told = cli("plot").err
    assert "No such command 'plot'. There are train, resume, eval, predict, " in told
    assert told.endswith("epochs-calc.\n")


def test_a_config_or_a_run_without_a_command_is_answered_with_the_command(cli, ok, configs):
    Path("c.yaml").write_text("a: 1\n")
    run = ok("train", configs / "or.yaml", "--set", "training.epochs=1", "--out", "r") and "r"
    assert cli("c.yaml").err.endswith("No such command 'c.yaml'. To train it: bpcli train c.yaml\n")
    assert cli(run).err.endswith(f"To evaluate this run: bpcli eval {run}\n")


@pytest.mark.parametrize(
    ("command", "option", "hint"),
    [
        ("train", "--output", "The run folder is named by --out DIR"),
        ("train", "-o", "The run folder is named by --out DIR"),
        ("train", "--config", "The config is named without an option: bpcli train CONFIG"),
        ("train", "--resume", "A run goes on with: bpcli resume RUN"),
        ("train", "--data", "The data are a key of the config: --set data.train=FILE"),
        ("predict", "--data", "The data file is named last: bpcli predict RUN FILE"),
        ("eval", "--run", "The run is named without an option: bpcli eval RUN"),
        ("resume", "--model", "The run is named without an option: bpcli resume RUN"),
    ],
)
def test_another_tools_option_is_answered_with_what_there_is_instead(cli, command, option, hint):
    result = cli(command, option, "x")
    assert result.code == 2
    assert result.err.endswith(f"No such option: {option}. {hint}\n")


def test_options_far_from_what_was_typed_are_not_proposed(cli):
    assert cli("train", "a.yaml", "--gpu").err.endswith("No such option: --gpu\n")
    assert cli("--train", "a.yaml").err.endswith("No such option: --train\n")
    near = cli("train", "a.yaml", "--quite").err.splitlines()[-1]  # older versions of click put marks around it
    assert near.startswith("Error: No such option: --quite ")
    assert "(Possible options: --quiet)" in near
