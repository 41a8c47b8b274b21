"""bpcli predict: a stranger's way from a table of their own to predictions."""

from __future__ import annotations

import csv
import io
import os
import re
import stat
import threading
from pathlib import Path

import numpy as np
import pytest

import bpcli

FRUIT = {
    "name": "fruit",
    "seed": 4,
    "data": {"train": "fruit.csv", "target": "fruit", "scale": "standard", "test": 0.2},
    "network": {"layers": [2, 8, 3], "activation": "tanh"},
    "loss": "log_likelihood",
    "optimizer": {"type": "adam", "learning_rate": 0.02},
    "training": {"epochs": 60, "batch_size": 8},
}
CENTRES = {"apple": (150.0, 7.0), "cherry, sweet": (8.0, 2.0), "melon": (1500.0, 20.0)}


def fruit_rows(n):
    """n rows of weight, width and kind."""
    rng = np.random.default_rng(0)
    for k in range(n):
        name = list(CENTRES)[k % 3]
        weight, width = CENTRES[name] * rng.normal(1.0, 0.05, 2)
        yield [f"{weight:.3f}", f"{width:.3f}", name]


def write_csv(path, rows):
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def parsed(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def fruit(write_config):
    """A table with text labels, and a config for it."""
    write_csv("fruit.csv", [["weight", "width", "fruit"], *fruit_rows(60)])
    return write_config(FRUIT, "fruit.yaml")


@pytest.fixture
def run(fruit, ok):
    ok("train", fruit)
    return Path("runs/fruit")


def test_from_a_table_to_predictions(fruit, ok):
    assert "3 classes: apple, cherry, sweet, melon" in ok("validate", fruit).out
    ok("train", fruit)
    assert re.search(r"\naccuracy +1 ", ok("eval").out)
    write_csv("new.csv", [["weight", "width"], [140, 6.5], [1400, 21], [9, 2.1]])
    rows = parsed(ok("predict", "new.csv").out)
    assert [row["prediction"] for row in rows] == ["apple", "melon", "cherry, sweet"]


def test_gives_a_probability_for_each_class(run, ok):
    rows = parsed(ok("predict", run, "fruit.csv").out)
    assert list(rows[0]) == ["prediction", "p_apple", "p_cherry, sweet", "p_melon"]
    for row in rows:
        p = [float(row[f"p_{name}"]) for name in CENTRES]
        assert sum(p) == pytest.approx(1, abs=1e-5)
        assert row["prediction"] == list(CENTRES)[int(np.argmax(p))]


def test_a_row_for_each_sample_in_their_order(run, ok):
    rows = parsed(ok("predict", run, "fruit.csv").out)
    assert [row["prediction"] for row in rows] == [row[2] for row in fruit_rows(60)]


def test_numbers_read_back_as_they_were(run, ok):
    import bpcli

    rows = parsed(ok("predict", run, "fruit.csv").out)
    values = bpcli.load(run).predict_file(Path("fruit.csv")).values
    np.testing.assert_array_equal([float(row["p_melon"]) for row in rows], values[:, 2])


@pytest.mark.parametrize(
    "columns",
    [["width", "weight"], ["fruit", "width", "weight"], ["weight", "width", "colour"], ["id", "width", "x", "weight"]],
    ids=["another order", "with the target", "an extra column", "extra columns before"],
)
def test_columns_are_matched_by_name(run, ok, columns):
    given = [dict(zip(["weight", "width", "fruit"], row, strict=True)) for row in fruit_rows(9)]
    write_csv("new.csv", [columns, *([row.get(name, "7") for name in columns] for row in given)])
    write_csv("plain.csv", [["weight", "width"], *([row["weight"], row["width"]] for row in given)])
    assert ok("predict", run, "new.csv").out == ok("predict", run, "plain.csv").out


def test_an_unseen_class_in_the_target_column_is_no_matter(run, ok):
    write_csv("new.csv", [["weight", "width", "fruit"], [140, 7, "unknown"]])
    assert parsed(ok("predict", run, "new.csv").out)[0]["prediction"] == "apple"


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([["weight"], [1]], "width"),
        ([["weight", "width"], [1, "broad"]], "broad"),
        ([["weight", "width"], [1, ""]], "width"),
        ([["weight", "width"], [1, "nan"]], "width"),
        ([["weight", "width"]], "new.csv"),
        ([[140, 7], [140, 7]], "width"),
    ],
    ids=["missing feature", "text", "empty cell", "nan", "no rows", "no header"],
)
def test_data_that_do_not_fit_are_exit_code_3(run, cli, rows, named):
    write_csv("new.csv", rows)
    result = cli("predict", run, "new.csv")
    assert result.code == 3
    assert "new.csv" in result.err
    assert named in result.err
    assert result.out == ""


