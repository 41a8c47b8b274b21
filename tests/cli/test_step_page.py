"""bpcli step as a page: equations, formats, several steps, one sample, a run; and its numbers against PyTorch's."""

from __future__ import annotations

import html
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from tools.make_step_reference import NETWORKS

REFERENCE = Path(__file__).parents[1] / "reference" / "step.json"
HOSTILE = "<script>alert(1)</script> {$x_1^2$} 100% & #1 ~ `=cmd()` ä"
FORMATS = ["text", "markdown", "latex", "html"]


@pytest.fixture(params=NETWORKS)
def network(request, write_config):
    """What PyTorch computed for a network, and the path of its config."""
    stored = json.loads(REFERENCE.read_text())[request.param]
    assert {key: stored[key] for key in NETWORKS[request.param]} == NETWORKS[request.param]
    np.save("x.npy", np.array(stored["x"]))
    np.save("y.npy", np.array(stored["y"]))
    layers = []
    for layer, start in zip(stored["layers"], stored["start"].values(), strict=True):
        given = {"weights": start["W"], "biases": start["b"]} if layer["type"] in ("dense", "conv2d") else {}
        layers.append({**layer, **given})
    config = {
        "dtype": "float64",
        "data": {"train": {"x": "x.npy", "y": "y.npy"}, "task": "classification"},
        "network": {"input": stored["input"], "layers": layers},
        "loss": "log_likelihood",
        "optimizer": stored["optimizer"],
        "training": {"epochs": 1, "batch_size": "full"},
    }
    return stored, write_config(config)


def test_every_number_of_two_steps_is_pytorchs(ok, network):
    stored, path = network
    first = json.loads(ok("step", path, "--json", "--steps", 2).out)
    compared = 0
    for values, wanted in zip([first, *first["next_steps"]], stored["steps"], strict=True):
        assert values["loss"] == pytest.approx(wanted["loss"], rel=0, abs=1e-10)
        assert values["loss_after"] == pytest.approx(wanted["loss_after"], rel=0, abs=1e-10)
        for layer in values["layers"]:
            for key, value in wanted["layers"][layer["name"]].items():
                pairs = value.items() if isinstance(value, dict) else [("", value)]
                for name, number in pairs:
                    got = layer[key][name] if name else layer[key]
                    np.testing.assert_allclose(got, number, rtol=0, atol=1e-10, err_msg=f"{layer['name']} {key} {name}")
                    compared += 1
    assert compared >= 60


def test_every_quantity_has_its_equation(ok, network):
    values = json.loads(ok("step", network[1], "--json").out)
    for layer in values["layers"]:
        quantities = {"z", "a", "delta", *(f"dL/d{name}" for name in layer["gradient"]), *layer["statistics"]}
        quantities |= {f"{name} after" for name in layer["after"]}
        quantities |= {f"{vector} of {name}" for vector, arrays in layer["optimizer"].items() for name in arrays}
        assert quantities <= layer["equations"].keys()


TEXTBOOK = [
    ("z^1 = W^1 a^0 + b^1", "z = [[0.3775, 0.3925]]"),
    ("a^2 = 1 / (1 + exp(-z^2))", "a = [[0.751365069552, 0.772928465321]]"),
    ("L = 1 / 2 sum_j (a^2_j - y_j)^2", "loss = 0.29837110876"),
    (
        "delta^2 = (a^2 - y) * f'(z^2) with f'(z^2) = a^2 * (1 - a^2)",
        "delta = dL/dz = [[ 0.138498561629, -0.038098236517]]",
    ),
    (
        "delta^1 = (W^2)^T delta^2 * f'(z^1) with f'(z^1) = a^1 * (1 - a^1)",
        "delta = dL/dz = [[0.008771354689, 0.009954254705]]",
    ),
    ("dL/dW^1 = delta^1 (a^0)^T", "dL/dW = [[0.000438567734, 0.000877135469],"),
    ("dL/db^2 = delta^2", "dL/db = [ 0.138498561629, -0.038098236517]"),
    ("W^2 <- W^2 - eta dL/dW^2", "W after = [[0.358916479718, 0.408666186076],"),
    ("b^1 <- b^1 - eta dL/db^1", "b after = [0.345614322655, 0.345022872647]"),
]


