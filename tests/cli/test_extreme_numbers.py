"""Numbers at the edge of what float32 and float64 hold: every command ends with its exit code, and NumPy stays silent.

A warning of NumPy's is an error in these tests, as all warnings are.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bpcli.engine import registry

TABLES = {
    "plain": [f"{k / 10},{k % 3 / 2},{k / 100}" for k in range(12)],
    "largest": [f"{a}1.7e308,{b}1.7e308,{c}1.7e308" for a in ("", "-") for b in ("", "-") for c in ("", "-")],
    "largest of float32": [f"{a}3e38,{b}3e38,{c}3e38" for a in ("", "-") for b in ("", "-") for c in ("", "-")],
    "one far out": ["1e300,0.5,0.3", *(f"{k / 10},{k % 3 / 2},{k / 100}" for k in range(11))],
    "smallest": [f"{k}e-320,{k % 3}e-310,{k}e-318" for k in range(12)],
}
INITS = [
    "{type: uniform, low: 0, high: 1.7e308}",
    "{type: normal, mean: 1.7e308, std: 1.7e308}",
    "{type: normal, std: 1e150}",
    "{type: normal, std: 1e38}",
    "{type: normal, std: 1e18}",
]
FULL = [name for name in registry.optimizers.names() if hasattr(registry.optimizers.get(name), "iterate")]


@pytest.fixture
def silent(cli, write_config):
    """Calls all commands on a config with overrides, and on the run if there is one; gives the exit codes."""

    def call(table: str, *overrides: str) -> list[int]:
        Path("d.csv").write_text("\n".join(["a,b,y", *TABLES[table]]) + "\n")
        config = {
            "name": "r",
            "data": {"train": "d.csv", "task": "regression"},
            "network": {"layers": [2, 3, 1]},
            "training": {"epochs": 2, "batch_size": 5},
        }
        path = write_config(config, "r.yaml")
        sets = [part for text in overrides for part in ("--set", text)]
        codes = [cli(*command, path, *sets).code for command in (["validate"], ["step"], ["step", "--json"], ["train"])]
        if Path("runs/r/checkpoints/best.npz").exists():
            for name, rows in TABLES.items():
                Path("new.csv").write_text("\n".join(["a,b,y", *rows]) + "\n")
                codes += [cli("predict", "runs/r", "new.csv").code, cli("eval", "runs/r", "--data", "new.csv").code]
                assert codes[-1] in (0, 3), name
        return codes

    return call


def ends_well(codes: list[int]) -> bool:
    """Nothing unforeseen, which would be exit code 1 and a traceback."""
    return set(codes) <= {0, 2, 3, 5}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("init", INITS)
def test_first_weights(silent, init, dtype):
    assert ends_well(silent("plain", f"network.init={init}", f"dtype={dtype}"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", ["none", "standard", "minmax", "{x: none, y: standard}"])
@pytest.mark.parametrize("table", TABLES)
def test_data(silent, table, scale, dtype):
    assert ends_well(silent(table, f"data.scale={scale}", f"dtype={dtype}", "data.val=0.3", "metrics=[mape, r2, mae]"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", registry.optimizers.names())
def test_optimizers(silent, optimizer, dtype):
    key = "weight_decay" if optimizer in FULL else "learning_rate"
    more = ["training.batch_size=full", "network.activation=relu", "network.output_activation=softplus"]
    assert ends_well(silent("plain", f"optimizer={{type: {optimizer}, {key}: 1e308}}", f"dtype={dtype}", *more))


@pytest.mark.parametrize("optimizer", FULL)
def test_full_batch_methods_on_numbers_far_out(silent, optimizer):
    more = ["training.batch_size=full", "network.init={type: normal, std: 1e100}"]
    assert ends_well(silent("one far out", f"optimizer={optimizer}", "dtype=float64", *more))


@pytest.mark.parametrize("loss", registry.losses.names())
def test_losses(silent, loss):
    task = "classification" if loss in ("log_likelihood", "focal", "hinge") else "regression"
    more = ["network.init={type: normal, std: 1e15}", "training.on_divergence=halve_rate", f"data.task={task}"]
    assert ends_well(silent("plain", f"loss={loss}", "network.activation=identity", *more))


@pytest.mark.parametrize("activation", registry.activations.names())
def test_activations(silent, activation):
    assert ends_well(silent("plain", f"network.activation={activation}", "network.init={type: normal, std: 1e18}"))


@pytest.mark.parametrize("layer", ["batch_norm", "layer_norm", "prelu", "{type: gaussian_noise, std: 1e308}"])
def test_layers(silent, layer):
    layer = layer if layer.startswith("{") else f"{{type: {layer}}}"
    first = "{type: dense, units: 3, init: {type: normal, std: 1e18}}"
    assert ends_well(silent("plain", f"network={{layers: [{first}, {layer}, {{type: dense, units: 1}}]}}"))


def test_weights_of_samples(silent):
    Path("w.csv").write_text("a,b,y\n" + "\n".join(f"{k},{1e308 if k % 2 else 1e-308},{k}" for k in range(12)) + "\n")
    weighted = ["data.train=w.csv", "data.sample_weight=b", "network.layers=[1, 3, 1]"]
    for dtype in ("float32", "float64"):
        assert ends_well(silent("plain", *weighted, f"dtype={dtype}"))
