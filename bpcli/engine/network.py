"""A stack of layers: its description (`Network`), and the same bound to memory for one batch size (`Stack`)."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from bpcli.engine.activations import Identity
from bpcli.engine.arrays import Array, DType, Shape
from bpcli.engine.initializers import fans
from bpcli.engine.layers.activation import ActivationSpec
from bpcli.engine.parameters import ParamLayout
from bpcli.engine.protocols import Activation, Bindings, Layer, LayerSpec, ParamSpec, Trait
from bpcli.engine.registry import initializers, layers
from bpcli.engine.team import Products

Trainable: TypeAlias = bool | Literal["weights", "biases"]
RateScale: TypeAlias = float | Literal["inverse_sqrt_fan_in"]
T = TypeVar("T")


class LayerError(ValueError):
    """A layer that does not fit: `index` counts the layers as given, `key` is the field at fault."""

    def __init__(self, index: int, key: str, message: str) -> None:
        super().__init__(message)
        self.index = index
        self.key = key


@dataclass(frozen=True, kw_only=True)
class LayerEntry:
    """A layer as the user describes it: the layer, its activation, how it learns, and explicit initial values.

    weights, biases: initial values, of the shapes of W and b.
    trainable: False freezes W and b, "weights" lets only W learn, "biases" only b.
    learning_rate_scale multiplies the learning rate: a number; or "inverse_sqrt_fan_in", that of the weights by
    1 / sqrt(fan_in). bias_learning_rate_scale: that of b instead; None: the same number, 1 for the word.

    With weights that start at N(0, 1 / fan_in), "inverse_sqrt_fan_in" makes Adam's steps those of the neural tangent
    parametrisation (Jacot et al. 2018), z = W x / sqrt(fan_in) + b with W from N(0, 1), apart from its eps.
    """

    spec: LayerSpec
    name: str | None = None
    activation: Activation | None = None
    learning_rate_scale: RateScale = 1.0
    bias_learning_rate_scale: float | None = None
    trainable: Trainable = True
    weights: Any = None
    biases: Any = None


@dataclass(frozen=True)
class PlacedLayer:
    """A layer in its place. `entry` is the index of the LayerEntry it comes from."""

    name: str
    spec: LayerSpec
    in_shape: Shape
    out_shape: Shape
    entry: int


class Network:
    """A network without memory: layers, shapes, the layout of theta. Comparable and cheap; allocates no arrays.

    The last layer's activation is kept separately as `output_activation`, since some losses are computed from its
    input, the logits z^L. Everything before it is in `placed`.

    Args:
        entries: the layers, first to last.
        in_shape: the shape of one sample, (D,) or (C, H, W).

    Raises:
        LayerError: a layer does not fit its input, or explicit values do not fit the layer.
    """

    def __init__(self, entries: Sequence[LayerEntry], in_shape: Shape) -> None:
        self.entries = tuple(_with_default_init(entry) for entry in entries)
        self.in_shape = in_shape
        self.names = _names(self.entries)
        self.output_activation: Activation = self.entries[-1].activation or Identity()
        self.placed = tuple(self._place())
        self.out_shape = self.placed[-1].out_shape
        specs = self._param_specs()
        self.layout = ParamLayout.of({name: spec for name, spec in specs.items() if spec.learned})
        self.stats_layout = ParamLayout.of({name: spec for name, spec in specs.items() if not spec.learned})
        self._check_settings()
        self._check_given_values()

    def _place(self) -> list[PlacedLayer]:
        placed = []
        shape = self.in_shape
        for index, (name, entry) in enumerate(zip(self.names, self.entries, strict=True)):
            try:
                out_shape = entry.spec.out_shape(shape)
            except ValueError as error:
                raise LayerError(index, "type", str(error)) from error
            placed.append(PlacedLayer(name, entry.spec, shape, out_shape, index))
            shape = out_shape
            if entry.activation is not None and index < len(self.entries) - 1:
                spec = ActivationSpec(function=entry.activation)
                placed.append(PlacedLayer(f"{name}.activation", spec, shape, shape, index))
        return placed

    def _param_specs(self) -> dict[str, ParamSpec]:
        return {
            f"{layer.name}.{key}": spec
            for layer in self.placed
            for key, spec in layer.spec.param_specs(layer.in_shape).items()
        }

    def _given(self) -> dict[str, tuple[int, str, Any]]:
        """Explicit initial values: the parameter's name -> (entry's index, the entry's key, the values)."""
        return {
            f"{name}.{parameter}": (index, key, getattr(entry, key))
            for index, (name, entry) in enumerate(zip(self.names, self.entries, strict=True))
            for key, parameter in (("weights", "W"), ("biases", "b"))
            if getattr(entry, key) is not None
        }

    def _check_settings(self) -> None:
        """Rejects learning options on a layer without parameters."""
        learning = by_layer(self.layout.specs)
        for index, (name, entry) in enumerate(zip(self.names, self.entries, strict=True)):
            if name not in learning:
                if entry.trainable is not True:
                    raise LayerError(index, "trainable", "the layer has no weights that could be frozen")
                if entry.learning_rate_scale != 1.0:
                    raise LayerError(index, "learning_rate_scale", "the layer has no weights that could learn")
            elif entry.learning_rate_scale == "inverse_sqrt_fan_in" and not hasattr(entry.spec, "init"):
                kind = layers.name_of(entry.spec)
                message = f"only dense and conv2d layers have a fan_in, a {kind} layer has none: give a number"
                raise LayerError(index, "learning_rate_scale", message)
            if entry.bias_learning_rate_scale is not None and "b" not in learning.get(name, ()):
                raise LayerError(index, "bias_learning_rate_scale", "the layer has no biases")

    def _check_given_values(self) -> None:
        for name, (index, key, values) in self._given().items():
            if name not in self.layout.specs:
                raise LayerError(index, key, f"the layer has no {key}")
            shape = self.layout.specs[name].shape
            try:
                got = np.asarray(values, np.float64).shape
            except ValueError:
                raise LayerError(index, key, f"expected the shape {shape}, got rows of different lengths") from None
            if got != shape:
                raise LayerError(index, key, f"expected the shape {shape} (row j into neuron j), got {got}")

    def has_trait(self, trait: Trait) -> bool:
        """Whether any layer has this trait."""
        return any(trait in placed.spec.traits for placed in self.placed)

    @cached_property
    def decay_mask(self) -> Array:
        """float64 (P,): 1 where weight decay acts: weights that are not frozen."""
        mask = self.trainable_mask.copy()
        for name, part in self.layout.slices.items():
            mask[part] *= self.layout.specs[name].decay
        return mask

    @cached_property
    def trainable_mask(self) -> Array:
        """float64 (P,): 1 where a parameter learns, 0 where it is frozen."""
        mask = np.ones(self.layout.size)
        for name, view in self.layout.views(mask).items():
            trainable = self._entry_of(name).trainable
            kind = "biases" if name.endswith(".b") else "weights"
            view[...] = trainable is True or trainable == kind
        return mask

    @cached_property
    def rate_scale(self) -> Array | None:
        """float64 (P,): each parameter's factor on the learning rate; None where all are 1."""
        scale = np.ones(self.layout.size)
        for name, view in self.layout.views(scale).items():
            view[...] = self._rate_scale_of(name)
        return None if bool((scale == 1.0).all()) else scale

    def _rate_scale_of(self, parameter: str) -> float:
        entry, is_bias = self._entry_of(parameter), parameter.endswith(".b")
        if is_bias and entry.bias_learning_rate_scale is not None:
            return entry.bias_learning_rate_scale
        if entry.learning_rate_scale == "inverse_sqrt_fan_in":
            return 1.0 if is_bias else 1.0 / math.sqrt(fans(self.layout.specs[parameter].shape)[0])
        return entry.learning_rate_scale

    def _entry_of(self, parameter: str) -> LayerEntry:
        return self._entries_by_name[parameter.rpartition(".")[0]]

    @cached_property
    def _entries_by_name(self) -> dict[str, LayerEntry]:
        return dict(zip(self.names, self.entries, strict=True))

    def initial_theta(self, rng: np.random.Generator, dtype: DType) -> Array:
        """A new theta (P,): drawn by the initializers in the layout's order, then overwritten by explicit values."""
        theta = np.empty(self.layout.size, dtype)
        given = self._given()
        with np.errstate(over="ignore"):  # an infinite value is reported before the first iteration
            for name, view in self.layout.views(theta).items():
                spec = self.layout.specs[name]
                view[...] = spec.init.draw(spec.shape, rng)
                if name in given:
                    view[...] = given[name][2]
        return theta

    def initial_stats(self, dtype: DType) -> Array:
        """The initial running statistics of the layers: a vector like theta, laid out by `stats_layout`."""
        stats = np.empty(self.stats_layout.size, dtype)
        for name, view in self.stats_layout.views(stats).items():
            spec = self.stats_layout.specs[name]
            view[...] = spec.init.draw(spec.shape, np.random.default_rng(0))  # zeros or ones: nothing is random
        return stats

    def bind(
        self,
        theta: Array,
        grad: Array,
        n: int,
        *,
        stats: Array | None = None,
        noise: np.random.Generator | None = None,
        products: Products | None = None,
    ) -> Stack:
        """The stack bound to memory, for batches of n samples. Stacks may share theta; each has its own grad.

        stats: by default a new vector. noise: by default a new generator with seed 0. products: by default on one
        thread.
        """
        if stats is None:
            stats = self.initial_stats(theta.dtype.name)  # type: ignore[arg-type]  # float32 or float64
        return Stack(self, theta, grad, n, stats, noise or np.random.default_rng(0), products or Products())