@pytest.mark.parametrize(("equation", "value"), TEXTBOOK, ids=[pair[0] for pair in TEXTBOOK])
def test_text_has_each_equation_above_its_numbers(ok, configs, equation, value):
    lines = [line.strip() for line in ok("step", configs / "textbook-2-2-2.yaml").out.splitlines()]
    assert (equation, value) in itertools.pairwise(lines)


def test_sums_and_factors_of_a_batch_are_in_the_equations(ok, configs):
    out = ok("step", configs / "iris.yaml", "--set", "training.batch_size=5").out
    assert "L = 1 / 5 sum_n l with l = -sum_j y_j ln(a^2_j)" in out
    assert "delta^2 = 1 / 5 (a^2 - y)\n" in out
    assert "dL/dW^2 = sum_n delta^2 (a^1)^T" in out


@pytest.mark.parametrize(
    ("optimizer", "equations"),
    [
        ("{type: sgd, momentum: 0.9}", ["velocity <- momentum velocity + dL/dW^1", "W^1 <- W^1 - eta velocity"]),
        ("{type: sgd, weight_decay: 0.1}", ["g = dL/dW^1 + weight_decay W^1", "W^1 <- W^1 - eta g"]),
        (
            "{type: adam}",
            [
                "m <- beta1 m + (1 - beta1) dL/dW^1",
                "v <- beta2 v + (1 - beta2) (dL/dW^1)^2",
                "W^1 <- W^1 - eta (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)",
            ],
        ),
        ("{type: adamw}", ["W^1 <- W^1 - eta weight_decay W^1 - eta (m / ", "b^1 <- b^1 - eta (m / "]),
        ("{type: adagrad}", ["S <- S + (dL/dW^1)^2"]),
    ],
)
def test_the_update_is_that_of_the_optimizer(ok, configs, optimizer, equations):
    out = ok("step", configs / "textbook-2-2-2.yaml", "--set", f"optimizer={optimizer}").out
    assert all(f"    {equation}" in out for equation in equations)
    if "sgd, weight" in optimizer:
        assert "b^1 <- b^1 - eta dL/db^1" in out  # no decay acts on biases


def test_steps_follow_each_other_as_in_training(ok, configs, run_files):
    path = configs / "textbook-2-2-2.yaml"
    first = json.loads(ok("step", path, "--json", "--steps", 3, "--set", "optimizer={type: adam}").out)
    steps = [first, *first["next_steps"]]
    assert [step["step"] for step in steps] == [1, 2, 3]
    assert all(old["layers"][0]["after"] == new["layers"][0]["before"] for old, new in itertools.pairwise(steps))
    ok("train", path, "--out", "run", "--set", "training.epochs=3", "--set", "optimizer={type: adam}")
    with np.load(run_files(Path("run")).last) as weights:
        np.testing.assert_array_equal(weights["dense_2.W"], steps[2]["layers"][1]["after"]["W"])


def test_further_steps_take_the_next_batches_and_begin_again(ok, configs):
    first = json.loads(ok("step", configs / "xor.yaml", "--json", "--steps", 3, "--set", "training.batch_size=3").out)
    steps = [first, *first["next_steps"]]
    assert [len(step["x"]) for step in steps] == [3, 1, 3]
    assert steps[0]["x"] == steps[2]["x"]


def test_noise_of_the_next_step_is_that_of_training(ok, write_config, run_files):
    Path("rows.csv").write_text("a,y\n1,0\n2,1\n3,5\n")
    layers = [{"type": "dense", "units": 9}, {"type": "dropout", "rate": 0.5}, {"type": "dense", "units": 1}]
    path = write_config(
        {
            "dtype": "float64",
            "data": {"train": "rows.csv", "target": "y", "task": "regression"},
            "network": {"layers": layers},
            "training": {"epochs": 2, "batch_size": "full"},
        }
    )
    values = json.loads(ok("step", path, "--json", "--steps", 2).out)
    ok("train", path, "--out", "run")
    with np.load(run_files(Path("run")).last) as weights:
        np.testing.assert_allclose(weights["dense_1.W"], values["next_steps"][0]["layers"][0]["after"]["W"], rtol=1e-14)


def test_one_sample_alone_is_counted_from_one(ok, cli, configs):
    alone = json.loads(ok("step", configs / "xor.yaml", "--sample", 3, "--json").out)
    every = json.loads(ok("step", configs / "xor.yaml", "--json").out)
    assert (alone["x"], alone["y"]) == (every["x"][2:3], every["y"][2:3])
    result = cli("step", configs / "xor.yaml", "--sample", 5)
    assert (result.code, result.err) == (2, "error: --sample 5: the training data has 4 samples\n")


