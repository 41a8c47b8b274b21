"""bpcli eval beside each metric: baselines, interval, calibration error, threshold; and the importance of columns."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def scores(ok):
    return lambda *arguments: json.loads(ok("eval", *arguments, "--json").out)


@pytest.fixture
def trained(ok, write_config):
    """Trains on a CSV of these rows, whose last column is the target; gives the run's folder."""

    def train(rows: Any, **changes: Any) -> Path:
        rows = [list(row) for row in rows]
        names = [f"x{k}" for k in range(len(rows[0]) - 1)] + ["y"]
        lines = [",".join(map(str, row)) for row in [names, *rows]]
        Path("d.csv").write_text("\n".join(lines) + "\n")
        config = {
            "name": "run",
            "data": {"train": "d.csv"},
            "network": {"layers": [len(names) - 1, 1]},
            "training": {"epochs": 2},
        }
        ok("train", write_config(config | changes, "run.yaml"), "--out", "run")
        return Path("run")

    return train


def summary() -> dict[str, Any]:
    return json.loads(Path("run/summary.json").read_text())


def two_classes(n: int, *, rare: int = 2) -> list[tuple[float, float, str]]:
    rng = np.random.default_rng(0)
    y = np.arange(n) % rare == 0
    return [(*rng.normal(size=2) + 2.0 * yes, "yes" if yes else "no") for yes in y]


CLASSIFICATION = {"loss": "log_likelihood", "network": {"layers": [2, 1]}}


def test_the_table_has_a_column_for_the_interval_and_each_baseline(trained, ok):
    trained(two_classes(40), **CLASSIFICATION)
    out = ok("eval", "run").out
    head, loss, accuracy, calibration = out.splitlines()[2:6]
    assert re.split(r"\s{2,}", head.strip()) == ["value", "95 % interval", "majority", "linear"]
    assert re.fullmatch(r"loss +\S+", loss)
    assert re.fullmatch(r"accuracy +\S+ +\S+ to \S+ +0\.5 +\S+", accuracy)
    assert calibration.startswith("calibration_error")
    assert "95 % interval: bootstrap over the samples, 1,000 resamples\n" in out
    assert "majority: the training split's class shares, whatever the inputs\n" in out
    assert "linear: logistic regression on the same inputs\n" in out
    assert max(map(len, out.splitlines())) <= 100


def test_the_numbers_of_the_summary_are_those_of_eval(ok, configs, scores):
    ok("train", configs / "breast-cancer.yaml", "--out", "run")
    kept = summary()
    for split in ("train", "val", "test"):
        got = scores("run", "--split", split)
        assert {name: values[split] for name, values in kept["baselines"].items() if name in got["baselines"]} == {
            name: {metric: values[metric] for metric in got["metrics"]} for name, values in got["baselines"].items()
        }
        assert kept["calibration_error"][split] == got["all_metrics"]["calibration_error"]
        if split != "train":
            assert kept["intervals"][split] == got["intervals"]
    assert "train" not in kept["intervals"]
    assert [kept["threshold"][name]["epoch"] for name in ("best", "last")] == [kept["best_epoch"], kept["epochs"]]
    for which, values in kept["threshold"].items():
        got = scores("run", "--split", "val", "--checkpoint", which)["threshold"]
        assert {**got, "epoch": values["epoch"], "iterations": values["iterations"]} == values


