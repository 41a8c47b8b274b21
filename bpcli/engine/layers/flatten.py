"""Each sample as one row of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "flatten")
class Flatten:
    """(C, H, W) -> (C * H * W,): the last axis runs fastest."""

    traits: ClassVar[frozenset[Trait]] = frozenset()

    def out_shape(self, in_shape: Shape) -> Shape:
        return (math.prod(in_shape),)

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {}

    def build(self, bindings: Bindings) -> FlattenLayer:
        return FlattenLayer(bindings)


class FlattenLayer:
    """x (N, *shape) -> y (N, prod(shape)), and back.

    y is a view of images with the batch innermost: its columns are contiguous, which suits a matrix product as well as
    contiguous rows. dx is a buffer in the same memory order, for the layers before.
    """

    def __init__(self, bindings: Bindings) -> None:
        self.dx = bindings.empty(bindings.in_shape) if bindings.needs_dx else None

    def forward(self, x: Array, training: bool) -> Array:
        return x.reshape(len(x), -1)

    def backward(self, dy: Array) -> Array:
        if self.dx is None:
            return dy
        np.copyto(self.dx, dy.reshape(self.dx.shape))
        return self.dx