def test_a_run_shows_the_step_that_would_follow(ok, configs, run_files):
    sets = ("--set", "optimizer={type: adam}", "--set", "dtype=float64")
    ok("train", configs / "xor.yaml", "--out", "run", *sets, "--set", "training.epochs=4")
    shown = json.loads(ok("step", "run", "--checkpoint", "last", "--json").out)
    with np.load(run_files(Path("run")).last) as weights:
        np.testing.assert_array_equal(weights["dense_1.W"], shown["layers"][0]["before"]["W"])
    assert shown["step"] == 5
    longer = json.loads(ok("step", configs / "xor.yaml", *sets, "--steps", 5, "--json").out)["next_steps"][-1]
    for layer, wanted in zip(shown["layers"], longer["layers"], strict=True):
        # training adds the samples of a batch up in another order
        np.testing.assert_allclose(layer["after"]["W"], wanted["after"]["W"], rtol=1e-12)
        np.testing.assert_allclose(layer["optimizer"]["v"]["W"], wanted["optimizer"]["v"]["W"], rtol=1e-12)


def test_a_run_keeps_its_config_and_a_config_has_no_checkpoint(ok, cli, configs):
    ok("train", configs / "xor.yaml", "--out", "run", "--set", "training.epochs=1")
    assert cli("step", "run", "--set", "seed=1").code == 2
    assert cli("step", configs / "xor.yaml", "--checkpoint", "best").code == 2
    assert cli("step", "run", "--checkpoint", "first").code == 2


@pytest.mark.parametrize("name", FORMATS)
def test_a_large_network_is_shortened_to_norms(ok, configs, name):
    out = ok("step", configs / "digits-cnn.yaml", "--format", name).out
    assert len(out) < 60_000
    assert "16 x 8 x 3 x 3 numbers: norm 5.69" in out


def test_digits_are_those_after_the_point(ok, configs):
    path = configs / "textbook-2-2-2.yaml"
    assert "z = [[1.106, 1.225]]" in ok("step", path, "--digits", 3).out
    assert r"\begin{pmatrix} 1.106 & 1.225 \end{pmatrix}" in ok("step", path, "--digits", 3, "--format", "latex").out
    assert "<td>1.106</td><td>1.225</td>" in ok("step", path, "--digits", 3, "--format", "html").out
    assert json.loads(ok("step", path, "--digits", 3, "--json").out)["loss"] == 0.298


@pytest.mark.parametrize("arguments", [["--format", "pdf"], ["--format", "html", "--json"], ["--digits", "0"]])
def test_refuses_what_it_cannot_write(cli, configs, arguments):
    assert cli("step", configs / "xor.yaml", *arguments).code == 2


def test_format_json_is_json(ok, configs):
    path = configs / "textbook-2-2-2.yaml"
    assert ok("step", path, "--format", "json").out == ok("step", path, "--json").out


@pytest.fixture
def hostile(write_config):
    """A config whose name and layer's name mean something to HTML, LaTeX and Markdown."""
    Path("rows.csv").write_text("x,y\n1,0\n2,1\n")
    layers = [{"type": "dense", "units": 2, "name": HOSTILE}, {"type": "batch_norm"}, {"type": "dense", "units": 1}]
    values = {"name": "a-name", "data": {"train": "rows.csv", "target": "y", "task": "regression"}}
    return write_config({**values, "network": {"layers": layers}, "training": {"epochs": 1}})


def test_html_is_one_file_with_everything_escaped(ok, hostile):
    page = ok("step", hostile, "--format", "html").out
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page
    assert html.escape(HOSTILE) in page
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?:", page)


def test_html_closes_what_it_opens(ok, hostile):
    page = ok("step", hostile, "--format", "html").out
    for tag in ("html", "body", "h2", "h3", "div", "table", "tr", "td", "sup", "sub", "i", "span"):
        assert len(re.findall(rf"<{tag}[ >]", page)) == page.count(f"</{tag}>"), tag


def test_markdown_escapes_names(ok, hostile):
    page = ok("step", hostile, "--format", "markdown").out
    heading = next(line for line in page.splitlines() if line.startswith("### ") and "script" in line)
    assert html.unescape(heading).startswith(f"### {HOSTILE} (layer 1")
    assert not set("<>`$*_{}[]\\") & set(heading)
    assert page.count("$$") % 2 == 0


