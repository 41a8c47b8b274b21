"""Layers with a state of their own, or that draw random numbers, go on after a stop as if there had been none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bpcli.runs.checkpoint import load_checkpoint

LAYERS = {
    "batch_norm": "{type: batch_norm, activation: tanh}",
    "dropout": "{type: dropout, rate: 0.4}",
    "gaussian_noise": "{type: gaussian_noise, std: 0.3}",
    "layer_norm": "layer_norm",
    "parametric_activation": "{type: parametric_activation, function: mish, learning_rate_scale: 0.1}",
    "periodic_embedding": "{type: periodic_embedding, columns: 2}",
    "prelu": "prelu",
    "scale": "{type: scale, learning_rate_scale: 6}",
}


def weights(run: str, name: str) -> dict[str, np.ndarray]:
    return dict(load_checkpoint(Path(run) / "checkpoints" / name).params)


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_goes_on_bit_for_bit(ok, configs, layer: str, shards: int) -> None:
    if layer == "batch_norm" and shards > 1:
        shards = 1  # it looks at a whole batch
    network = f"network={{layers: [{{type: dense, units: 6}}, {LAYERS[layer]}, {{type: dense, units: 3}}]}}"
    settings = ["--set", network, "--set", f"training.shards={shards}", "--set", "training.early_stopping=null"]
    ok("train", configs / "iris.yaml", "--out", "whole", *settings, "--set", "training.epochs=7")
    ok("train", configs / "iris.yaml", "--out", "stopped", *settings, "--set", "training.epochs=3")
    ok("resume", "stopped", "--set", "training.epochs=7")
    for name in ("last.npz", "best.npz"):
        whole, stopped = weights("whole", name), weights("stopped", name)
        assert whole.keys() == stopped.keys()
        assert all(np.array_equal(whole[key], stopped[key]) for key in whole)