class Stack:
    """A network bound to memory, for batches of exactly n samples: x (n, *in_shape) -> logits z^L (n, *out_shape)."""

    def __init__(
        self,
        network: Network,
        theta: Array,
        grad: Array,
        n: int,
        stats: Array,
        noise: np.random.Generator,
        products: Products,
    ) -> None:
        self.network = network
        self.n = n
        self.layers: list[Layer] = []
        params = by_layer(network.layout.views(theta) | network.stats_layout.views(stats))
        grads = by_layer(network.layout.views(grad))
        overwrite_x = False
        for placed in network.placed:
            bindings = Bindings(
                n=n,
                in_shape=placed.in_shape,
                dtype=theta.dtype.name,  # type: ignore[arg-type]  # float32 or float64 by construction
                params=params.get(placed.name, {}),
                grads=grads.get(placed.name, {}),
                needs_dx=bool(self.layers),
                overwrite_x=overwrite_x,
                noise=noise,
                products=products,
            )
            self.layers.append(placed.spec.build(bindings))
            overwrite_x = "free_output" in placed.spec.traits

    def forward(self, x: Array, training: bool = False) -> Array:
        """The logits z^L (n, *out_shape): a buffer of the last layer, valid until the next call."""
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, delta: Array) -> None:
        """Overwrites grad with dL/dtheta, from delta = dL/dz^L (n, *out_shape); may overwrite delta."""
        for layer in reversed(self.layers):
            delta = layer.backward(delta)