def test_latex_escapes_names(ok, hostile):
    page = ok("step", hostile, "--format", "latex").out
    heading = next(line for line in page.splitlines() if line.startswith(r"\paragraph") and "script" in line)
    assert heading.startswith(r"\paragraph{\textless{}script\textgreater{}alert")
    assert r"\{\$x\_1\textasciicircum{}2\$\} 100\% \& \#1 \textasciitilde{}" in heading
    assert page.isascii()


@pytest.mark.long
@pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="pdflatex is not installed: apt install texlive-latex-base"
)
@pytest.mark.parametrize("case", ["textbook-2-2-2", "digits-cnn", "digits-batch-norm", "hostile"])
def test_latex_compiles(ok, configs, hostile, case):
    path = hostile if case == "hostile" else configs / f"{case}.yaml"
    Path("page.tex").write_text(ok("step", path, "--format", "latex", "--steps", 2).out)
    command = ["pdflatex", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    result = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=False)
    assert result.returncode == 0, result.stdout[-2000:]
    assert Path("page.pdf").read_bytes().startswith(b"%PDF")


@pytest.fixture
def sigmoid(write_config):
    """The textbook's node: x = 1, w = 0, b = 0, half the squared error with the target 0."""
    Path("one.csv").write_text("x,y\n1,0\n")
    layer = {"type": "dense", "units": 1, "activation": "sigmoid", "weights": [[0.0]], "biases": [0.0]}
    return write_config(
        {
            "dtype": "float64",
            "data": {"train": "one.csv", "target": "y", "task": "regression", "scale": "none"},
            "network": {"layers": [layer]},
            "loss": "half_squared_error",
            "training": {"epochs": 1},
        }
    )


def test_a_node_is_the_textbooks_computational_graph(ok, sigmoid):
    node = json.loads(ok("step", sigmoid, "--node", "dense_1.1", "--json").out)
    assert [each["value"] for each in node["operations"]] == [0.0, 0.0, 0.0, 1.0, 2.0, 0.5]
    # back from f = 1 / d: -1/4, then 1, 1, -1, 1
    assert [each["local"] for each in reversed(node["operations"])] == [1.0, -0.25, 1.0, 1.0, -1.0, 1.0]
    assert [each["total"] for each in node["operations"]] == [0.25, 0.25, -0.25, -0.25, -0.25, 1.0]
    assert (node["df_dw"], node["df_db"], node["df_dx"]) == ([0.25], 0.25, [0.0])
    assert (node["delta"], node["dL_dw"]) == (0.125, [0.125])  # (0.5 - 0) * 0.25


def test_a_node_in_text_has_each_operation_with_its_derivatives(ok, sigmoid):
    rows = [re.split(r"  +", line) for line in ok("step", sigmoid, "--node", "dense_1.1").out.splitlines()]
    assert ["s = w x", "0", "1", "0.25"] in rows
    assert ["e = exp(m)", "1", "1", "-0.25"] in rows
    assert ["d = 1 + e", "2", "-0.25", "-0.25"] in rows
    assert ["f = 1 / d", "0.5", "1", "1"] in rows


@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", "identity", "sigmoid"])
def test_a_node_agrees_with_the_step(ok, configs, activation):
    arguments = (
        "step",
        configs / "textbook-2-2-2.yaml",
        "--set",
        f"network.layers[0].activation={activation}",
        "--json",
    )
    node, step = json.loads(ok(*arguments, "--node", "dense_1.2").out), json.loads(ok(*arguments).out)
    layer = step["layers"][0]
    assert node["operations"][-1]["value"] == pytest.approx(layer["a"][0][1], rel=1e-12)
    np.testing.assert_allclose(node["dL_dw"], layer["gradient"]["W"][1], rtol=1e-12)


@pytest.mark.parametrize("name", ["dense_1.0", "dense_1.99", "dense_9.1", "dense_1", "dense_1.x", "dense_2.1"])
def test_a_node_that_is_not_there_is_a_usage_error(cli, configs, name):
    result = cli("step", configs / "iris.yaml", "--node", name)  # dense_2 is a softmax layer
    assert result.code == 2
    assert "--node" in result.err


def test_a_node_is_one_step_as_text_or_json(cli, configs):
    path = configs / "textbook-2-2-2.yaml"
    assert cli("step", path, "--node", "dense_1.1", "--steps", 2).code == 2
    assert cli("step", path, "--node", "dense_1.1", "--format", "html").code == 2
