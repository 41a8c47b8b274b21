"""y = W x, with a learned factor for each number of a row or each channel of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.initializers import Ones
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "scale", elsewhere="diagonal elementwise_scale layer_scale learnable_scale scaling")
class Scale:
    """y = W x, element by element: one factor for each number of a row, each channel of an image; W starts at 1.

    As a first layer it learns how much each input counts; Holzmueller et al. 2024 (RealMLP, section 3) give it 6 times
    the learning rate of the other layers: `learning_rate_scale: 6`. Weight decay does not apply.
    """

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output"})

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {"W": ParamSpec(in_shape[:1], Ones(), decay=False)}

    def build(self, bindings: Bindings) -> ScaleLayer:
        return ScaleLayer(bindings)


class ScaleLayer:
    """A scale layer bound to memory. x (N, C, ...) -> y of the same shape; dy -> dx."""

    def __init__(self, bindings: Bindings) -> None:
        self.W = bindings.params["W"].reshape(-1, *[1] * (len(bindings.in_shape) - 1))
        self.dW = bindings.grads["W"]
        self.y = bindings.empty(bindings.in_shape)
        self.others = (0, *range(2, 1 + len(bindings.in_shape)))  # every axis except the channels'
        self.needs_dx = bindings.needs_dx

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        return np.multiply(x, self.W, out=self.y)

    def backward(self, dy: Array) -> Array:
        np.multiply(self.x, dy, out=self.y)  # its last value is no longer needed
        np.add.reduce(self.y, axis=self.others, out=self.dW)
        return np.multiply(dy, self.W, out=dy) if self.needs_dx else dy