def test_the_majority_says_the_class_shares_of_the_training_split(trained, scores):
    trained(two_classes(90, rare=3), **CLASSIFICATION)
    majority = scores("run")["baselines"]["majority"]
    shares = np.array([2 / 3, 1 / 3])
    assert majority["accuracy"] == pytest.approx(2 / 3)
    assert majority["log_loss"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert majority["roc_auc"] == 0.5
    assert majority["calibration_error"] == 0.0


def test_the_mean_of_a_regression_is_in_the_datas_own_units(trained, ok, scores):
    rng = np.random.default_rng(1)
    rows = [(x, 1000 + 50 * x + 5 * rng.normal()) for x in rng.normal(size=40)]
    trained(rows, data={"train": "d.csv", "scale": "standard"})
    got = scores("run")["baselines"]
    y = np.array([row[1] for row in rows])
    assert got["mean"]["rmse"] == pytest.approx(y.std(), rel=1e-6)
    assert got["mean"]["r2"] == pytest.approx(0, abs=1e-9)
    assert got["linear"]["rmse"] < 6
    out = ok("eval", "run").out
    assert "mean: the training split's mean, whatever the inputs\nlinear: linear regression on the same inputs\n" in out
    assert "calibration" not in out


def test_other_data_have_the_same_baselines_without_the_training_data(trained, scores):
    trained(two_classes(40), **CLASSIFICATION)
    own = scores("run")
    Path("other.csv").write_text(Path("d.csv").read_text())
    Path("d.csv").unlink()
    other = scores("run", "--data", "other.csv")
    assert {key: other[key] for key in ("baselines", "intervals", "threshold")} == {
        key: own[key] for key in ("baselines", "intervals", "threshold")
    }


def test_the_intervals_are_drawn_from_the_configs_seed(trained, scores):
    rows = two_classes(40)
    trained(rows, **CLASSIFICATION)
    assert scores("run")["intervals"] == scores("run")["intervals"]
    assert scores("run")["interval_resamples"] == 1000


@pytest.mark.parametrize(("rows", "shown"), [(9, False), (10, True)])
def test_few_samples_have_no_interval(trained, ok, scores, rows, shown):
    trained([(x, x * x) for x in range(rows)])
    assert bool(scores("run")["intervals"]) == shown
    assert ("95 % interval" in ok("eval", "run").out) == shown


def test_one_sample_is_evaluated(trained, ok, scores):
    trained(two_classes(40), **CLASSIFICATION)
    Path("one.csv").write_text("x0,x1,y\n0.5,1,yes\n")
    got = scores("run", "--data", "one.csv")
    assert (got["samples"], got["intervals"]) == (1, {})
    assert "nan" not in ok("eval", "run", "--data", "one.csv").out


def test_a_target_that_never_varies_has_baselines(trained, scores):
    trained([(x, 3.5) for x in range(20)])
    got = scores("run")["baselines"]
    assert got["mean"]["rmse"] == got["linear"]["rmse"] == 0.0
    assert got["mean"]["r2"] == 1.0


def test_a_split_of_one_class_is_compared(trained, ok, scores):
    trained(two_classes(40), **CLASSIFICATION)
    rows = Path("d.csv").read_text().splitlines()
    Path("ones.csv").write_text("\n".join([rows[0], *(row for row in rows if row.endswith("yes"))]) + "\n")
    got = scores("run", "--data", "ones.csv")
    assert got["baselines"]["majority"]["roc_auc"] == 0.5
    assert ok("eval", "run", "--data", "ones.csv").err == ""


@pytest.mark.parametrize("weights", ["sample_weight", "class_weights"])
def test_weights_go_into_the_linear_model_and_not_into_the_majority(ok, write_config, scores, weights):
    rows = two_classes(60, rare=4)
    header = "w,x0,x1,y" if weights == "sample_weight" else "x0,x1,y"
    lines = [",".join(map(str, (3.0 if row[2] == "yes" else 1.0, *row))) for row in rows]
    lines = lines if weights == "sample_weight" else [line.partition(",")[2] for line in lines]
    Path("d.csv").write_text("\n".join([header, *lines]) + "\n")
    keys = {"sample_weight": "w"} if weights == "sample_weight" else {"class_weights": {"yes": 3, "no": 1}}
    found = []
    for name, data in (
        ("weighted", {"train": "d.csv", **keys}),
        ("plain", {"train": "d.csv", "features": ["x0", "x1"]}),
    ):
        config = {"data": data, "training": {"epochs": 1}, "dtype": "float64", **CLASSIFICATION}
        ok("train", write_config(config, f"{name}.yaml"), "--out", name)
        found.append(scores(name)["baselines"])
    assert found[0]["majority"] == found[1]["majority"]
    assert found[0]["linear"]["log_loss"] > found[1]["linear"]["log_loss"]  # which the plain one minimises


def test_several_yes_or_no_targets_have_baselines_and_intervals_by_row(ok, write_config, scores):
    rng = np.random.default_rng(2)
    rows = [(x, int(x > 0), int(rng.uniform() < 0.3), int(x > -1)) for x in rng.normal(size=50)]
    Path("d.csv").write_text("x,a,b,c\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
    config = {
        "data": {"train": "d.csv", "target": ["a", "b", "c"]},
        "network": {"layers": [1, 3]},
        "loss": "log_likelihood",
        "training": {"epochs": 3},
    }
    ok("train", write_config(config), "--out", "run")
    got = scores("run")
    shares = np.array(rows)[:, 1:].mean(axis=0)
    assert got["baselines"]["majority"]["accuracy"] == pytest.approx(np.maximum(shares, 1 - shares).mean())
    assert got["baselines"]["linear"]["accuracy"] > got["baselines"]["majority"]["accuracy"]
    assert got["threshold"] is None
    assert set(got["intervals"]) == {"accuracy"}


def test_several_numbers_have_baselines(ok, write_config, scores):
    x = np.arange(30.0)
    np.savez("d.npz", x=x[:, None], y=np.stack([2 * x, 100 - x], axis=1))
    config = {"data": {"train": "d.npz"}, "network": {"layers": [1, 2]}, "optimizer": "adam", "training": {"epochs": 1}}
    ok("train", write_config(config), "--out", "run")
    got = scores("run")["baselines"]
    assert got["mean"]["rmse"] == pytest.approx(x.std() * 1.5)
    assert got["linear"]["r2"] > 0.99


# --- the threshold ----------------------------------------------------------------------------------------------------


def test_the_best_threshold_comes_from_the_validation_split(ok, write_config, scores):
    rng = np.random.default_rng(4)
    for name, n in (("train", 200), ("val", 100), ("test", 100)):
        y = rng.uniform(size=n) < 0.1
        lines = [f"{1.5 * yes + rng.normal()},{int(yes)}" for yes in y]
        Path(f"{name}.csv").write_text("x,y\n" + "\n".join(lines) + "\n")
    config = {
        "data": {"train": "train.csv", "val": "val.csv", "test": "test.csv", "task": "classification"},
        "network": {"layers": [1, 1]},
        "loss": "log_likelihood",
        "optimizer": {"type": "adam", "learning_rate": 0.1},
        "training": {"epochs": 40},
    }
    ok("train", write_config(config), "--out", "run")
    found = scores("run")["threshold"]
    assert (found["class"], found["used"], found["best_by"]) == ("1", 0.5, "balanced_accuracy")
    assert 0 < found["best_on_val"] < 0.3
    on_val = scores("run", "--split", "val")["threshold"]
    assert on_val["best_on_val"] == found["best_on_val"]
    assert on_val["at_best"]["balanced_accuracy"] > on_val["at_used"]["balanced_accuracy"]
    out = ok("eval", "run").out
    assert "threshold: the class is 1 where its probability is above 0.5\n" in out
    head, used, best = out[out.index("\nthreshold  ") :].splitlines()[1:4]
    assert head.split() == ["threshold", "accuracy", "balanced_accuracy", "f1", "mcc"]
    assert used.startswith("0.5, used ")
    assert re.match(r"0\.\d+, best balanced_accuracy on val ", best)


def test_without_a_validation_split_there_is_only_the_threshold_that_was_used(trained, ok, scores):
    trained(two_classes(40), **CLASSIFICATION)
    found = scores("run")["threshold"]
    assert (found["used"], found["best_on_val"], found["at_best"]) == (0.5, None, None)
    assert "best balanced_accuracy" not in ok("eval", "run").out
    assert summary()["threshold"] == {}


@pytest.mark.parametrize(("units", "used"), [(1, 0.0), (2, None)])
def test_the_threshold_of_outputs_that_are_no_probabilities(trained, ok, scores, units, used):
    """One output of hinge is compared with 0; of two, the larger decides."""
    trained(two_classes(40), loss="hinge", network={"layers": [2, units]})
    threshold = scores("run")["threshold"]
    assert (threshold and threshold["used"]) == used
    out = ok("eval", "run").out
    assert ("threshold: the class is yes where its output is above 0\n" in out) == (units == 1)
    assert "calibration_error" not in out
    assert summary()["calibration_error"] == {}


# --- where there are none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["removed", "without", "text", "not json", "other shape", "not finite", "a list"])
def test_a_run_without_baselines_is_evaluated_and_told_how_to_get_them(trained, ok, scores, damage):
    trained(two_classes(40), **CLASSIFICATION)
    whole, path = summary(), Path("run/summary.json")
    before = scores("run")
    changed = json.loads(path.read_text())
    if damage == "without":
        del changed["baselines"]
    elif damage == "text":
        changed["baselines"]["linear_model"]["b"] = "abc"
    elif damage == "other shape":
        changed["baselines"]["constant"] = [0.5]
    elif damage == "not finite":
        changed["baselines"]["linear_model"]["b"] = "nan"
    path.write_text({"not json": "{", "a list": "[]"}.get(damage) or json.dumps(changed))
    if damage == "removed":
        path.unlink()
    result = ok("eval", "run", "--json")
    assert "run: has no baselines to compare with: bpcli resume run adds them\n" in result.err
    assert json.loads(result.out) == before | {"baselines": {}}
    if damage in ("removed", "without"):
        ok("resume", "run")
        assert summary() == whole


def test_a_summary_of_other_data_is_not_believed(trained, ok):
    trained(two_classes(40), **CLASSIFICATION)
    values = summary()
    values["data_sha256"] = {"train: d.csv": "0" * 64}
    Path("run/summary.json").write_text(json.dumps(values))
    assert "has no baselines" in ok("eval", "run").err


def test_a_checkpoint_alone_is_evaluated_without_a_word_on_baselines(trained, ok):
    trained(two_classes(40), **CLASSIFICATION)
    Path("model.npz").write_bytes(Path("run/checkpoints/best.npz").read_bytes())
    assert ok("eval", "model.npz", "--data", "d.csv").err == ""


def test_inputs_that_stay_in_their_file_have_no_linear_model(ok, write_config, scores, monkeypatch):
    monkeypatch.setattr("bpcli.data.npz_file.LARGE_BYTES", 0)
    rng = np.random.default_rng(0)
    np.save("x.npy", rng.normal(size=(50, 3)).astype(np.float32))
    np.save("y.npy", rng.integers(2, size=50))
    config = {"data": {"train": {"x": "x.npy", "y": "y.npy"}}, "network": {"layers": [3, 2]}, "loss": "log_likelihood"}
    ok("train", write_config({**config, "training": {"epochs": 1}}), "--out", "run")
    got = scores("run")
    assert list(got["baselines"]) == ["majority"]
    assert got["baseline_note"] == "no linear model: the inputs stay in their file"
    assert "\nno linear model: the inputs stay in their file\n" in ok("eval", "run").out


def test_a_network_of_many_inputs_has_no_linear_model(ok, write_config, scores):
    np.savez("d.npz", x=np.ones((12, 3, 90, 90), np.uint8), y=np.arange(12) % 2)
    layers = [{"type": "flatten"}, {"type": "dense", "units": 2}]
    config = {"data": {"train": "d.npz"}, "network": {"layers": layers}, "loss": "log_likelihood"}
    ok("train", write_config({**config, "training": {"epochs": 1}}), "--out", "run")
    assert scores("run")["baseline_note"] == "no linear model: it would have 24,300 weights, more than 20,000"


def test_a_lack_of_memory_leaves_the_linear_model_out(trained, ok, scores, monkeypatch):
    def out_of_memory(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("bpcli.workflows.baselines.fit_linear", out_of_memory)
        trained(two_classes(40), **CLASSIFICATION)
    assert scores("run")["baseline_note"] == "no linear model: not enough memory"
    monkeypatch.setattr("bpcli.workflows.baselines.constant_name", out_of_memory)
    assert scores("run")["baselines"] == {}


# --- importance -------------------------------------------------------------------------------------------------------


def informative(n: int) -> list[tuple[float, float, float, str]]:
    """Of three columns the second alone decides, and the third is constant."""
    rng = np.random.default_rng(5)
    return [(rng.normal(), x, 1.0, "yes" if x > 0 else "no") for x in rng.normal(size=n)]


def test_importance_names_the_columns_that_matter(trained, ok, scores):
    training = {"optimizer": {"type": "adam", "learning_rate": 0.1}, "training": {"epochs": 60}}
    trained(informative(80), loss="log_likelihood", network={"layers": [3, 1]}, **training)
    found = scores("run", "--importance")["importance"]
    assert (found["metric"], found["samples"], found["repeats"]) == ("accuracy", 80, 10)
    columns = found["columns"]
    assert list(columns) == ["x0", "x1", "x2"]
    assert columns["x1"]["mean"] > 0.3 > abs(columns["x0"]["mean"])
    assert columns["x2"] == {"mean": 0.0, "std": 0.0}
    assert scores("run", "--importance")["importance"] == found
    assert "importance" not in scores("run")
    out = ok("eval", "run", "--importance").out
    title, head, first = out[out.index("\nimportance") :].splitlines()[1:4]
    assert title == "importance: how much accuracy falls when a column is shuffled, 10 times on 80 samples"
    assert (head.split(), first.split()[0]) == (["column", "mean", "std"], "x1")


def test_importance_of_a_regression_is_how_much_the_error_rises(ok, configs, scores):
    ok("train", configs / "diabetes.yaml", "--out", "run", "--set", "training.epochs=100")
    columns = scores("run", "--importance")["importance"]["columns"]
    assert max(columns, key=lambda name: columns[name]["mean"]) in ("bmi", "s5")
    assert "how much rmse rises when" in ok("eval", "run", "--importance").out


def test_columns_without_a_name_are_numbered(ok, write_config, scores):
    np.savez("d.npz", x=np.random.default_rng(0).normal(size=(20, 2)), y=np.arange(20.0))
    config = {"data": {"train": "d.npz"}, "network": {"layers": [2, 1]}, "training": {"epochs": 1}}
    ok("train", write_config(config), "--out", "run")
    assert list(scores("run", "--importance")["importance"]["columns"]) == ["x1", "x2"]


def test_importance_is_not_for_images(ok, cli, write_config):
    np.savez("d.npz", x=np.ones((12, 4, 5), np.uint8), y=np.arange(12) % 2)
    layers = [{"type": "flatten"}, {"type": "dense", "units": 2}]
    config = {"data": {"train": "d.npz"}, "network": {"layers": layers}, "loss": "log_likelihood"}
    ok("train", write_config({**config, "training": {"epochs": 1}}), "--out", "run")
    result = cli("eval", "run", "--importance")
    assert result.code == 2
    assert "--importance: is for columns, and this network takes images (4 x 5)" in result.err
    assert result.out == ""


def test_of_many_samples_some_are_permuted(trained, scores, monkeypatch):
    monkeypatch.setattr("bpcli.workflows.importance.MOST_NUMBERS", 100 * 3 * 3 * 10)
    trained(informative(150), loss="log_likelihood", network={"layers": [3, 1]})
    found = scores("run", "--importance")["importance"]
    assert found["samples"] == 100
    assert scores("run", "--importance")["importance"] == found
