"""The interface of each kind of part.

Parts are frozen dataclasses of hyperparameters and own no memory: the arrays they work on are arguments. Only layers
have a second class, bound to memory by `LayerSpec.build`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np

from bpcli.engine.arrays import Array, DType, Scale, Scratch, Shape, batch_array
from bpcli.engine.team import Products


class Initializer(Protocol):
    """The initial values of a weight array."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        """float64 values of that shape. For W (units, inputs, ...): fan_in is one row's size, fan_out one column's."""
        ...


class Activation(Protocol):
    """a = f(z), on arrays whose last axis is the units."""

    needs_z: ClassVar[bool]  # backward reads z, so z may not be overwritten by a
    default_init: ClassVar[str]  # name of the initializer that suits the weights before it

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        """Writes f(z) into `a`, which may be `z` itself unless `needs_z`."""
        ...

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        """Overwrites `da` = dL/da with dL/dz. If a overwrote z, `z` is `a`."""
        ...


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One array of a layer: its shape and how it starts.

    decay: whether weight decay acts on it. learned: False for an array that the layer updates itself, such as running
    means: it has no gradient and lies in a separate vector, `stats`, which no optimizer changes.
    """

    shape: Shape
    init: Initializer
    decay: bool = True
    learned: bool = True


@dataclass(frozen=True, slots=True)
class Bindings:
    """The memory a layer is built on, for batches of exactly `n` samples.

    params: the layer's views of theta, or of stats for arrays that are not learned, by the names in its `param_specs`.
    grads: the views of grad, for the arrays that are learned.
    needs_dx: whether `backward` must return dL/dx (not for the first layer).
    overwrite_x: whether `forward` may write its output over its input.
    noise: the generator for random numbers in training, such as dropout's masks.
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
        """A buffer for the batch: (n, *shape), in the network's dtype and memory order; contents are undefined."""
        return batch_array(self.n, shape, self.dtype)


# Properties of a kind of layer that the network uses:
# free_output: its output is its own buffer, which its backward does not read, so the next layer may overwrite it
# noise: it draws random numbers in training
# whole_batch: its output for a sample depends on the others, so a batch cannot be split into shards
Trait: TypeAlias = Literal["free_output", "noise", "whole_batch"]


class Layer(Protocol):
    """A layer bound to memory. Returned arrays are buffers of the layer, valid until its next call."""

    def forward(self, x: Array, training: bool) -> Array:
        """y (n, *out_shape) from x (n, *in_shape). Keeps a reference to x for backward."""
        ...

    def backward(self, dy: Array) -> Array:
        """dL/dx from dL/dy; may overwrite dy; overwrites the gradient views. Without needs_dx the result is unused."""
        ...


class LayerSpec(Protocol):
    """A layer's hyperparameters. Shapes and parameters are computed without allocating arrays."""

    traits: ClassVar[frozenset[Trait]]

    def out_shape(self, in_shape: Shape) -> Shape:
        """The shape of one sample's output. Raises ValueError, with a remedy, if the input does not fit."""
        ...

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        """The arrays by name: "W" for weights, "b" for biases. Empty for a layer without parameters."""
        ...

    def build(self, bindings: Bindings) -> Layer:
        """The layer bound to memory."""
        ...


class Loss(Protocol):
    """L = sum over the batch of scale * (one sample's loss).

    Every loss inherits from this class and its defaults.
    """

    for_classes: ClassVar[bool] = False  # it is defined for classification only
    for_numbers: ClassVar[bool] = False  # it is defined for regression only
    boundary: ClassVar[float] = 0.5  # the threshold between the two classes of a single output

    @property
    def reduction(self) -> str:
        """The reduction over the batch: "mean" or "sum"."""
        ...

    def from_logits(self, activation: Activation) -> Loss | None:
        """The loss as a function of z, if it is better computed together with the output activation; else None.

        Raises:
            ValueError: the loss is not defined for this activation.
        """
        return None

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        """The value of L; overwrites `d_output` with dL/d_output. All arrays (N, M); scale is a number or (N, 1)."""
        ...