def test_a_file_that_is_not_there_is_exit_code_3(run, cli):
    result = cli("predict", run, "nothing.csv")
    assert result.code == 3
    assert "nothing.csv" in result.err


def test_a_run_without_a_data_file_says_what_is_missing(run, cli):
    result = cli("predict", run)
    assert result.code in (2, 3)
    assert "INPUT" in result.err or "data file" in result.err


@pytest.mark.parametrize("option", ["-o", "--output"])
def test_writes_to_a_file(run, ok, option):
    shown = ok("predict", run, "fruit.csv").out
    result = ok("predict", run, "fruit.csv", option, "predictions.csv")
    assert Path("predictions.csv").read_text() == shown
    assert result.out == ""
    assert "predictions.csv: 60 predictions" in result.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_output_to_a_device_or_pipe_does_not_replace_it(run, ok):
    os.mkfifo("pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append(Path("pipe").read_text()), daemon=True)
    reader.start()
    ok("predict", run, "fruit.csv", "-o", "pipe")
    assert stat.S_ISFIFO(Path("pipe").stat().st_mode)
    reader.join(5)
    assert len(parsed(read[0])) == 60


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_output_through_a_link_writes_where_it_leads(run, ok):
    Path("elsewhere").mkdir()
    Path("link.csv").symlink_to("elsewhere/predictions.csv")
    ok("predict", run, "fruit.csv", "-o", "link.csv")
    assert len(parsed(Path("elsewhere/predictions.csv").read_text())) == 60


def test_takes_a_checkpoint_file(run, ok):
    best = run / "checkpoints" / "best.npz"
    assert ok("predict", best, "fruit.csv").out == ok("predict", run, "fruit.csv").out


def test_a_checkpoint_is_enough_without_its_run(run, ok):
    shown = ok("predict", run, "fruit.csv").out
    Path("model.npz").write_bytes((run / "checkpoints" / "best.npz").read_bytes())
    for path in sorted(run.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert ok("predict", "model.npz", "fruit.csv").out == shown


def test_two_classes_on_one_output_give_a_probability_each(ok, configs, datasets):
    ok("train", configs / "xor.yaml")
    rows = parsed(ok("predict", datasets / "xor.csv").out)
    assert [row["prediction"] for row in rows] == ["0", "1", "1", "0"]
    assert list(rows[0]) == ["prediction", "p_0", "p_1"]


def test_several_targets_keep_their_names(ok, configs, datasets):
    ok("train", configs / "textbook-2-2-2.yaml")
    assert ok("predict", datasets / "textbook-2-2-2.csv").out.startswith("t1,t2\n")


@pytest.mark.parametrize("scale", ["none", "standard", "minmax"])
def test_regression_gives_the_datas_own_units(ok, write_config, scale):
    x = np.linspace(0, 1, 40)
    factor = 1.0 if scale == "none" else 1000.0
    write_csv("line.csv", [["x", "y"], *([f"{value}", f"{factor * (2 * value + 5)}"] for value in x)])
    config = {
        "data": {"train": "line.csv", "scale": scale},
        "network": {"layers": [1, 1]},
        "optimizer": {"type": "adam", "learning_rate": 0.1},
        "training": {"epochs": 150, "batch_size": 8},
    }
    ok("train", write_config(config, "line.yaml"))
    rows = parsed(ok("predict", "line.csv").out)
    assert list(rows[0]) == ["y"]
    np.testing.assert_allclose([float(row["y"]) for row in rows], factor * (2 * x + 5), rtol=0.05)


@pytest.mark.parametrize("command", ["predict", "eval"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("b,y\n1,2\n", 'd.csv: no column "a", which the network was trained on; it has "b", "y"'),
        (
            "a,b,y\n1,2,3\nx,4,5\n",
            'd.csv:3: column "a": got "x", expected a number (the network was trained on numbers',
        ),
        ("a,b,y\nu,2,3\nx,4,5\n", 'd.csv:2: column "a": got "u", expected a number (the network was trained on'),
        ("a,b,y\n1,,3\n", 'd.csv:2: column "b": missing value; fill it or drop the row (missing in 1 rows: 1 in "b")'),
        ("a;b;y\n1;2,5;3\n", 'd.csv:2: column "b": got "2,5", expected a number (decimal comma? write 2.5)'),
    ],
)
def test_a_file_that_does_not_fit_is_not_answered_with_keys_of_a_config(sums, cli, command, text, message):
    Path("d.csv").write_text(text)
    result = cli("predict", sums, "d.csv") if command == "predict" else cli("eval", sums, "--data", "d.csv")
    assert (result.code, result.out) == (3, "")
    assert message in result.err
    assert "data." not in result.err


def test_arrays_for_a_network_of_named_columns_are_told_of_them(sums, cli):
    np.save("x.npy", np.ones((3, 2)))
    np.save("y.npy", np.ones(3))
    for arguments in (["predict", sums, "x.npy"], ["eval", sums, "--data", "x.npy", "--data", "y.npy"]):
        result = cli(*arguments)
        assert result.code == 3
        assert 'x.npy: has no names of columns; the network was trained on "a", "b"' in result.err
    result = cli("eval", sums, "--data", "sums.csv", "--data", "sums.csv")
    assert (result.code, "holds x and y together; give --data once" in result.err) == (3, True)


def test_labels_are_asked_for_with_the_option_that_takes_them(ok, cli, write_config):
    np.save("x.npy", np.ones((3, 2)))
    np.save("y.npy", np.ones(3))
    data = {"train": {"x": "x.npy", "y": "y.npy"}, "task": "regression"}
    config = {"name": "n", "data": data, "network": {"layers": [2, 1]}, "training": {"epochs": 1}}
    ok("train", write_config(config))
    result = cli("eval", "runs/n", "--data", "x.npy")
    assert result.code == 3
    assert "x.npy: holds one array; give the labels too: --data x.npy --data LABELS.npy" in result.err


@pytest.fixture
def sums(ok, write_config):
    """The run of a network that was trained on the columns a and b."""
    Path("sums.csv").write_text("a,b,y\n1,2,3\n2,3,5\n")
    data = {"train": "sums.csv", "task": "regression"}
    config = {"name": "sums", "data": data, "network": {"layers": [2, 1]}, "training": {"epochs": 1}}
    ok("train", write_config(config, "sums.yaml"))
    return Path("runs/sums")


@pytest.mark.parametrize("name", ["fruit.csv", "link.csv", "./fruit.csv"])
def test_the_data_file_is_never_overwritten(run, cli, name):
    Path("link.csv").symlink_to("fruit.csv")
    before = Path("fruit.csv").read_bytes()
    result = cli("predict", run, "fruit.csv", "-o", name)
    assert result.code == 2
    assert "is the data file itself" in result.err
    assert Path("fruit.csv").read_bytes() == before


def test_data_that_are_missing_are_told_beside_an_output_that_is_there(run, cli):
    Path("out.csv").write_text("before")
    result = cli("predict", run, "nothing.csv", "-o", "out.csv")
    assert result.code == 3
    assert "nothing.csv" in result.err
    assert Path("out.csv").read_text() == "before"


@pytest.mark.parametrize("output", ["a", "a/x"])
def test_links_in_a_circle_are_written_to_by_nobody(cli, ok, configs, datasets, output):
    ok("train", configs / "xor.yaml", "--out", "run", "--set", "training.epochs=2")
    Path("a").symlink_to("b")
    Path("b").symlink_to("a")
    result = cli("predict", "run", datasets / "xor.csv", "-o", output)
    assert result.code == 6
    assert result.err.startswith("error: cannot write ")
    assert Path("a").is_symlink()
    assert sorted(path.name for path in Path().iterdir()) == ["a", "b", "run"]


def trained_far_out(ok, write_config, **changes):
    """A run of float64 whose hidden layer is relu: inputs of 1e308 lead to outputs that are not finite."""
    network = {"layers": [2, 8, 3], "activation": "relu", "init": {"type": "normal", "std": 10.0}}
    data = {"train": "fruit.csv", "target": "fruit"}
    changes = {"data": data, "network": network, "dtype": "float64", "name": "far", **changes}
    write_csv("fruit.csv", [["weight", "width", "fruit"], *fruit_rows(60)])
    ok("train", write_config(FRUIT, "far.yaml", training={"epochs": 1}, **changes))
    return Path("runs/far")


def test_outputs_that_are_not_finite_give_no_class_and_are_told(ok, write_config):
    run = trained_far_out(ok, write_config)
    write_csv("new.csv", [["weight", "width"], [140, 6.5], [1e308, -1e308], [9, 2.1], [-1e308, 1e308]])
    result = ok("predict", run, "new.csv")
    rows = parsed(result.out)
    assert [row["prediction"] == "" for row in rows] == [False, True, False, True]
    assert {rows[1][f"p_{name}"] for name in CENTRES} == {"nan"}
    assert result.err == (
        "warning: new.csv: what the network gives for 2 of 4 rows is not finite, so that they have no class "
        "(rows 2, 4): are they in the units of the training data?\n"
    )


def test_outputs_that_are_not_finite_have_no_label(ok, write_config):
    prediction = bpcli.load(trained_far_out(ok, write_config)).predict([[140, 6.5], [1e308, -1e308]])
    assert (prediction.labels == "").tolist() == [False, True]
    assert np.isnan(prediction.values[1]).all()
    assert "row 2" in prediction.notes[0]


def test_values_that_are_not_finite_are_told(ok, write_config):
    write_csv("sums.csv", [["a", "b", "y"], *([k, k + 1, 2 * k + 1] for k in range(9))])
    network = {"layers": [2, 8, 1], "activation": "relu", "init": {"type": "normal", "std": 10.0}}
    run = trained_far_out(ok, write_config, data={"train": "sums.csv"}, loss="mse", network=network)
    write_csv("new.csv", [["a", "b"], [1e308, -1e308], [1, 2]])
    result = ok("predict", run, "new.csv")
    assert not np.isfinite(float(parsed(result.out)[0]["y"]))
    assert "warning: new.csv: what the network gives for 1 of 2 rows is not finite (row 1): are they" in result.err


def test_an_evaluation_of_outputs_that_are_not_finite_is_told_as_worthless(ok, write_config):
    run = trained_far_out(ok, write_config)
    write_csv("new.csv", [["weight", "width", "fruit"], [1e308, -1e308, "apple"], [150, 7, "apple"]])
    err = ok("eval", run, "--data", "new.csv").err
    assert "warning: new.csv: what the network gives for 1 of 2 samples is not finite" in err


def test_a_sample_that_scaling_takes_beyond_all_numbers_is_named(ok, cli, write_config):
    write_csv("small.csv", [["a", "y"], *([f"{k}e-300", k] for k in range(1, 9))])
    data = {"train": "small.csv", "scale": "standard"}
    ok("train", write_config(FRUIT, "s.yaml", data=data, network={"layers": [1, 1]}, loss="mse", name="s"))
    write_csv("new.csv", [["a"], [1e-300], [1e300]])
    result = cli("predict", "runs/s", "new.csv")
    assert result.code == 3
    assert 'new.csv: sample 2 is inf in column "a" as the network takes it, no finite number' in result.err


REFUSED = {
    "best": "runs/fruit/checkpoints/best.npz",
    "last": "runs/fruit/checkpoints/last.npz",
    "one that is not there": "runs/fruit/checkpoints/last-9.npz",
    "config": "runs/fruit/config.yaml",
    "log": "runs/fruit/loss.csv",
    "summary": "runs/fruit/summary.json",
    "lock": "runs/fruit/.lock",
    "log put aside": "runs/fruit/loss-old-1.csv",
    "config put aside": "runs/fruit/config-old-1.yaml",
    "training data": "fruit.csv",
    "another run": "runs/fruit-2/checkpoints/best.npz",
}


@pytest.mark.parametrize("how", ["by name", "by a link", "by a hard link"])
@pytest.mark.parametrize("what", REFUSED)
def test_an_output_never_replaces_what_the_command_reads_or_a_run_keeps(run, cli, ok, fruit, what, how):
    if what == "another run":
        ok("train", fruit)
    write_csv("new.csv", [["weight", "width"], ["150", "7"]])
    target, output = Path(REFUSED[what]), Path(REFUSED[what])
    if what.endswith("put aside"):
        target.write_text("kept\n")
    if how != "by name":
        output = Path("out.csv")
        if how == "by a link":
            output.symlink_to(target.absolute())
        elif target.exists() and what != "another run":
            output.hardlink_to(target)
        else:
            return
    before = target.read_bytes() if target.exists() else None
    result = cli("predict", run, "new.csv", "-o", output)
    assert result.code == 2
    assert f"{output} is " in result.err
    assert "name another" in result.err
    assert (target.read_bytes() if target.exists() else None) == before


def test_an_output_beside_the_files_of_a_run_is_written(run, ok):
    ok("predict", run, "fruit.csv", "-o", run / "predictions.csv")
    assert len(parsed((run / "predictions.csv").read_text())) == 60


def test_a_users_file_with_the_name_of_a_temporary_one_is_left_alone(run, ok):
    Path(".p.csv.tmp").write_text("mine")
    ok("predict", run, "fruit.csv", "-o", "p.csv")
    assert Path(".p.csv.tmp").read_text() == "mine"


def test_an_output_that_is_replaced_keeps_its_permissions(run, ok):
    Path("p.csv").touch(mode=0o600)
    ok("predict", run, "fruit.csv", "-o", "p.csv")
    assert stat.S_IMODE(Path("p.csv").stat().st_mode) == 0o600


def test_an_output_to_the_pipe_behind_stdout_is_written(run, process):
    result = process("predict", run, "fruit.csv", "-o", "/dev/stdout")
    assert result.code == 0, result.err
    assert len(parsed(result.out)) == 60


def test_links_in_a_circle_are_exit_code_6(run, cli):
    Path("p.csv").symlink_to("q.csv")
    Path("q.csv").symlink_to("p.csv")
    result = cli("predict", run, "fruit.csv", "-o", "p.csv")
    assert result.code == 6
    assert "cannot write p.csv: Too many levels of symbolic links" in result.err
