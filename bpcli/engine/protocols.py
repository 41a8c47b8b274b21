"""What each kind of part must be able to do.

Parts are frozen dataclasses of hyperparameters without memory of their own: the arrays they work on are handed in.
Only layers have a second half, bound to memory by `LayerSpec.build`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np

from bpcli.engine.arrays import Array, DType, Scale, Scratch, Shape, batch_array
from bpcli.engine.team import Products


class Initializer(Protocol):
    """First values of a weight array."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        """float64 values of that shape. For W (units, inputs, ...): fan_in is one row's size, fan_out one column's."""
        ...


class Activation(Protocol):
    """a = f(z), on arrays whose last axis is the units."""

    needs_z: ClassVar[bool]  # backward reads z, so z may not be overwritten by a
    default_init: ClassVar[str]  # the initializer's name that suits the weights before it

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        """Writes f(z) into `a`, which may be `z` itself unless `needs_z`."""
        ...

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        """Overwrites `da` = dL/da with dL/dz. Where a overwrote z, `z` is `a`."""
        ...


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One array of a layer: its shape and how it starts.

    decay: whether weight decay acts on it. learned: False for what the layer keeps up itself, such as running means:
    it lies in a vector of its own, `stats`, which no optimizer sees, and has no gradient.
    """

    shape: Shape
    init: Initializer
    decay: bool = True
    learned: bool = True


@dataclass(frozen=True, slots=True)
class Bindings:
    """The memory a layer is built on, for batches of exactly `n` samples.

    params: the layer's own views into theta, and into stats for those not learned, by the names of its `param_specs`.
    grads: likewise into grad, of those learned.
    needs_dx: whether `backward` must return dL/dx (not for the first layer).
    overwrite_x: whether `forward` may write its output over its input.
    noise: what a layer draws from in training, such as dropout's masks.
    products: computes matrix products.
    """

    n: int
    in_shape: Shape
    dtype: DType
    params: Mapping[str, Array]
    grads: Mapping[str, Array]
    needs_dx: bool
    overwrite_x: bool
    noise: np.random.Generator
    products: Products

    def empty(self, shape: Shape) -> Array:
        """A buffer for the batch: (n, *shape), in the network's dtype and memory order, contents undefined."""
        return batch_array(self.n, shape, self.dtype)


# What the network must know of a kind of layer:
# free_output: its output is its own buffer, and its backward does not read it, so what follows may overwrite it
# noise: it draws random numbers in training
# whole_batch: it looks across samples, so a batch cannot be split into shards
Trait: TypeAlias = Literal["free_output", "noise", "whole_batch"]


class Layer(Protocol):
    """A layer bound to memory. Returned arrays are its own buffers, valid until its next call."""

    def forward(self, x: Array, training: bool) -> Array:
        """y (n, *out_shape) from x (n, *in_shape). Keeps a reference to x for backward."""
        ...

    def backward(self, dy: Array) -> Array:
        """dL/dx from dL/dy; may overwrite dy; overwrites the gradient views. Without needs_dx the result is unused."""
        ...


class LayerSpec(Protocol):
    """A layer's hyperparameters: shapes and parameters can be asked for without any memory being made."""

    traits: ClassVar[frozenset[Trait]]

    def out_shape(self, in_shape: Shape) -> Shape:
        """The shape of one sample's output. Raises ValueError, naming the fix, where the input does not fit."""
        ...

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        """The arrays by name: "W" for weights, "b" for biases. Empty for a layer without any."""
        ...

    def build(self, bindings: Bindings) -> Layer:
        """The layer on its memory."""
        ...


class Loss(Protocol):
    """L = sum over the batch of scale * (one sample's loss).

    A loss inherits from this class, and with it what most losses have in common.
    """

    for_classes: ClassVar[bool] = False  # it has no meaning but for a classification
    for_numbers: ClassVar[bool] = False  # it has no meaning but for a regression
    boundary: ClassVar[float] = 0.5  # where a single output turns from the first class to the second

    @property
    def reduction(self) -> str:
        """Over the batch: "mean" or "sum"."""
        ...

    def from_logits(self, activation: Activation) -> Loss | None:
        """The loss as a function of z, where it is better computed together with the output activation; else None.

        Raises:
            ValueError: the loss has no meaning with this activation.
        """
        return None

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        """The value of L; overwrites `d_output` with dL/d_output. All arrays (N, M); scale a number, or (N, 1)."""
        ...


