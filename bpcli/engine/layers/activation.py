"""a = f(z): an activation function as a separate layer; it follows a layer that names an `activation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from bpcli.engine.arrays import Array, Scratch, Shape
from bpcli.engine.protocols import Activation, Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "activation", elsewhere="gelu nonlinearity relu sigmoid softmax tanh")
class ActivationSpec:
    """a = f(z), element by element (softmax: over the last axis)."""

    function: Activation

    traits: ClassVar[frozenset[Trait]] = frozenset()

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {}

    def build(self, bindings: Bindings) -> ActivationLayer:
        return ActivationLayer(bindings, self.function)


class ActivationLayer:
    """An activation bound to memory. z -> a, which overwrites z if that is allowed and f's derivative needs only a."""

    def __init__(self, bindings: Bindings, function: Activation) -> None:
        self.function = function
        in_place = bindings.overwrite_x and not function.needs_z
        self.buffer = None if in_place else bindings.empty(bindings.in_shape)
        self.scratch = Scratch.beside((bindings.n, *bindings.in_shape), bindings.dtype)

    def forward(self, z: Array, training: bool) -> Array:
        self.z = z
        self.a = z if self.buffer is None else self.buffer
        self.function.forward(z, self.a, self.scratch)
        return self.a

    def backward(self, da: Array) -> Array:
        self.function.backward(da, self.z, self.a, self.scratch)
        return da
