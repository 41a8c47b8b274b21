"""y = W (x - mean) / sqrt(var + eps) + b, with mean and variance of each channel over the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import Between, MoreThan
from bpcli.engine.initializers import Ones, Zeros
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "batch_norm", elsewhere="batch_norm1d batch_norm2d batch_normalization bn")
class BatchNorm:
    """Normalises each unit, or each channel of an image, to mean b and standard deviation W over the batch.

    y = W (x - mean) / sqrt(var + eps) + b (Ioffe & Szegedy 2015, algorithm 1), var without Bessel's correction.
    Evaluation uses running averages instead: r <- (1 - momentum) r + momentum * batch's, the variance with the
    correction, as in PyTorch (Keras's momentum is 1 minus this one). They are not parameters: no optimizer changes
    them.
    """

    momentum: Annotated[float, Between(0, 1)] = 0.1
    eps: Annotated[float, MoreThan(0)] = 1e-5

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output", "whole_batch"})

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        channels = in_shape[:1]
        return {
            "W": ParamSpec(channels, Ones(), decay=False),
            "b": ParamSpec(channels, Zeros(), decay=False),
            "running_mean": ParamSpec(channels, Zeros(), learned=False),
            "running_var": ParamSpec(channels, Ones(), learned=False),
        }

    def build(self, bindings: Bindings) -> BatchNormLayer:
        return BatchNormLayer(bindings, self.momentum, self.eps)


class BatchNormLayer:
    """x (N, C) or (N, C, H, W) -> y of the same shape; sums run over all axes but the channels'."""

    def __init__(self, bindings: Bindings, momentum: float, eps: float) -> None:
        self.momentum, self.eps = momentum, eps
        channels, *image = bindings.in_shape
        self.count = bindings.n * math.prod(image)
        self.axes = (0, *range(2, 2 + len(image)))
        per_channel = (1, channels, *(1 for _ in image))
        self.W, self.b, self.running_mean, self.running_var = (
            bindings.params[name].reshape(per_channel) for name in ("W", "b", "running_mean", "running_var")
        )
        self.dW, self.db = (bindings.grads[name].reshape(per_channel) for name in ("W", "b"))
        self.mean, self.std, self.work = (np.empty(per_channel, bindings.dtype) for _ in range(3))
        self.normal, self.y = bindings.empty(bindings.in_shape), bindings.empty(bindings.in_shape)

    def forward(self, x: Array, training: bool) -> Array:
        mean, var = (self.mean, self.std) if training else (self.running_mean, self.running_var)
        if training:
            np.mean(x, axis=self.axes, keepdims=True, out=mean)
        np.subtract(x, mean, out=self.normal)
        if training:
            np.multiply(self.normal, self.normal, out=self.y)
            np.mean(self.y, axis=self.axes, keepdims=True, out=var)
            self._keep(self.running_mean, mean, 1.0)
            self._keep(self.running_var, var, self.count / max(self.count - 1, 1))
        np.add(var, self.eps, out=self.std)
        np.sqrt(self.std, out=self.std)
        np.divide(self.normal, self.std, out=self.normal)
        np.multiply(self.normal, self.W, out=self.y)
        return np.add(self.y, self.b, out=self.y)

    def _keep(self, running: Array, value: Array, correction: float) -> None:
        np.multiply(running, 1.0 - self.momentum, out=running)
        np.multiply(value, self.momentum * correction, out=self.work)
        np.add(running, self.work, out=running)

    def backward(self, dy: Array) -> Array:
        """dx = W / std * (dy - mean(dy) - normal * mean(dy * normal)), means over the batch."""
        np.add.reduce(dy, axis=self.axes, keepdims=True, out=self.db)
        np.multiply(dy, self.normal, out=self.y)
        np.add.reduce(self.y, axis=self.axes, keepdims=True, out=self.dW)
        np.multiply(self.dW, 1.0 / self.count, out=self.work)
        np.multiply(self.normal, self.work, out=self.normal)
        np.multiply(self.db, 1.0 / self.count, out=self.work)
        np.subtract(dy, self.work, out=dy)
        np.subtract(dy, self.normal, out=dy)
        np.divide(self.W, self.std, out=self.work)
        return np.multiply(dy, self.work, out=dy)