class Penalised(Protocol):
    """What an optimizer's weight_decay and l1 stand for; those without such a field have 0."""

    decoupled_decay: ClassVar[bool] = False  # weight_decay is a step of its own, and no part of what is minimised

    @property
    def weight_decay(self) -> float:
        """l2 of the penalty (l2 / 2) sum w^2 + l1 sum |w| over the weights."""
        return 0.0

    @property
    def l1(self) -> float:
        """l1 of the same penalty."""
        return 0.0


@dataclass(slots=True, eq=False)
class Parameters:
    """Parameters that an optimizer moves together, all of a network's or a part of them, and what it moves them by.

    Vectors of one length: theta; grad = dL/dtheta, clipped and with the penalty's derivative; state, those that the
    optimizer names; scratch; decay, 1.0 where weight decay acts, else 0.0.
    rate: the learning rate, one number or one for each parameter. t: the step's number, from 1.
    """

    theta: Array
    grad: Array
    state: Mapping[str, Array]
    scratch: Array
    decay: Array
    rate: float | Array
    t: int = 0


class Optimizer(Penalised, Protocol):
    """One update of the flat parameter vector, of each parameter by itself: parts of it may be updated side by side.

    An optimizer inherits from this class.
    """

    full_batch: ClassVar[bool] = False

    @property
    def learning_rate(self) -> float:
        """What a schedule multiplies."""
        ...

    def vector_names(self) -> tuple[str, ...]:
        """The state vectors it needs, each as long as theta and zero at the start."""
        return ()

    def step(self, p: Parameters) -> None:
        """Updates p.theta and the state vectors in place; may overwrite p.grad and p.scratch."""
        ...


class Problem(Protocol):
    """What a full-batch optimizer minimises: the loss over the whole training set and the penalty on weights.

    theta is any vector of parameters, (P,). Frozen parameters have zeros in every gradient. Returned arrays are the
    problem's own, valid until its next call.
    """

    def value_and_grad(self, theta: Array) -> tuple[float, Array]:
        """(L, dL/dtheta). Costs nothing where theta is that of the last call."""
        ...

    def value(self, theta: Array) -> float:
        """L, the same number as `value_and_grad` gives."""
        ...

    def normal_equations(self, theta: Array) -> tuple[float, Array, Array]:
        """(L, J^T J, J^T r) in float64, for L = (1/2) r^T r with J = dr/dtheta: so J^T r is dL/dtheta.

        Raises:
            ValueError: the loss is no sum of squares.
        """
        ...


@runtime_checkable
class FullBatchOptimizer(Penalised, Protocol):
    """A method that works on the whole training set, and evaluates it as often as it needs for one step.

    Such a method inherits from this class.
    """

    full_batch: ClassVar[bool] = True

    @property
    def learning_rate(self) -> float:
        """What is reported as the learning rate until `memory["learning_rate"]` says which was really used."""
        return 1.0

    def vector_names(self) -> tuple[str, ...]:
        """The state vectors it needs, each as long as theta and zero at the start."""
        return ()

    def iterate(
        self, problem: Problem, theta: Array, vectors: Mapping[str, Array], memory: dict[str, float], *, t: int
    ) -> float:
        """One iteration: changes theta, the vectors and memory in place. Returns the problem's value before it.

        memory: its own scalars, empty at the start, finite, and kept in checkpoints. t: the iteration's number, from 1.
        A theta left as it was says that no better point was found: training stops. The problem may end the iteration by
        an exception at any evaluation: theta is then as before, and the iteration done anew goes the same way.
        """
        ...


AnyOptimizer: TypeAlias = Optimizer | FullBatchOptimizer


@dataclass(frozen=True, slots=True)
class Progress:
    """When in training: the epoch under way and the iteration of the run, both from 0; and how long training lasts."""

    epoch: int
    step: int
    iterations_per_epoch: int
    epochs: int


class Schedule(Protocol):
    """How the learning rate moves.

    `memory` is the schedule's own, empty at the start and kept in checkpoints, for one that needs to remember.
    """

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        """What the optimizer's learning rate is multiplied by at that point of training."""
        ...


@runtime_checkable
class WatchingSchedule(Schedule, Protocol):
    """A schedule that is told after each epoch how training goes."""

    def after_epoch(self, value: float, memory: dict[str, float]) -> None:
        """Notes the monitored value, which is better the smaller it is."""
        ...


class Metric(Protocol):
    """A figure of merit over a whole split."""

    task: ClassVar[str]  # classification | regression
    higher_is_better: ClassVar[bool]

    def value(self, target: Array, prediction: Array) -> float:
        """Classification: class indices (N,) against probabilities (N, K). Regression: (N, M) against (N, M)."""
        ...
