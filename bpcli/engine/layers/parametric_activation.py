"""y = x + W (f(x) - x): an activation that each unit learns to apply in part, in full, or beyond."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Scratch, Shape
from bpcli.engine.initializers import Ones
from bpcli.engine.protocols import Activation, Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "parametric_activation")
class ParametricActivation:
    """y = x + W (f(x) - x) with the activation f; one W for each unit of a row, each channel of an image, from 1.

    At W = 0 a unit is linear, at 1 it is f. Holzmueller et al. 2024 (RealMLP, section 3) use it with selu and mish and
    a tenth of the learning rate: `learning_rate_scale: 0.1`. Put it after a layer without an activation of its own,
    whose `init` then has to be given, since it is not chosen to suit f. Weight decay does not apply: it would pull
    towards a linear unit.
    """

    function: Activation

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output"})

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {"W": ParamSpec(in_shape[:1], Ones(), decay=False)}

    def build(self, bindings: Bindings) -> ParametricActivationLayer:
        return ParametricActivationLayer(bindings, self.function)


class ParametricActivationLayer:
    """A parametric activation bound to memory. x (N, C, ...) -> y of the same shape; dy -> dx."""

    def __init__(self, bindings: Bindings, function: Activation) -> None:
        self.function = function
        self.W = bindings.params["W"].reshape(-1, *[1] * (len(bindings.in_shape) - 1))
        self.dW = bindings.grads["W"]
        self.rest = np.empty_like(self.W)
        self.a, self.y = (bindings.empty(bindings.in_shape) for _ in range(2))
        self.others = (0, *range(2, 1 + len(bindings.in_shape)))  # every axis except the channels'
        self.scratch = Scratch.beside((bindings.n, *bindings.in_shape), bindings.dtype)

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        self.function.forward(x, self.a, self.scratch)
        np.subtract(self.a, x, out=self.y)
        np.multiply(self.y, self.W, out=self.y)
        return np.add(self.y, x, out=self.y)

    def backward(self, dy: Array) -> Array:
        """dx = (1 - W) dy + W f'(x) dy."""
        np.subtract(self.a, self.x, out=self.y)
        np.multiply(self.y, dy, out=self.y)
        np.add.reduce(self.y, axis=self.others, out=self.dW)
        np.subtract(1.0, self.W, out=self.rest)
        np.multiply(dy, self.rest, out=self.y)
        np.multiply(dy, self.W, out=dy)
        self.function.backward(dy, self.x, self.a, self.scratch)
        return np.add(dy, self.y, out=dy)
