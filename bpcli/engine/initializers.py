"""Initial values of weight arrays W (units, inputs, ...): fan_in inputs into a neuron, fan_out neurons fed by an input.

Values are always drawn in float64, so that float32 and float64 networks start from the same weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import AtLeast, Finite
from bpcli.engine.protocols import Initializer
from bpcli.engine.registry import initializers, part_of


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of W (units, inputs, *kernel)."""
    units, inputs, *kernel = shape
    return inputs * math.prod(kernel), units * math.prod(kernel)


@part_of(initializers, "zeros", elsewhere="constant zero")
class Zeros:
    """Every value 0: for biases. Weights that start at 0 stay equal to each other."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return np.zeros(shape)


@part_of(initializers, "ones", elsewhere="one")
class Ones:
    """Every value 1: for the scales of a normalisation."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return np.ones(shape)


@part_of(initializers, "normal", elsewhere="gaussian randn random_normal truncated_normal")
class Normal:
    """N(mean, std^2)."""

    mean: Annotated[float, Finite()] = 0.0
    std: Annotated[float, AtLeast(0)] = 0.1

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.std, shape)


@part_of(initializers, "uniform", elsewhere="rand random random_uniform")
class Uniform:
    """U[low, high)."""

    low: Annotated[float, Finite()] = -0.5
    high: Annotated[float, Finite()] = 0.5

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low: must be at most high, got {self.low} > {self.high}")
        if not math.isfinite(self.high - self.low):
            raise ValueError(f"high: must be within 1.79e308 of low, got {self.low} to {self.high}")

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.uniform(self.low, self.high, shape)


@part_of(initializers, "glorot_uniform", elsewhere="glorot xavier xavier_uniform")
class GlorotUniform:
    """U[-l, l] with l = sqrt(6 / (fan_in + fan_out)). Glorot & Bengio 2010, eq. 16. For sigmoid, tanh, softmax."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        limit = math.sqrt(6 / sum(fans(shape)))
        return rng.uniform(-limit, limit, shape)


@part_of(initializers, "glorot_normal", elsewhere="xavier_normal")
class GlorotNormal:
    """N(0, 2 / (fan_in + fan_out)). Glorot & Bengio 2010, eq. 12."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.normal(0.0, math.sqrt(2 / sum(fans(shape))), shape)


@part_of(initializers, "he_uniform", elsewhere="kaiming_uniform")
class HeUniform:
    """U[-l, l] with l = sqrt(6 / fan_in): the variance of `he_normal`."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        limit = math.sqrt(6 / fans(shape)[0])
        return rng.uniform(-limit, limit, shape)


@part_of(initializers, "he_normal", elsewhere="he kaiming kaiming_normal msra")
class HeNormal:
    """N(0, 2 / fan_in). He et al. 2015, eq. 10. For relu and its variants."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.normal(0.0, math.sqrt(2 / fans(shape)[0]), shape)


@part_of(initializers, "lecun_normal", elsewhere="lecun")
class LecunNormal:
    """N(0, 1 / fan_in). LeCun et al. 1998, Efficient BackProp, eq. 16. For selu."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.normal(0.0, math.sqrt(1 / fans(shape)[0]), shape)


@dataclass(frozen=True, slots=True)
class OneColumn:
    """Draws biases as one column of weights of the given shape, so that every initializer knows its fans."""

    init: Initializer
    weights: Shape

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return self.init.draw(self.weights, rng).reshape(*shape, -1)[:, 0]


def for_biases(init: Initializer | None, weights: Shape) -> Initializer:
    """The initializer of the biases beside weights of that shape: by default zeros."""
    return Zeros() if init is None else OneColumn(init, weights)


def check_bias_init(init: Initializer | None, *, bias: bool) -> None:
    """Raises ValueError if an initializer is given for biases that the layer does not have."""
    if init is not None and not bias:
        raise ValueError("bias_init: with bias: false there are no biases; leave one of the two out")
