"""bpcli profile: a table that adds up and fits the screen, JSON with every figure, and no trace left behind."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bpcli.config.load import load_config
from bpcli.engine.optimizers.lbfgs import LBFGS
from bpcli.views.profile import advice, profile_text, unseen_display
from bpcli.workflows.profile import Expense, Profile, profile_config

QUICK = ("--seconds", "0.05")
EXAMPLES = ("xor", "iris", "digits-cnn", "digits-batch-norm", "breast-cancer-lbfgs", "diabetes-lm", "textbook-2-2-2")


def cells(text: str) -> dict[str, list[str]]:
    """The rows of all tables by their first cell."""
    rows = (line.split("  ") for line in text.splitlines() if "  " in line)
    return {row[0]: [cell.strip() for cell in row[1:] if cell.strip()] for row in rows}


def number(text: str) -> float:
    return float(text.replace(",", ""))


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_tables_fit_the_screen_and_name_every_layer(ok, configs, name):
    out = ok("profile", configs / f"{name}.yaml", *QUICK).out
    assert max(map(len, out.splitlines())) <= 100
    rows = cells(out)
    assert {"data", "dense_1", "loss", "all of these", "between them", "step as trained", "weights"} <= set(rows)
    assert {"all steps of an epoch", "row of loss.csv", "progress, drawn", "checkpoint saved"} <= set(rows)


def test_the_rows_of_a_step_add_up(ok, configs):
    rows = cells(ok("profile", configs / "xor.yaml", *QUICK).out)
    both = {name: number(rows[name][2]) for name in ("dense_1", "dense_1.activation", "dense_2")}
    both |= {name: number(rows[name][0]) for name in ("data", "loss", "update (sgd)")}
    parts, between, step = (number(rows[name][0]) for name in ("all of these", "between them", "step as trained"))
    unit = 0.1 if "." in rows["step as trained"][0] else 1.0  # half of it may be rounded away at each
    assert sum(both.values()) == pytest.approx(parts, abs=unit / 2 * (len(both) + 1.1))
    assert parts + between == pytest.approx(step, abs=unit / 2 * 3.1)


def test_shares_of_training_add_up_to_100(ok, configs):
    out = ok("profile", configs / "iris.yaml", *QUICK).out
    block = out.split("around the steps")[1].split("\n\n")[0].splitlines()[1:]
    assert sum(number(line.split()[-1]) for line in block) == pytest.approx(100, abs=0.05)


def test_json_holds_every_figure(ok, configs):
    values = json.loads(ok("profile", configs / "xor.yaml", *QUICK, "--json").out)
    assert (values["name"], values["samples"], values["batch_size"], values["steps_per_epoch"]) == ("xor", 4, 4, 1)
    assert [layer["name"] for layer in values["layers"]] == ["dense_1", "dense_1.activation", "dense_2"]
    assert values["multiply_adds"] == pytest.approx(4 * (2 * 8 + 3 * 4))
    assert values["gradients_per_step"] == 1.0
    assert values["steps_per_second"] == pytest.approx(1 / values["step_seconds"])
    assert values["samples_per_second"] == pytest.approx(4 / values["step_seconds"])
    assert values["parts_seconds"] + values["rest_seconds"] == pytest.approx(values["step_seconds"])
    assert values["memory"]["weights"] == 17 * 8
    assert values["memory"]["data: train"] == 4 * 3 * 8
    assert values["machine_flop_per_second"]["one_thread"] > 0
    assert {each["name"] for each in values["around"]} == {
        "progress, not drawn",
        "progress, drawn",
        "row of loss.csv",
        "loss.csv written",
        "checkpoint saved",
    }


def test_a_full_batch_method_shows_its_gradients_and_its_own_work(ok, configs):
    out = ok("profile", configs / "diabetes-lm.yaml", *QUICK).out
    assert {"normal equations", "the optimizer itself"} <= set(cells(out))
    assert "gradients; data, layers and loss are their sums" in out


def test_says_how_figures_of_shards_are_to_be_read(ok, configs):
    arguments = ("profile", configs / "iris.yaml", *QUICK, "--set", "training.shards=2")
    side_by_side, in_turn = (ok(*arguments, "--threads", threads).out for threads in (2, 1))
    assert "split into 2 shards, computed 2 in parallel, by 2 threads." in side_by_side
    assert "split into 2 shards, computed one after another, by 1 thread." in in_turn
    assert "adding up the shards, waiting; below 0, noise." in side_by_side
    assert "waiting" not in in_turn


def test_says_how_often_a_config_logs_and_saves(ok, configs):
    changes = ("--set", "training.log_every=10", "--set", "output.checkpoint_every=1")
    rows = cells(ok("profile", configs / "iris.yaml", *QUICK, *changes).out)
    assert rows["row of loss.csv"][1] == "every 10 epochs"
    assert rows["checkpoint saved"][1] == "each epoch"


def test_leaves_no_file_behind_and_nothing_on_stderr(ok, configs):
    result = ok("profile", configs / "xor.yaml", *QUICK)
    assert list(Path().iterdir()) == []
    assert result.err == ""


def test_a_wrong_config_ends_with_2(cli, configs):
    result = cli("profile", configs / "xor.yaml", "--set", "optimizer=none_such")
    assert result.code == 2
    assert "none_such" in result.err
    assert cli("profile", "nowhere.yaml").code == 2
    for seconds in ("-1", "nan", "inf"):
        assert cli("profile", configs / "xor.yaml", "--seconds", seconds).code == 2


def test_missing_data_ends_with_3_and_divergence_with_5(cli, configs):
    assert cli("profile", configs / "xor.yaml", "--set", "data.train=nowhere.csv").code == 3
    result = cli("profile", configs / "diabetes.yaml", *QUICK, "--set", "optimizer={type: sgd, learning_rate: 1e30}")
    assert result.code == 5
    assert "diverged" in result.err


@pytest.fixture(scope="module")
def iris() -> Profile:
    config = Path(__file__).parents[2] / "configs" / "iris.yaml"
    with unseen_display() as display:
        return profile_config(load_config(config, ()), display, seconds=0.05)


def changed(profile: Profile, around: tuple[Expense, ...] = (), **figures: Any) -> Profile:
    """A profile with figures set by hand: a step of 1 ms, two thirds of it at the layers."""
    layers = tuple(
        dataclasses.replace(layer, forward=1e-4, backward=1e-4, forward_work=1e3, backward_work=1e3)
        for layer in profile.step.layers
    )
    plain: dict[str, Any] = {
        "step": 1e-3,
        "watched": 1e-3,
        "watches": 0.0,
        "layers": layers,
        "data": 1e-4,
        "loss": 1e-4,
        "update": 1e-4,
        "all_threads": 1e11,
        "samples": 16.0,
        "evaluations": 1.0,
    }
    step = dataclasses.replace(profile.step, **(plain | figures))
    return dataclasses.replace(profile, step=step, around=around or (Expense("validation", 1e-6, "each epoch", 1.0),))


CASES = {
    "the layer": ({}, "20 % of a step goes to dense_1, at 0 % of the machine's speed: the layer to look at first."),
    "calls": ({"step": 1e-5, "watched": 1e-5}, "A step spends its time in function calls, not in arithmetic: "),
    "update": ({"update": 4e-4}, "40 % of a step goes to the update, which costs the same for any batch"),
    "normal equations": ({"normal_equations": 6e-4}, "60 % of a step goes to the normal equations"),
    "data": ({"data": 3e-4}, "30 % of a step goes to fetching the batch"),
    "arithmetic": ({"all_threads": 2e7}, "Arithmetic is the limit: the step runs at 60 % of the machine's speed."),
    "noise": ({"watched": 2e-3}, "other programs are at work"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_advice_follows_from_the_figures(iris, case):
    figures, wanted = CASES[case]
    assert wanted in advice(changed(iris, **figures))


def test_the_advice_names_what_comes_around_the_steps(iris):
    often = (Expense("row of loss.csv", 1e-4, "each epoch", 1e4),)
    assert advice(changed(iris, often)) == (
        "50 % of training goes not to steps but to 'row of loss.csv': training.log_every above 1 would help."
    )


def test_small_steps_get_the_advice_of_a_larger_batch_where_there_is_one(ok, configs, iris):
    small = {"step": 1e-5, "watched": 1e-5}
    assert "larger training.batch_size" in advice(changed(iris, **small))
    samples = dataclasses.replace(iris.training, options=dataclasses.replace(iris.training.options, batch_size=None))
    assert "only fewer steps would help" in advice(changed(dataclasses.replace(iris, training=samples), **small))
    whole = dataclasses.replace(samples, optimizer=LBFGS())
    assert "little to gain" in advice(changed(dataclasses.replace(iris, training=whole), **small))


def test_large_figures_and_long_names_fit_too(iris):
    profile = changed(iris, step=12.0, watched=12.0, data=11.0)
    layers = tuple(dataclasses.replace(layer, name="a_layer_with_a_name_of_its_own") for layer in profile.step.layers)
    text = profile_text(dataclasses.replace(profile, step=dataclasses.replace(profile.step, layers=layers)))
    assert max(map(len, text.splitlines())) <= 100
    assert "12,000,000" in text
    assert "a_layer_with_a_name_o..." in text
