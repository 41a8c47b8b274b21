"""Makes tests/reference/step.json: two training steps of the NETWORKS below, number by number, as PyTorch takes them.

tests/cli/test_step_page.py compares `bpcli step --json` with it. After each change here:

    python tests/tools/make_step_reference.py

Needs PyTorch and NumPy, not bpcli. Last run with Python 3.11.7, PyTorch 2.13.0+cpu and NumPy 2.4.6.

For each network the file holds its config, the inputs x and targets y, the initial weights by layer and parameter, and
for each step "loss", "loss_after" and, by layer, "z", "a", "delta" (dL/dz), "gradient", "after" and "statistics".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).resolve().parents[1] / "reference" / "step.json"
STEPS = 2

# Of each network: the shape of a sample, the layers as in a config, and the optimizer's keys.
NETWORKS: dict[str, dict[str, Any]] = {
    "cnn": {
        "input": [2, 6, 5],
        "layers": [
            {"type": "conv2d", "filters": 3, "kernel": 3, "padding": 1, "activation": "tanh"},
            {"type": "max_pool2d", "size": 2},
            {"type": "conv2d", "filters": 2, "kernel": 2, "stride": 1, "activation": "sigmoid"},
            {"type": "avg_pool2d", "size": [2, 1]},
            {"type": "flatten"},
            {"type": "dense", "units": 3, "activation": "softmax"},
        ],
        "optimizer": {"type": "adam", "learning_rate": 0.05},
    },
    "batch_normed": {
        "input": [4],
        "layers": [
            {"type": "dense", "units": 5},
            {"type": "batch_norm", "activation": "relu"},
            {"type": "dense", "units": 4, "activation": "sigmoid"},
            {"type": "layer_norm"},
            {"type": "dense", "units": 3, "activation": "softmax"},
        ],
        "optimizer": {"type": "sgd", "learning_rate": 0.3, "momentum": 0.9},
    },
}
PARAMETERS = {"weight": "W", "bias": "b"}
STATISTICS = {"running_mean": "running_mean", "running_var": "running_var"}


def module(torch: Any, layer: dict[str, Any], shape: tuple[int, ...]) -> Any:
    """The layer without its activation."""
    kind = layer["type"]
    if kind == "conv2d":
        return torch.nn.Conv2d(shape[0], layer["filters"], layer["kernel"], padding=layer.get("padding", 0))
    if kind in ("max_pool2d", "avg_pool2d"):
        size = layer["size"] if isinstance(layer["size"], int) else tuple(layer["size"])
        return torch.nn.MaxPool2d(size) if kind == "max_pool2d" else torch.nn.AvgPool2d(size)
    if kind == "flatten":
        return torch.nn.Flatten()
    if kind == "batch_norm":
        return torch.nn.BatchNorm1d(shape[0])
    return torch.nn.LayerNorm(shape) if kind == "layer_norm" else torch.nn.Linear(shape[0], layer["units"])


def activated(torch: Any, layer: dict[str, Any], z: Any) -> Any:
    """The layer's activation."""
    name = layer.get("activation", "identity")
    functions = {"identity": lambda z: z, "softmax": lambda z: torch.softmax(z, dim=1)}
    return functions.get(name, getattr(torch, name, None))(z)


def steps(torch: Any, network: dict[str, Any]) -> dict[str, Any]:
    """What the file holds of a network."""
    torch.manual_seed(1)
    torch.set_default_dtype(torch.float64)
    rng = np.random.default_rng(2)
    x = torch.tensor(rng.normal(size=(6, *network["input"])).round(6))
    y = torch.tensor([0, 1, 2, 0, 1, 2])
    modules, names, counts = [], [], dict[str, int]()
    a = x
    for layer in network["layers"]:
        counts[layer["type"]] = counts.get(layer["type"], 0) + 1
        names.append(f"{layer['type']}_{counts[layer['type']]}")
        modules.append(module(torch, layer, tuple(a.shape[1:])))
        a = modules[-1](a)
    for one in modules:  # the statistics that finding the shapes has moved
        if isinstance(one, torch.nn.BatchNorm1d):
            one.reset_running_stats()
    start = {name: arrays(one, PARAMETERS) for name, one in zip(names, modules, strict=True)}
    parameters = [p for one in modules for p in one.parameters()]
    keys = dict(network["optimizer"])
    kind, rate = keys.pop("type"), keys.pop("learning_rate")
    optimizer = (torch.optim.Adam if kind == "adam" else torch.optim.SGD)(parameters, lr=rate, **keys)
    found = [step(torch, network["layers"], modules, names, x, y, optimizer) for _ in range(STEPS)]
    return {**network, "x": x.tolist(), "y": y.tolist(), "start": start, "steps": found}


def step(torch: Any, layers: Any, modules: Any, names: Any, x: Any, y: Any, optimizer: Any) -> dict[str, Any]:
    """One step, and the loss after it."""

    def forward() -> tuple[list[Any], list[Any]]:
        zs, outputs, a = [], [], x
        for layer, one in zip(layers, modules, strict=True):
            zs.append(one(a))
            if zs[-1].requires_grad:
                zs[-1].retain_grad()
            a = activated(torch, layer, zs[-1])
            outputs.append(a)
        return zs, outputs

    optimizer.zero_grad()
    zs, outputs = forward()
    loss = torch.nn.functional.cross_entropy(zs[-1], y)
    loss.backward()
    gradients = [
        {ours: getattr(one, theirs).grad.tolist() for theirs, ours in PARAMETERS.items() if hasattr(one, theirs)}
        for one in modules
    ]
    optimizer.step()
    statistics = [arrays(one, STATISTICS) for one in modules]
    after = [arrays(one, PARAMETERS) for one in modules]
    with torch.no_grad():
        loss_after = torch.nn.functional.cross_entropy(forward()[0][-1], y)
    for one, kept in zip(modules, statistics, strict=True):  # the second forward pass has moved them
        for name, value in kept.items():
            getattr(one, name).copy_(torch.tensor(value))
    values = {
        name: {
            "z": zs[k].tolist(),
            "a": outputs[k].tolist(),
            "delta": zs[k].grad.tolist(),
            "gradient": gradients[k],
            "after": after[k],
            "statistics": statistics[k],
        }
        for k, name in enumerate(names)
    }
    return {"loss": loss.item(), "loss_after": loss_after.item(), "layers": values}


def arrays(one: Any, names: dict[str, str]) -> dict[str, Any]:
    """A module's arrays by bpcli's names."""
    return {ours: getattr(one, theirs).tolist() for theirs, ours in names.items() if hasattr(one, theirs)}


def main() -> None:
    """Writes the file."""
    import torch

    FILE.write_text(json.dumps({name: steps(torch, network) for name, network in NETWORKS.items()}) + "\n")


if __name__ == "__main__":
    main()