def by_layer(arrays: Mapping[str, T]) -> dict[str, dict[str, T]]:
    """The arrays of each layer that has any, by the names in its spec: `dense_1.W` becomes dense_1, W."""
    grouped: dict[str, dict[str, T]] = {}
    for name, array in arrays.items():
        layer, _, parameter = name.rpartition(".")
        grouped.setdefault(layer, {})[parameter] = array
    return grouped


def _names(entries: Sequence[LayerEntry]) -> tuple[str, ...]:
    """Each layer's name: as given, or its type and a number: dense_1, dense_2."""
    counts: Counter[str] = Counter()
    names: dict[str, None] = {}
    for index, entry in enumerate(entries):
        kind = layers.name_of(entry.spec)
        counts[kind] += 1
        name = entry.name or f"{kind}_{counts[kind]}"
        if name in names:
            raise LayerError(index, "name", f"two layers are called {name!r}")
        names[name] = None
    return tuple(names)


def _with_default_init(entry: LayerEntry) -> LayerEntry:
    """If the entry's layer has no `init`, gives it the initializer that suits the activation."""
    if getattr(entry.spec, "init", True) is not None:
        return entry
    name = (entry.activation or Identity()).default_init
    return dataclasses.replace(entry, spec=dataclasses.replace(entry.spec, init=initializers.get(name)()))  # type: ignore[type-var]
