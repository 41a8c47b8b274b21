"""y = x * mask / (1 - rate) in training, y = x otherwise: each number is dropped with probability `rate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import Between
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "dropout", elsewhere="alpha_dropout dropout2d")
class Dropout:
    """Sets each number to 0 with probability `rate`, and divides the others by 1 - rate (Srivastava et al. 2014).

    The division ("inverted" dropout) keeps the expected value, so that evaluation needs no correction.
    """

    rate: Annotated[float, Between(0, 1, end=False)] = 0.5

    traits: ClassVar[frozenset[Trait]] = frozenset({"noise"})

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {}

    def build(self, bindings: Bindings) -> DropoutLayer:
        return DropoutLayer(bindings, self.rate)


class DropoutLayer:
    """x (N, ...) -> y (N, ...). `kept` holds 1 / (1 - rate) where a number is kept, else 0."""

    def __init__(self, bindings: Bindings, rate: float) -> None:
        self.rate, self.noise = rate, bindings.noise
        self.drawn = np.empty((bindings.n, *bindings.in_shape), bindings.dtype)
        self.kept = bindings.empty(bindings.in_shape)
        self.y = bindings.empty(bindings.in_shape)

    def forward(self, x: Array, training: bool) -> Array:
        if not training:
            return x
        self.noise.random(out=self.drawn, dtype=self.drawn.dtype.type)
        np.greater_equal(self.drawn, self.rate, out=self.kept)
        np.multiply(self.kept, 1.0 / (1.0 - self.rate), out=self.kept)
        return np.multiply(x, self.kept, out=self.y)

    def backward(self, dy: Array) -> Array:
        return np.multiply(dy, self.kept, out=dy)
