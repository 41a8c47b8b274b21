"""y = W (x - mean) / sqrt(var + eps) + b, with mean and variance of each sample over all its numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import MoreThan
from bpcli.engine.initializers import Ones, Zeros
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "layer_norm", elsewhere="layer_normalization ln")
class LayerNorm:
    """Normalises each sample to mean 0 and standard deviation 1, then multiplies by W and adds b, element by element.

    y = W (x - mean) / sqrt(var + eps) + b (Ba, Kiros & Hinton 2016), var without Bessel's correction; for an image over
    channels and pixels together, as in PyTorch with normalized_shape (C, H, W). Training and evaluation do not differ.
    """

    eps: Annotated[float, MoreThan(0)] = 1e-5

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output"})

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {"W": ParamSpec(in_shape, Ones(), decay=False), "b": ParamSpec(in_shape, Zeros(), decay=False)}

    def build(self, bindings: Bindings) -> LayerNormLayer:
        return LayerNormLayer(bindings, self.eps)


class LayerNormLayer:
    """x (N, ...) -> y of the same shape; means run over all axes but the batch's."""

    def __init__(self, bindings: Bindings, eps: float) -> None:
        self.eps = eps
        self.W, self.b = bindings.params["W"], bindings.params["b"]
        self.dW, self.db = bindings.grads["W"], bindings.grads["b"]
        self.axes = tuple(range(1, 1 + len(bindings.in_shape)))
        self.count = math.prod(bindings.in_shape)
        per_sample = (bindings.n, *(1 for _ in bindings.in_shape))
        self.std, self.work = np.empty(per_sample, bindings.dtype), np.empty(per_sample, bindings.dtype)
        self.normal, self.y = bindings.empty(bindings.in_shape), bindings.empty(bindings.in_shape)

    def forward(self, x: Array, training: bool) -> Array:
        np.mean(x, axis=self.axes, keepdims=True, out=self.work)
        np.subtract(x, self.work, out=self.normal)
        np.multiply(self.normal, self.normal, out=self.y)
        np.mean(self.y, axis=self.axes, keepdims=True, out=self.std)
        np.add(self.std, self.eps, out=self.std)
        np.sqrt(self.std, out=self.std)
        np.divide(self.normal, self.std, out=self.normal)
        np.multiply(self.normal, self.W, out=self.y)
        return np.add(self.y, self.b, out=self.y)

    def backward(self, dy: Array) -> Array:
        """dx = (g - mean(g) - normal * mean(g * normal)) / std with g = W dy, means over the sample."""
        np.add.reduce(dy, axis=0, out=self.db)
        np.multiply(dy, self.normal, out=self.y)
        np.add.reduce(self.y, axis=0, out=self.dW)
        np.multiply(dy, self.W, out=dy)
        np.multiply(dy, self.normal, out=self.y)
        np.mean(self.y, axis=self.axes, keepdims=True, out=self.work)
        np.multiply(self.normal, self.work, out=self.normal)
        np.mean(dy, axis=self.axes, keepdims=True, out=self.work)
        np.subtract(dy, self.work, out=dy)
        np.subtract(dy, self.normal, out=dy)
        return np.divide(dy, self.std, out=dy)
