"""Warnings of settings that cannot act or that mislead, before training and at its end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bpcli.build import advice
from bpcli.build.advice import grown_loss, no_descent, warnings, without_hidden_layer
from bpcli.build.session import open_session
from bpcli.config.load import load_config
from bpcli.engine import registry
from bpcli.engine.protocols import Progress

CONFIG = {
    "name": "lines",
    "data": {"train": "lines.csv", "task": "regression"},
    "network": {"layers": [1, 1]},
    "optimizer": {"type": "sgd", "learning_rate": 1.0e-4},
    "training": {"epochs": 10, "batch_size": 5},
}


@pytest.fixture
def said(write_config):
    """`said("training.epochs=3")`: the warnings for the config with these overrides."""
    Path("lines.csv").write_text("x,y\n" + "".join(f"{x},{3 * x + 1}\n" for x in range(20)))
    path = write_config(CONFIG, "lines.yaml")
    return lambda *overrides: warnings(open_session(load_config(path, overrides)))


def test_nothing_is_said_of_a_plain_config(said):
    assert said() == []


@pytest.mark.parametrize("name", registry.schedules.names())
def test_a_schedule_that_acts_is_passed_over(said, name):
    more = {"step": "every: 3", "exponential": "gamma: 0.9", "inverse_time": "decay: 0.1", "multi_step": "at: [9]"}
    more["reduce_on_plateau"] = "patience: 8"
    assert said(f"schedule={{type: {name}, {more.get(name, '')}}}") == []


@pytest.mark.parametrize(
    "schedule",
    [
        "{type: step, every: 10}",
        "{type: step, every: 40, by: iteration}",
        "{type: step, every: 2, gamma: 1}",
        "{type: multi_step, at: [10, 20]}",
        "multi_step",
        "{type: exponential, gamma: 1}",
        "{type: inverse_time, decay: 0}",
        "{type: reduce_on_plateau, patience: 9}",
        "reduce_on_plateau",
    ],
)
def test_a_schedule_that_cannot_act_is_named(said, schedule):
    (text,) = said(f"schedule={schedule}")
    assert text.startswith("warning: --set schedule: ")
    assert "never changes the learning rate within the 10 epochs of this training" in text


@pytest.mark.parametrize("schedule", ["{type: step, every: 39, by: iteration}", "{type: cosine, period: 1}"])
def test_a_schedule_that_acts_within_an_epoch_or_at_the_very_end_is_passed_over(said, schedule):
    cosine_by_iteration = schedule.replace("period: 1", "period: 4, by: iteration")
    assert said(f"schedule={cosine_by_iteration}") == []


ENDLESS = [
    "{type: step, every: 100000000000000}",
    "{type: step, every: 2, gamma: 1}",
    "{type: multi_step, at: [100000000000000]}",
    "{type: exponential, gamma: 1}",
    "{type: inverse_time, decay: 0}",
    "{type: reduce_on_plateau, patience: 10000000000000}",
    "{type: reduce_on_plateau, floor: 1}",
    "{type: cosine, period: 1}",
    "{type: cosine, end: 1}",
    "{type: polynomial, end: 1}",
]


@pytest.mark.parametrize("schedule", ENDLESS)
def test_a_schedule_that_cannot_act_is_named_at_once_however_many_epochs_there_are(said, schedule):
    started = time.monotonic()
    (text,) = said(f"schedule={schedule}", "training.epochs=10000000000000")
    assert "never changes the learning rate within the 10000000000000 epochs" in text
    assert time.monotonic() - started < 1.0


FAR = [
    "{type: step, every: 9999999999999}",
    "{type: step, every: 39999999999999, by: iteration}",
    "{type: multi_step, at: [5000000000000]}",
    "{type: cosine, period: 3333333333333}",
    "{type: cosine, period: 2}",
    "{type: cosine, period: 40, by: iteration}",
    "{type: polynomial, duration: 7}",
    "{type: reduce_on_plateau, patience: 9999999999998}",
]


@pytest.mark.parametrize("schedule", FAR)
def test_a_schedule_that_acts_late_or_periodically_in_an_endless_run_is_passed_over(said, schedule):
    assert said(f"schedule={schedule}", "training.epochs=10000000000000") == []


@pytest.mark.parametrize("schedule", [{"warmup": 2}, {"floor": 1.0}, {"cooldown": 3}, {"gamma": 0.0}])
@pytest.mark.parametrize("patience", [1, 3])
def test_reduce_on_plateau_knows_when_it_first_acts(schedule, patience):
    plateau = registry.schedules.get("reduce_on_plateau")(patience=patience, **schedule)
    for epochs in range(1, 12):
        memory, factors = {}, set()
        for epoch in range(epochs):
            factors.add(plateau.factor(Progress(epoch, epoch, 1, epochs), memory))
            plateau.after_epoch(0.0, memory)
        assert plateau.acts_within(epochs) == (len(factors) > 1)


def test_a_patience_that_outlasts_the_training_is_named(said):
    stopping = "training.early_stopping={monitor: train_loss, patience: %d, restore_best: %s}"
    assert said(stopping % (8, "true")) == []
    (text,) = said(stopping % (9, "true"))
    assert "training.early_stopping.patience: 9 epochs without a better one cannot pass before the end of 10" in text
    assert "the best epoch is kept all the same" in text
    assert "kept" not in said(stopping % (9, "false"))[0]


def test_early_stopping_really_stops_where_nothing_is_said(ok, said):
    stopping = "training.early_stopping={monitor: train_loss, patience: %d, min_delta: 1e9}"
    assert "9 epochs" in ok("train", "lines.yaml", "--set", stopping % 8).out
    assert "10 epochs" in ok("train", "lines.yaml", "--set", stopping % 9).out


def test_drop_last_with_a_batch_larger_than_the_data_is_named(said):
    assert said("training.drop_last=true", "training.batch_size=20") == []
    (text,) = said("training.drop_last=true", "training.batch_size=21")
    assert "training.drop_last" in text
    assert "all 20 training samples are one batch, smaller than batch_size 21" in text


@pytest.mark.parametrize("name", advice.RANGES)
def test_targets_that_the_output_cannot_reach_are_named(said, name):
    output = f"network.output_activation={name}"
    if advice.RANGES[name][1] < 2:
        if name != "softmax":  # refused over a single output
            (text,) = said(output)
            assert f"the output activation {name} reaches" in text
            assert "the targets are 1 to 58: take identity, or data.scale" in text
            assert said(output, "data.scale={y: minmax}") == []
    else:
        assert said(output) == []
        (text,) = said(output, "data.scale={y: standard}")
        assert "reaches 0 and above, the targets after scaling are -1.648 to 1.648: take identity" in text


def test_a_classification_has_targets_that_fit(configs):
    for name in ("xor", "iris"):
        assert warnings(open_session(load_config(configs / f"{name}.yaml"))) == []


def test_they_are_told_by_validate_train_and_a_resume_that_changes_something(ok, said, cli):
    idle = ("--set", "training.early_stopping={monitor: train_loss, patience: 9}")
    for command in ("validate", "train"):
        assert "training.early_stopping.patience: 9 epochs" in ok(command, "lines.yaml", *idle).err
    assert "warning" not in ok("train", "lines.yaml", *idle, "--quiet").err
    assert "warning" not in ok("resume", "runs/lines", "--set", "training.epochs=11").err
    said_now = ok("resume", "runs/lines", "--set", "training.epochs=12", "--set", "training.early_stopping.patience=11")
    assert "training.early_stopping.patience: 11 epochs" in said_now.err


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["network.activation=tanh", "network.output_activation=tanh"],
        ["network.layers=[2, 4, 2]", "network.output_activation=softmax", "loss=log_likelihood"],
        ["training.log_every=7"],
    ],
    ids=["sigmoid", "tanh", "softmax", "logged now and then"],
)
def test_a_far_too_high_rate_behind_saturated_units_is_warned_of(ok, configs, overrides, dtype):
    huge = ["optimizer.learning_rate=1e10", "training.epochs=50", f"dtype={dtype}", *overrides]
    arguments = [part for text in huge for part in ("--set", text)]
    err = ok("train", configs / "xor.yaml", *arguments).err
    assert (
        "warning: the training loss did not fall: " in err or "is still so in epoch 50: no weight moves any more" in err
    )
    assert "Try a lower optimizer.learning_rate (it was 1e+10)" in err


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_far_too_high_rate_without_saturation_diverges(cli, configs, dtype):
    huge = ["optimizer.learning_rate=1e10", "network.activation=relu", "network.output_activation=identity"]
    arguments = [part for text in (*huge, f"dtype={dtype}") for part in ("--set", text)]
    assert cli("train", configs / "xor.yaml", *arguments).code == 5


def test_a_loss_that_falls_is_no_matter(ok, configs):
    assert "warning" not in ok("train", configs / "xor.yaml", "--set", "training.epochs=200").err
    assert no_descent((1, 0.5), None, (1, 0.5), 0.1) is None
    assert no_descent((1, 0.5), (5, 0.3), (9, 0.4999), 0.1) is None
    assert no_descent(None, None, (9, 0.5), 0.1) is None
    assert no_descent((1, 0.0), (5, 0.0), (9, 0.0), 0.1) is None


def test_a_loss_that_stays_is_told():
    assert "did not fall: 0.5 in epoch 1, 0.5 in epoch 9" in no_descent((1, 0.5), (5, 0.1), (9, 0.5), 0.1)
    assert "was 0.2 in epoch 5 and is still so in epoch 9" in no_descent((1, 0.5), (5, 0.2), (9, 0.2), 0.1)


def test_classes_that_no_line_separates_ask_for_a_hidden_layer(ok, configs):
    said = ok("train", configs / "xor.yaml", "--set", "network.layers=[2, 1]").err
    assert "warning: the training loss was 0.25" in said
    assert "Without a hidden layer a network only separates classes by a line (a plane)" in said
    assert "no learning rate helps where no line separates them" in said
    assert "Add a hidden layer, such as network.layers: [2, 4, 1]" in said
    assert "lower optimizer.learning_rate" not in said


NO_HIDDEN = ["network={layers: [2, 1]}", "loss=log_likelihood", "optimizer={type: sgd, learning_rate: 0.5}"]


def test_a_loss_that_stands_at_that_of_a_guess_asks_for_a_hidden_layer(ok, configs):
    overrides = [part for text in NO_HIDDEN for part in ("--set", text)]
    said = ok("train", configs / "xor.yaml", *overrides, "--set", "training.epochs=500").err
    assert "warning: the training loss, 0.69315, is no lower than that of naming the classes' shares" in said
    assert "Add a hidden layer, such as network.layers: [2, 4, 1]" in said
    assert "Add a hidden layer" not in ok("train", configs / "xor.yaml", *overrides, "--set", "training.epochs=3").err
    assert "hidden" not in ok("train", configs / "or.yaml", "--set", "training.epochs=500").err


@pytest.mark.parametrize(
    ("layers", "is_affine"),
    [
        ("{layers: [2, 1], output_activation: sigmoid}", True),
        ("{layers: [2, 3, 1], activation: identity}", True),
        ("{layers: [{type: dropout, rate: 0.5}, {type: dense, units: 1, activation: sigmoid}]}", True),
        ("{layers: [{type: dense, units: 1}, {type: activation, function: sigmoid}]}", True),
        ("{layers: [2, 3, 1], activation: relu}", False),
        ("{layers: [{type: dense, units: 3}, {type: activation, function: tanh}, {type: dense, units: 1}]}", False),
        ("{layers: [{type: dense, units: 3}, prelu, {type: dense, units: 1}]}", False),
    ],
)
def test_a_network_without_a_layer_that_bends_has_no_hidden_layer(configs, layers, is_affine):
    model = open_session(load_config(configs / "xor.yaml", [f"network={layers}"])).model
    assert (without_hidden_layer(model) is not None) == is_affine


def test_a_network_with_a_hidden_layer_that_does_not_learn_asks_for_none(ok, configs):
    said = ok("train", configs / "xor.yaml", "--set", "optimizer.learning_rate=1e9").err
    assert "Try a lower optimizer.learning_rate" in said
    assert "Without a hidden layer" not in said


TIMES = [1_700_000_000 + 50 * k for k in range(20)]


@pytest.fixture
def timed(write_config):
    """The warnings for inputs that are times in seconds, and for targets that are, with these overrides."""
    Path("lines.csv").write_text("t,y\n" + "".join(f"{t},{k}\n" for k, t in enumerate(TIMES)))
    Path("targets.csv").write_text("k,t\n" + "".join(f"{k},{t}\n" for k, t in enumerate(TIMES)))
    path = write_config(CONFIG, "lines.yaml")
    return lambda *overrides: warnings(open_session(load_config(path, overrides)))


def test_times_that_float32_rounds_are_named(timed):
    (text,) = timed()
    assert 'input "t" is rounded to steps of 128 in float32, from 1700000000 to 1700000896' in text
    assert text.endswith("take data.scale: standard, which is fitted before, or dtype: float64")
    (text,) = timed("data.train=targets.csv")
    assert 'target "t" is rounded to steps of 128 in float32' in text


@pytest.mark.parametrize("override", ["dtype=float64", "data.scale=standard", "data.scale=minmax"])
def test_times_that_are_not_rounded_are_passed_over(timed, override):
    assert not any("rounded" in text for text in timed(override))
    assert timed("data.train=targets.csv", override) == []


@pytest.mark.parametrize(("labels", "told"), [(["1", "1.0"], True), (["01", "x", "1"], True), (["1.0", "2.0"], False)])
def test_two_classes_of_one_number_are_told(write_config, labels, told):
    Path("codes.csv").write_text("x,y\n" + "".join(f"{k},{label}\n" for k, label in enumerate(labels)))
    path = write_config(CONFIG, "codes.yaml", data={"train": "codes.csv"}, loss="log_likelihood")
    found = warnings(
        open_session(load_config(path, [f"network.layers=[1, {len(labels)}]", "network.output_activation=auto"]))
    )
    assert any("are two classes, though the same number" in text for text in found) == told
    if told:
        assert f'"{labels[0]}" and "{labels[-1]}"' in found[0]


@pytest.mark.parametrize(
    ("ids", "told"),
    [(range(1, 21), True), (range(100, 140, 2), True), ([*range(10, 20), *range(10)], True), ([1, 2] * 10, False)],
)
def test_a_feature_that_numbers_the_rows_is_told(write_config, ids, told):
    Path("ids.csv").write_text("id,a,y\n" + "".join(f"{id},{k % 7 / 2},{k}\n" for k, id in enumerate(ids)))
    path = write_config(CONFIG, "ids.yaml", data={"train": "ids.csv", "val": 0.2, "scale": "standard"})
    found = warnings(open_session(load_config(path, ["network.layers=[2, 1]"])))
    said = [text for text in found if '"id" counts the rows, or orders them' in text]
    assert len(said) == told
    assert all("leave it out, data.exclude: [id]" in text for text in said)
    assert all(text.endswith("A quantity of its own, such as a year, may stay") for text in said)
    assert warnings(open_session(load_config(path, ["network.layers=[2, 1]", "data.split=in_order"]))) == []
    assert warnings(open_session(load_config(path, ["network.layers=[1, 1]", "data.features=a"]))) == []


def test_a_single_feature_may_number_the_rows(write_config):
    """There is nothing else to learn from: a trend, a series."""
    Path("series.csv").write_text("t,y\n" + "".join(f"{t},{t % 5}\n" for t in range(20)))
    path = write_config(CONFIG, "series.yaml", data={"train": "series.csv", "scale": "standard"})
    assert warnings(open_session(load_config(path))) == []


def table(*rows, header="a,b,y"):
    Path("lines.csv").write_text("\n".join([header, *rows]) + "\n")


LARGE = [f"{30000.5 + 1000 * k},{k % 4},{'uvw'[k % 3]}" for k in range(15)]
CLASSES = ["data.task=classification", "loss=log_likelihood", "network.layers=[2, 4, 3]"]


def test_inputs_in_the_ten_thousands_without_scaling_are_named(said):
    table(*LARGE)
    (text,) = said(*CLASSES)
    assert 'data.scale: input "a" has values of about 37300 and is not scaled' in text
    assert text.endswith("take data.scale: standard")


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.scale=standard"],
        ["data.scale=minmax"],
        ["data.features=[b]", "network.layers=[1, 4, 3]"],
        ["network={layers: [{type: batch_norm}, {type: dense, units: 3}]}"],
        ["network={layers: [{type: dense, units: 3, weights: [[1.0e-5, 0], [0, 1], [0, 0]]}]}"],
    ],
)
def test_inputs_that_something_scales_are_passed_over(said, overrides):
    table(*LARGE)
    assert said(*CLASSES, *overrides) == []


def test_a_class_of_one_sample_is_named(said):
    table(*(f"{k},{k % 4},{'uv'[k % 2]}" for k in range(12)), "3,3,rare")
    (text,) = said(*CLASSES)
    assert 'data.train: class "rare" has one sample to train on' in text
    table("0,0,no", "0,1,no", "1,0,no", "1,1,yes")
    assert said(*CLASSES, "network.layers=[2, 4, 1]") == []


@pytest.mark.parametrize("name", ["val", "test"])
def test_a_split_of_one_sample_is_named(said, name):
    (text,) = said(f"data.{name}=0.05")
    assert f"data.{name}: the {name} split has one sample: its figures say nothing of others" in text
    assert said(f"data.{name}=0.1") == []


@pytest.mark.parametrize("rate", ["1e9", "1e5"])
def test_a_loss_far_above_that_of_the_untrained_network_is_told(ok, configs, rate):
    layers = ["network.activation=tanh", "data.scale=none", f"optimizer={{type: sgd, learning_rate: {rate}}}"]
    sets = [part for text in (*layers, "training.epochs=20") for part in ("--set", text)]
    err = ok("train", configs / "iris.yaml", *sets).err
    assert "warning: the training loss " in err
    assert f"Try a lower optimizer.learning_rate (it was {float(rate):g})" in err


def test_the_loss_of_the_untrained_network_is_the_measure(said, write_config):
    Path("lines.csv").write_text("x,y\n0,1\n1,3\n")
    session = open_session(load_config(write_config(CONFIG, "lines.yaml")))
    assert grown_loss(session, 1.0) is None
    text = grown_loss(session, 1e5)
    assert text.startswith("warning: the training loss is 1e+05 at the end, and was ")


@pytest.mark.parametrize("scale", ["standard", "minmax"])
@pytest.mark.parametrize("value", ["1e300", "-1e12"])
def test_a_value_beside_which_its_column_is_flat_is_named(ok, write_config, scale, value):
    table(*(f"{k / 10},{k % 3},{k}" for k in range(12)), f"{value},1,5")
    path = write_config(CONFIG, "lines.yaml", network={"layers": [2, 1]})
    err = ok("validate", path, "--set", f"data.scale={scale}").err
    assert f'lines.csv: sample 13 holds {float(value):g} in "a", beside which data.scale makes all other values' in err


def test_columns_that_only_look_lonely_are_passed_over(ok, write_config):
    table(*(f"0,{k + 0.5},{k}" for k in range(12)), "1,1e5,5", "0,2e5,6")
    path = write_config(CONFIG, "lines.yaml", network={"layers": [2, 1]})
    assert ok("validate", path, "--set", "data.scale=standard").err == ""


def test_a_loss_that_grew_is_answered_with_the_learning_rate_whatever_the_layers():
    hidden = "Add a hidden layer"
    assert hidden in (no_descent((1, 0.5), None, (9, 0.6), 0.1, hidden) or "")
    assert "Try a lower optimizer.learning_rate" in (no_descent((1, 30.0), None, (9, 1e5), 0.1, hidden) or "")


def test_classes_written_one_hot_are_told(write_config):
    rows = [(k % 7, k % 5, *(int(k % 3 == c) for c in range(3))) for k in range(30)]
    target = {"train": "hot.csv", "target": ["a", "b", "c"]}

    def told(rows):
        Path("hot.csv").write_text("x1,x2,a,b,c\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
        path = write_config(CONFIG, "hot.yaml", data=target, loss="log_likelihood")
        return [
            text for text in warnings(open_session(load_config(path, ["network.layers=[2, 3]"]))) if "single 1" in text
        ]

    (text,) = told(rows)
    assert 'data.target: each sample has a single 1 among "a", "b", "c": they are taken for 3 yes-or-no targets' in text
    assert told([*rows, (1, 1, 1, 1, 0)]) == []
