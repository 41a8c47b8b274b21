"""The run that the rig does its harm to: small, but with something of everything that has a state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]

# Adam's moments, a schedule, dropout's generators, shuffling, a best epoch; each epoch is saved.
EPOCHS = 8
CONFIG: dict[str, Any] = {
    "name": "run",
    "seed": 5,
    "data": {"train": str(ROOT / "datasets" / "iris.csv"), "val": 0.2, "scale": "standard"},
    "network": {
        "layers": [
            {"type": "dense", "units": 5, "activation": "tanh"},
            {"type": "dropout", "rate": 0.3},
            {"type": "dense", "units": 3},
        ]
    },
    "loss": "log_likelihood",
    "optimizer": {"type": "adam", "learning_rate": 0.05},
    "schedule": {"type": "cosine", "period": 5},
    "training": {"epochs": EPOCHS, "batch_size": 8},
    "output": {"checkpoint_every": 1},
}


def write_config(path: str | Path = "config.yaml", **changes: Any) -> Path:
    """CONFIG as a file, with keys such as `training__epochs` changed."""
    values = yaml.safe_load(yaml.safe_dump(CONFIG))
    for name, value in changes.items():
        *folders, key = name.split("__")
        place = values
        for folder in folders:
            place = place[folder]
        place[key] = value
    Path(path).write_text(yaml.safe_dump(values, sort_keys=False))
    return Path(path).absolute()
