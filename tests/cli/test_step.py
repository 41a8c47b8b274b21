"""bpcli step: the first training step with every number in it, against a textbook."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

X, Y = (0.05, 0.10), (0.01, 0.99)
TEXTBOOK = {
    ("dense_1", "z"): (0.3775, 0.3925),
    ("dense_1", "a"): (0.593269992107, 0.596884378260),
    ("dense_2", "z"): (1.105905967060, 1.224921404096),
    ("dense_2", "a"): (0.751365069552, 0.772928465321),
    ("dense_2", "delta"): (0.138498561629, -0.038098236517),
    ("dense_2", "gradient", "b"): (0.138498561629, -0.038098236517),
    ("dense_2", "gradient", "W"): ((0.082167040564, 0.082667627848), (-0.022602540477, -0.022740242216)),
    ("dense_1", "delta"): (0.008771354689, 0.009954254705),
    ("dense_1", "gradient", "b"): (0.008771354689, 0.009954254705),
    ("dense_1", "gradient", "W"): ((0.000438567734, 0.000877135469), (0.000497712735, 0.000995425471)),
    ("dense_2", "after", "W"): ((0.358916479718, 0.408666186076), (0.511301270239, 0.561370121108)),
    ("dense_2", "after", "b"): (0.530750719186, 0.619049118258),
    ("dense_1", "after", "W"): ((0.149780716133, 0.199561432266), (0.249751143632, 0.299502287265)),
    ("dense_1", "after", "b"): (0.345614322655, 0.345022872647),
    ("dense_1", "before", "W"): ((0.15, 0.20), (0.25, 0.30)),
    ("dense_2", "before", "b"): (0.60, 0.60),
}


@pytest.fixture
def step(ok, configs):
    return json.loads(ok("step", configs / "textbook-2-2-2.yaml", "--json").out)


@pytest.mark.parametrize("key", TEXTBOOK, ids=" ".join)
def test_gives_the_number_of_the_textbook(step, key):
    value = next(layer for layer in step["layers"] if layer["name"] == key[0])
    for name in key[1:]:
        value = value[name]
    wanted = np.array(TEXTBOOK[key])
    np.testing.assert_allclose(np.array(value).reshape(wanted.shape), wanted, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("name", "value"), [("loss", 0.298371108760), ("loss_after", 0.280471446791)])
def test_gives_the_loss_of_the_textbook(step, name, value):
    assert step[name] == pytest.approx(value, rel=0, abs=1e-9)


def test_gives_the_sample(step):
    assert (step["x"], step["y"]) == ([list(X)], [list(Y)])


def test_the_step_is_the_one_that_training_takes(ok, configs, step, run_files):
    ok("train", configs / "textbook-2-2-2.yaml")
    with np.load(run_files(Path("runs/textbook-2-2-2")).last) as weights:
        np.testing.assert_array_equal(weights["dense_1.W"], step["layers"][0]["after"]["W"])


def test_text_shows_every_quantity(ok, configs):
    out = ok("step", configs / "textbook-2-2-2.yaml").out
    for text in ("0.593269992107", "0.138498561629", "0.358916479718", "loss = 0.29837110876", "delta = dL/dz"):
        assert text in out


def test_overrides_apply(ok, configs):
    after = json.loads(
        ok("step", configs / "textbook-2-2-2.yaml", "--set", "optimizer.learning_rate=1e-12", "--json").out
    )
    assert after["loss_after"] == pytest.approx(after["loss"], abs=1e-9)


@pytest.fixture
def weighed(write_config):
    """A config of one linear unit, weight 1 and bias 0, on two samples of weight 1 and 3."""
    Path("rows.csv").write_text("x,wt,y\n1,1,0\n2,3,1\n")
    unit = {"type": "dense", "units": 1, "weights": [[1.0]], "biases": [0.0]}
    return write_config(
        {
            "name": "weighed",
            "dtype": "float64",
            "data": {"train": "rows.csv", "target": "y", "sample_weight": "wt", "task": "regression"},
            "network": {"layers": [unit]},
            "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "training": {"epochs": 1, "batch_size": "full"},
        },
        "weighed.yaml",
    )


def test_weights_of_samples_multiply_their_loss_as_in_training(ok, weighed):
    # L = (1 (1 - 0)^2 + 3 (2 - 1)^2) / 2 = 2; dL/dw = (1 * 2 * 1 + 3 * 2 * 1 * 2) / 2 = 7
    step = json.loads(ok("step", weighed, "--json").out)
    assert step["loss"] == pytest.approx(2.0)
    assert step["layers"][0]["after"]["W"] == [[pytest.approx(0.3)]]
    assert step["sample_weight"] == [1.0, 3.0]
    assert "weight of each sample's loss = [1., 3.]" in ok("step", weighed).out


def test_json_has_the_learning_rate_and_no_weights_where_there_are_none(ok, configs, step):
    assert (step["learning_rate"], step["sample_weight"]) == (0.5, None)
    warm = ok("step", configs / "textbook-2-2-2.yaml", "--json", "--set", "schedule={type: cosine, warmup: 1}").out
    assert json.loads(warm)["learning_rate"] == 0.25


@pytest.mark.parametrize("rate", [1e200, 1e308])
def test_a_step_that_is_not_finite_warns_that_training_would_stop(ok, weighed, rate):
    result = ok("step", weighed, "--set", f"optimizer.learning_rate={rate:g}")
    assert (
        result.err
        == "warning: a value in this step is not finite: training would stop here as diverged, with exit code 5\n"
    )


def test_writes_no_run(ok, configs):
    ok("step", configs / "textbook-2-2-2.yaml")
    assert list(Path().iterdir()) == []
