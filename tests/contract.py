"""What every registered part must do: run for each of them by tests/engine/test_contract.py.

A part that needs hyperparameters without a default gets them from EXAMPLES; a new part is covered on the day it is
written, because the tests are parametrized over the registries.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bpcli.engine import registry
from bpcli.engine.layers.dense import Dense
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.protocols import Activation, Loss

# Hyperparameters for parts that have some without a default.
EXAMPLES: dict[tuple[str, str], dict[str, Any]] = {
    ("layer", "dense"): {"units": 3},
    ("layer", "activation"): {"function": registry.activations.get("tanh")()},
}
# The shape of one sample that a layer takes, where it is not a row of numbers.
IN_SHAPES: dict[str, tuple[int, ...]] = {"flatten": (2, 3, 4)}


def make(parts: registry.Registry[Any], name: str) -> Any:
    """A part of that name, with its defaults or the example's values."""
    return parts.get(name)(**EXAMPLES.get((parts.kind, name), {}))


def fits(loss: Loss, activation: Activation) -> bool:
    """Whether the loss has a meaning with this output activation."""
    try:
        loss.from_logits(activation)
    except ValueError:
        return False
    return True


def network_with(
    spec: Any, in_shape: tuple[int, ...], activation: Activation, output: Activation, units: int
) -> Network:
    """The layer under test between two dense layers where it takes a row, else at the start, then a dense output."""
    tested = LayerEntry(spec=spec, activation=activation)
    last = LayerEntry(spec=Dense(units=units), activation=output)
    if len(in_shape) == 1:
        return Network([LayerEntry(spec=Dense(units=in_shape[0])), tested, last], (4,))
    flatten = LayerEntry(spec=registry.layers.get("flatten")())
    return Network([tested, flatten, last], in_shape)


def targets_for(output: Activation, n: int, units: int, rng: np.random.Generator) -> np.ndarray:
    """Targets that suit the output: classes for softmax, 0 and 1 for sigmoid, numbers otherwise."""
    name = registry.activations.name_of(output)
    if name == "softmax":
        return np.eye(units)[rng.integers(units, size=n)]
    if name == "sigmoid":
        return rng.integers(2, size=(n, units)).astype(float)
    return rng.normal(size=(n, units))
