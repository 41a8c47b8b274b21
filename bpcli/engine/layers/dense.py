"""z = W x + b: every output sees every input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import AtLeast
from bpcli.engine.initializers import GlorotUniform, check_bias_init, for_biases
from bpcli.engine.protocols import Bindings, Initializer, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "dense", elsewhere="affine fc fully_connected inner_product linear")
class Dense:
    """z = W x + b, W (units, inputs): row j holds the weights into neuron j, b (units,).

    init: initializer of W; None: the one that suits the activation (he_uniform for relu, glorot_uniform for most
    others). bias_init: of b, with the fans of W; None: zeros.
    """

    units: Annotated[int, AtLeast(1)]
    bias: bool = True
    init: Initializer | None = None
    bias_init: Initializer | None = None

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output"})

    def __post_init__(self) -> None:
        check_bias_init(self.bias_init, bias=self.bias)

    def out_shape(self, in_shape: Shape) -> Shape:
        if len(in_shape) != 1:
            raise ValueError(
                f"a dense layer takes vectors, not inputs of shape {in_shape}: put a flatten layer before it"
            )
        return (self.units,)

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        shape = (self.units, *in_shape)
        specs = {"W": ParamSpec(shape, self.init or GlorotUniform())}
        if self.bias:
            specs["b"] = ParamSpec((self.units,), for_biases(self.bias_init, shape), decay=False)
        return specs

    def build(self, bindings: Bindings) -> DenseLayer:
        return DenseLayer(bindings, self.units)


class DenseLayer:
    """A dense layer bound to memory. x (N, D) -> z (N, M); dz (N, M) -> dx (N, D)."""

    def __init__(self, bindings: Bindings, units: int) -> None:
        self.W, self.dW = bindings.params["W"], bindings.grads["W"]
        self.W_T = self.W.T
        self.b, self.db = bindings.params.get("b"), bindings.grads.get("b")
        self.z = bindings.empty((units,))
        self.dx = bindings.empty(bindings.in_shape) if bindings.needs_dx else None
        self.ones = np.ones(bindings.n, bindings.dtype)
        self.dot = bindings.products.dot_for(bindings.n * self.W.size)

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        self.dot(x, self.W_T, self.z)
        if self.b is not None:
            np.add(self.z, self.b, out=self.z)
        return self.z

    def backward(self, dz: Array) -> Array:
        self.dot(dz.T, self.x, self.dW)
        if self.db is not None:
            self.ones.dot(dz, self.db)
        if self.dx is None:
            return dz
        return self.dot(dz, self.W, self.dx)
