"""y = mean over the whole image: one number for each channel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.layers._windows import image_of
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "global_avg_pool2d", elsewhere="adaptive_avg_pool2d gap global_average_pooling2d")
class GlobalAvgPool2d:
    """y[c] = 1 / (H W) sum over i, j of x[c, i, j]: (C, H, W) -> (C,), which a dense layer takes as it is.

    Lin, Chen & Yan 2013, Network in Network, section 3.2.
    """

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output"})

    def out_shape(self, in_shape: Shape) -> Shape:
        image_of("global_avg_pool2d", in_shape)
        return (in_shape[0],)

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {}

    def build(self, bindings: Bindings) -> GlobalAvgPool2dLayer:
        return GlobalAvgPool2dLayer(bindings)


class GlobalAvgPool2dLayer:
    """Global average pooling bound to memory. x (N, C, H, W) -> y (N, C); dy -> dx, spread evenly."""

    def __init__(self, bindings: Bindings) -> None:
        channels, height, width = bindings.in_shape
        self.share = 1.0 / (height * width)
        self.y = bindings.empty((channels,))
        self.dx = bindings.empty(bindings.in_shape) if bindings.needs_dx else None

    def forward(self, x: Array, training: bool) -> Array:
        return np.mean(x, axis=(2, 3), out=self.y)

    def backward(self, dy: Array) -> Array:
        if self.dx is None:
            return dy
        return np.multiply(dy[:, :, None, None], self.share, out=self.dx)
