"""y = x where x > 0, else slope x, with a learned slope for each channel or unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import Finite
from bpcli.engine.initializers import Normal
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "prelu")
class PReLU:
    """y = max(x, 0) + slope min(x, 0). He et al. 2015, eq. 1; every slope starts at 0.25, as there.

    One slope for each unit of a vector or each channel of an image. PyTorch's PReLU has a single slope by default;
    Keras has one for each pixel and starts at 0. Weight decay does not apply: it would pull the layer towards relu.
    """

    start: Annotated[float, Finite()] = 0.25

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output"})

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {"slope": ParamSpec(in_shape[:1], Normal(mean=self.start, std=0.0), decay=False)}

    def build(self, bindings: Bindings) -> PReLULayer:
        return PReLULayer(bindings)


class PReLULayer:
    """A prelu layer bound to memory. x (N, C, ...) -> y (N, C, ...); dy -> dx."""

    def __init__(self, bindings: Bindings) -> None:
        self.slope = bindings.params["slope"].reshape(-1, *[1] * (len(bindings.in_shape) - 1))
        self.dslope = bindings.grads["slope"]
        self.y = bindings.empty(bindings.in_shape)
        self.work = bindings.empty(bindings.in_shape)
        self.others = (0, *range(2, 1 + len(bindings.in_shape)))  # every axis except the channels'
        self.needs_dx = bindings.needs_dx

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        np.minimum(x, 0.0, out=self.work)
        np.multiply(self.work, self.slope, out=self.y)
        np.maximum(x, 0.0, out=self.work)
        return np.add(self.y, self.work, out=self.y)

    def backward(self, dy: Array) -> Array:
        np.minimum(self.x, 0.0, out=self.work)
        np.multiply(self.work, dy, out=self.work)
        np.add.reduce(self.work, axis=self.others, out=self.dslope)
        if self.needs_dx:
            np.greater(self.x, 0.0, out=self.work)
            np.multiply(self.work, dy, out=self.work)  # dy where x > 0, else 0
            np.subtract(dy, self.work, out=dy)
            np.multiply(dy, self.slope, out=dy)
            np.add(dy, self.work, out=dy)
        return dy