class Penalised(Protocol):
    """The meaning of an optimizer's weight_decay and l1; an optimizer without such a field has 0."""

    decoupled_decay: ClassVar[bool] = False  # weight_decay is a separate step and not part of the minimised function

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
    """The arguments of an optimizer's step: some or all parameters of a network, their gradient and their state.

    Vectors of one length: theta; grad = dL/dtheta, clipped and with the penalty's derivative added; state, the vectors
    that the optimizer names; scratch; decay, 1.0 where weight decay acts, else 0.0.
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
    """Updates the flat parameter vector element by element, so that parts of it may be updated in parallel.

    Every such optimizer inherits from this class.
    """

    full_batch: ClassVar[bool] = False

    @property
    def learning_rate(self) -> float:
        """The base learning rate, which a schedule multiplies."""
        ...

    def vector_names(self) -> tuple[str, ...]:
        """The state vectors it needs, each as long as theta and zero at the start."""
        return ()

    def step(self, p: Parameters) -> None:
        """Updates p.theta and the state vectors in place; may overwrite p.grad and p.scratch."""
        ...


class Problem(Protocol):
    """What a full-batch optimizer minimises: the loss over the whole training set and the penalty on weights.

    theta is any vector of parameters, (P,). Gradients are 0 for frozen parameters. Returned arrays are buffers of
    the problem, valid until its next call.
    """

    def value_and_grad(self, theta: Array) -> tuple[float, Array]:
        """(L, dL/dtheta). Costs nothing if theta is the same as in the last call."""
        ...

    def value(self, theta: Array) -> float:
        """L, the same number that `value_and_grad` returns."""
        ...

    def normal_equations(self, theta: Array) -> tuple[float, Array, Array]:
        """(L, J^T J, J^T r) in float64, for L = (1/2) r^T r with J = dr/dtheta: J^T r is then dL/dtheta.

        Raises:
            ValueError: the loss is not a sum of squares.
        """
        ...


@runtime_checkable
class FullBatchOptimizer(Penalised, Protocol):
    """A method that evaluates the whole training set, as often as it needs for one step.

    Every such optimizer inherits from this class.
    """

    full_batch: ClassVar[bool] = True

    @property
    def learning_rate(self) -> float:
        """The learning rate that is reported until `memory["learning_rate"]` holds the one actually used."""
        return 1.0

    def vector_names(self) -> tuple[str, ...]:
        """The state vectors it needs, each as long as theta and zero at the start."""
        return ()

    def iterate(
        self, problem: Problem, theta: Array, vectors: Mapping[str, Array], memory: dict[str, float], *, t: int
    ) -> float:
        """One iteration: changes theta, the vectors and memory in place. Returns the problem's value before it.

        memory: the optimizer's scalars: empty at the start, always finite, and saved in checkpoints. t: the iteration's
        number, from 1. An unchanged theta means that no better point was found: training stops. Any evaluation may
        raise an exception that ends the iteration: theta must then be unchanged, and a repeated iteration must take the
        same course.
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
    """How the learning rate changes.

    `memory` belongs to the schedule, is empty at the start and saved in checkpoints.
    """

    def factor(self, progress: Progress, memory: dict[str, float]) -> float:
        """The factor on the optimizer's learning rate at that point of training."""
        ...


@runtime_checkable
class WatchingSchedule(Schedule, Protocol):
    """A schedule that depends on the monitored value of each epoch."""

    def after_epoch(self, value: float, memory: dict[str, float]) -> None:
        """Receives the monitored value of the epoch; smaller is better."""
        ...


class Metric(Protocol):
    """A figure of merit over a whole split.

    Its confidence interval comes from its values on resamples, for which `value` is called with the rows drawn. A
    metric that can be computed faster from how often each was drawn has a method `resampled` too, see `Resampled`.
    """

    task: ClassVar[str]  # classification | regression
    higher_is_better: ClassVar[bool]

    def value(self, target: Array, prediction: Array) -> float:
        """Classification: class indices (N,), probabilities (N, K). Regression: both (N, M)."""
        ...


@runtime_checkable
class Resampled(Metric, Protocol):
    """A metric that computes its values on resamples itself."""

    def resampled(self, target: Array, prediction: Array) -> Callable[[Array], Array] | None:
        """A function from counts (B, N), how often each sample was drawn, to the values (B,) on these B resamples.

        Counts are whole numbers in float64; each row has the sum N. None: resamples say nothing of this metric, and it
        has no interval.
        """
        ...
