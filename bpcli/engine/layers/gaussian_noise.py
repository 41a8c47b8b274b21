"""y = x + e in training, y = x otherwise, with e from N(0, std^2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import AtLeast
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "gaussian_noise", elsewhere="noise")
class GaussianNoise:
    """Adds a number from N(0, std^2) to each input, in training only: as a first layer, noise on the inputs."""

    std: Annotated[float, AtLeast(0)] = 0.1

    traits: ClassVar[frozenset[Trait]] = frozenset({"noise"})

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {}

    def build(self, bindings: Bindings) -> GaussianNoiseLayer:
        return GaussianNoiseLayer(bindings, self.std)


class GaussianNoiseLayer:
    """x (N, ...) -> y (N, ...); dx = dy."""

    def __init__(self, bindings: Bindings, std: float) -> None:
        self.std, self.noise = std, bindings.noise
        self.drawn = np.empty((bindings.n, *bindings.in_shape), bindings.dtype)
        self.y = bindings.empty(bindings.in_shape)

    def forward(self, x: Array, training: bool) -> Array:
        if not training:
            return x
        self.noise.standard_normal(out=self.drawn, dtype=self.drawn.dtype.type)
        np.multiply(self.drawn, self.std, out=self.drawn)
        return np.add(x, self.drawn, out=self.y)

    def backward(self, dy: Array) -> Array:
        return dy
