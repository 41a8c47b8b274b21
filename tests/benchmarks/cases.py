"""What is measured, and what bpcli is meant to reach. Needs nothing but Python: the driver must stay small."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[2]
INSTALL = "pip install -e '.[bench]'"

# name on the command line -> (module that must be there, distribution, name in the tables)
PEERS = {
    "torch": ("torch", "torch", "PyTorch"),
    "sklearn": ("sklearn", "scikit-learn", "scikit-learn"),
    "jax": ("jax", "jax", "JAX"),
    "pandas": ("pandas", "pandas", "pandas"),
}


def title_of(peer: str) -> str:
    """Its name as the tables show it."""
    return PEERS[peer][2] if peer in PEERS else peer


def version_of(peer: str) -> str | None:
    """The installed version; None if it is not there. Does not import it."""
    module, distribution, _ = PEERS[peer]
    return importlib.metadata.version(distribution) if importlib.util.find_spec(module) else None


@dataclass(frozen=True)
class StepCase:
    """A training step of one network, batch and optimizer (sgd), the same for every tool.

    kind: xor has sigmoid units and mse; dense has ReLU units, softmax and log-likelihood; lenet is LeNet-5 as in
    configs/lenet-mnist.yaml.
    ahead: how many times faster than the best peer bpcli is meant to be; ahead_of_torch: than PyTorch.
    """

    name: str
    what: str
    kind: Literal["xor", "dense", "lenet"]
    layers: tuple[int, ...]
    batch: int
    learning_rate: float
    peers: tuple[str, ...]
    ahead: float
    ahead_of_torch: float | None = None

    @property
    def goal(self) -> str:
        """The goal in words."""
        of_torch = f", {self.ahead_of_torch:g}x PyTorch" if self.ahead_of_torch else ""
        return f"{self.ahead:.1f}x the best peer{of_torch}"


ALL = ("torch", "sklearn", "jax")
STEPS = [
    StepCase("xor", "2-4-1 sigmoid, mse, batch 4", "xor", (2, 4, 1), 4, 0.5, ALL, 1.0, 12),
    StepCase("mnist-30", "784-30-10 ReLU, log-likelihood, batch 10", "dense", (784, 30, 10), 10, 0.05, ALL, 1.1, 6),
    StepCase("mnist-128", "the same with 128, batch 128", "dense", (784, 128, 10), 128, 0.05, ALL, 1.1, 1.4),
    StepCase("mnist-1024", "784-1024-1024-10, batch 256", "dense", (784, 1024, 1024, 10), 256, 0.05, ALL, 1.0),
    StepCase("lenet", "LeNet-5, batch 64", "lenet", (), 64, 0.05, ("torch", "jax"), 1.1),
]

# what a user feels: name -> what is measured; each is a function in processes.py
PROCESSES = {
    "help": "`bpcli --help`, whole process",
    "epochs-calc": "`bpcli epochs-calc --n 50000 --batch 256`, whole process",
    "train-xor": "`bpcli train configs/xor.yaml`, 5000 epochs, whole process",
    "xor-epochs": "an epoch of xor in `bpcli train`, loss log and progress bar included, start-up subtracted",
    "mnist-run": "`bpcli train configs/mnist-128.yaml`, 10 epochs, whole process; its peak memory",
    "npy": "an epoch on a pair of npy files: peak memory",
    "csv": "reading a numeric CSV: time and memory",
    "install": "size of a fresh virtual environment with bpcli alone (only when asked for: it installs)",
}
ONLY_WHEN_ASKED = {"install"}


@dataclass(frozen=True)
class Options:
    """What the command line says. seconds: the length of one turn of a worker."""

    rounds: int
    seconds: float
    quick: bool
    alone: bool
    npy_mb: int
    csv_mb: int

    @property
    def few_rounds(self) -> int:
        """For what takes long."""
        return max(1, self.rounds // 5)

    def here(self, peer: str) -> bool:
        """Whether this peer takes part."""
        return not self.alone and version_of(peer) is not None

    def absent(self, peer: str) -> str:
        """Why it does not."""
        return "left out (--alone)" if self.alone else f"not installed: {INSTALL}"
