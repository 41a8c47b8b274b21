"""Activation functions a = f(z) and their derivatives, element by element; softmax over the last axis.

`forward` writes f(z) into a, which may be z itself unless `needs_z`; `backward` multiplies da = dL/da by f'(z).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np

from bpcli.engine.arrays import Array, Scratch, largest_of_rows
from bpcli.engine.erf import BLOCK, blocks, normal
from bpcli.engine.fields import Between, MoreThan
from bpcli.engine.registry import activations, part_of


@part_of(activations, "identity", "linear", "purelin", elsewhere="fann_linear none")
class Identity:
    """a = z: for the outputs of a regression."""

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        if a is not z:
            np.copyto(a, z)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        pass


def sigmoid(z: Array, a: Array, scratch: Scratch) -> None:
    """a = 1 / (1 + exp(-z)), shared by parts that use it. a may be z."""
    np.negative(z, out=a)
    np.exp(a, out=a)
    np.add(a, scratch.one, out=a)
    np.reciprocal(a, out=a)


@part_of(activations, "sigmoid", "logistic", "logsig", elsewhere="expit fann_sigmoid sigm")
class Sigmoid:
    """a = 1 / (1 + exp(-z)): the logistic function, values in 0..1.

    exp(-z) overflows to infinity for very negative z, and 1 / (1 + inf) is 0, as it should be. The form with tanh does
    not overflow but loses small values: at z = -40 it gives 0 instead of 4e-18.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    forward = staticmethod(sigmoid)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.subtract(scratch.one, a, out=scratch.full)
        np.multiply(scratch.full, a, out=scratch.full)
        np.multiply(da, scratch.full, out=da)


@part_of(activations, "tanh", "tansig", elsewhere="fann_sigmoid_symmetric hard_tanh hyperbolic_tangent")
class Tanh:
    """a = tanh(z): the hyperbolic tangent, values in -1..1."""

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.tanh(z, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.multiply(a, a, out=scratch.full)
        np.subtract(scratch.one, scratch.full, out=scratch.full)
        np.multiply(da, scratch.full, out=da)


@part_of(activations, "relu", elsewhere="poslin rectifier relu6")
class ReLU:
    """a = max(z, 0): the rectified linear unit. At the kink, z = 0, the derivative is taken as 0."""

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "he_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.maximum(z, scratch.zeros, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.greater(a, 0.0, out=scratch.mask)  # a > 0 exactly where z > 0
        np.copyto(scratch.full, scratch.mask)
        np.multiply(da, scratch.full, out=da)


@part_of(activations, "leaky_relu", elsewhere="lrelu prelu")
class LeakyReLU:
    """a = max(z, slope z): a unit whose gradient is never 0. At the kink, z = 0, the derivative is taken as the slope.

    slope: 0.01 as in Maas et al. 2013 and PyTorch; Keras has 0.3 (`negative_slope`), TensorFlow 0.2. A slope that is
    learned is a layer, `prelu`.
    """

    slope: Annotated[float, Between(0, 1)] = 0.01

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "he_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.multiply(z, self.slope, out=scratch.full)
        np.maximum(z, scratch.full, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.greater(a, 0.0, out=scratch.full)  # a and z have the same sign
        np.maximum(scratch.full, self.slope, out=scratch.full)
        np.multiply(da, scratch.full, out=da)


@part_of(activations, "elu")
class ELU:
    """a = z where z > 0, else alpha (exp(z) - 1): the exponential linear unit. Clevert et al. 2016.

    With alpha = 1 the derivative is continuous; otherwise it jumps at z = 0, where it is taken as alpha.
    """

    alpha: Annotated[float, MoreThan(0)] = 1.0

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "he_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        linear_or_exponential(z, a, scratch, 1.0, self.alpha)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        times_slope(da, a, scratch, 1.0, self.alpha)


def linear_or_exponential(z: Array, a: Array, scratch: Scratch, slope: float, alpha: float) -> None:
    """a = slope z where z > 0, else alpha (exp(z) - 1). a may be z."""
    np.minimum(z, 0.0, out=scratch.full)  # so that exp cannot overflow
    np.expm1(scratch.full, out=scratch.full)  # exp(z) - 1 would lose the digits of a small z
    np.multiply(scratch.full, alpha, out=scratch.full)
    np.maximum(z, 0.0, out=a)
    np.multiply(a, slope, out=a)
    np.add(a, scratch.full, out=a)


def times_slope(da: Array, a: Array, scratch: Scratch, slope: float, alpha: float) -> None:
    """Multiplies da by slope where a > 0, else by a + alpha."""
    np.minimum(a, 0.0, out=scratch.full)
    np.add(scratch.full, alpha, out=scratch.full)
    np.multiply(da, scratch.full, out=da)  # where a > 0 by alpha
    if slope != alpha:
        np.greater(a, 0.0, out=scratch.full)
        np.multiply(scratch.full, slope / alpha - 1.0, out=scratch.full)
        np.add(scratch.full, 1.0, out=scratch.full)
        np.multiply(da, scratch.full, out=da)


ALPHA = 1.6732632423543772848170429916717
LAMBDA = 1.0507009873554804934193349852946


@part_of(activations, "selu")
class SELU:
    """a = lambda elu(z) with the alpha and lambda that keep mean 0 and variance 1 from layer to layer.

    Klambauer et al. 2017, eq. 2 and 14. This holds only with weights of variance 1 / fan_in, hence `lecun_normal`, and
    with inputs of mean 0 and variance 1. The derivative jumps at z = 0, where it is taken as lambda alpha.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "lecun_normal"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        linear_or_exponential(z, a, scratch, LAMBDA, LAMBDA * ALPHA)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        times_slope(da, a, scratch, LAMBDA, LAMBDA * ALPHA)


def softplus(z: Array, a: Array, scratch: Scratch) -> None:
    """a = ln(1 + exp(z)) = max(z, 0) + ln(1 + exp(-|z|)), shared by parts that use it. a may be z."""
    np.abs(z, out=scratch.full)
    np.negative(scratch.full, out=scratch.full)
    np.exp(scratch.full, out=scratch.full)
    np.log1p(scratch.full, out=scratch.full)
    np.maximum(z, 0.0, out=a)
    np.add(a, scratch.full, out=a)


@part_of(activations, "softplus")
class Softplus:
    """a = ln(1 + exp(z)) = max(z, 0) + ln(1 + exp(-|z|)): a smooth relu, always positive. Dugas et al. 2001.

    PyTorch uses a = z above its `threshold`, z = 20, an error of up to 2e-9; this does not.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        softplus(z, a, scratch)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.negative(a, out=scratch.full)
        np.expm1(scratch.full, out=scratch.full)
        np.negative(scratch.full, out=scratch.full)
        np.multiply(da, scratch.full, out=da)


@part_of(activations, "softsign", elsewhere="elliot elliotsig fann_elliot_symmetric")
class Softsign:
    """a = z / (1 + |z|): values in -1..1 like tanh, approached only as fast as 1 / |z|. Bergstra et al. 2009."""

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.abs(z, out=scratch.full)
        np.add(scratch.full, 1.0, out=scratch.full)
        np.divide(z, scratch.full, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.abs(a, out=scratch.full)
        np.subtract(1.0, scratch.full, out=scratch.full)
        np.multiply(scratch.full, scratch.full, out=scratch.full)
        np.multiply(da, scratch.full, out=da)


@part_of(activations, "silu", "swish", elsewhere="hard_swish")
class SiLU:
    """a = z sigmoid(z): the sigmoid linear unit. Elfwing et al. 2018; also swish, Ramachandran et al. 2017."""

    needs_z: ClassVar[bool] = True
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        sigmoid(z, a, scratch)
        np.multiply(a, z, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        s = scratch.full
        sigmoid(z, s, scratch)
        np.multiply(da, s, out=da)
        np.subtract(1.0, s, out=s)
        np.multiply(s, z, out=s)
        np.add(s, 1.0, out=s)
        np.multiply(da, s, out=da)


@part_of(activations, "mish")
class Mish:
    """a = z tanh(ln(1 + exp(z))): a smooth relu that dips below 0, much like silu. Misra 2019, eq. 1.

    With e = exp(z) and n = e (e + 2): a = z n / (n + 2) and da/dz = (n + 4 z (n - e) / (n + 2)) / (n + 2).
    """

    needs_z: ClassVar[bool] = True
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        _e_and_n(z, scratch.full, a)
        np.add(a, 2.0, out=scratch.full)
        np.divide(a, scratch.full, out=a)
        np.multiply(a, z, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        memory = np.empty((3, min(z.size, BLOCK)), z.dtype)
        for z_, da_ in blocks(z, da):
            e, n, q = memory[:, : len(z_)]
            _e_and_n(z_, e, n)
            np.add(n, 2.0, out=q)
            np.subtract(n, e, out=e)
            np.divide(e, q, out=e)  # before z and the other q: their product may overflow
            np.multiply(e, z_, out=e)
            np.multiply(e, 4.0, out=e)
            np.add(e, n, out=e)
            np.divide(e, q, out=e)
            np.multiply(da_, e, out=da_)


MISH_IS_LINEAR = 40.0  # from here on a = z to the last digit of float64, and n still fits into float32


def _e_and_n(z: Array, e: Array, n: Array) -> None:
    """e = exp(z), n = e (e + 2), with z cut off where mish is linear. All of one shape, apart from each other."""
    np.clip(z, -np.inf, MISH_IS_LINEAR, out=e)  # np.minimum with a number is slower
    np.exp(e, out=e)
    np.add(e, 2.0, out=n)
    np.multiply(n, e, out=n)


@part_of(activations, "gelu")
class GELU:
    """a = z Phi(z): the Gaussian error linear unit. Hendrycks & Gimpel 2016, section 2.

    approximate: "none" is exact; "tanh" takes (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3))) / 2 for Phi, which is faster
    and moves a by up to 4.8e-4. PyTorch and Keras are exact by default, JAX and GPT-2 take the approximation.
    """

    approximate: Literal["none", "tanh"] = "none"

    needs_z: ClassVar[bool] = True
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        function = normal if self.approximate == "none" else nearly_normal
        memory = np.empty((4, min(z.size, BLOCK)), z.dtype)
        for z_, a_ in blocks(z, a):
            cdf, density, *work = memory[:, : len(z_)]
            function(z_, cdf, density, work)
            np.multiply(z_, cdf, out=a_)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        function = normal if self.approximate == "none" else nearly_normal
        memory = np.empty((4, min(z.size, BLOCK)), z.dtype)
        for z_, da_ in blocks(z, da):
            cdf, density, *work = memory[:, : len(z_)]
            function(z_, cdf, density, work)
            np.multiply(density, z_, out=density)
            np.add(cdf, density, out=cdf)
            np.multiply(da_, cdf, out=da_)


def nearly_normal(z: Array, cdf: Array, density: Array, work: Sequence[Array]) -> None:
    """Approximates `normal`: cdf = sigmoid(c (z + k z^3)), which equals the form with tanh, and its derivative."""
    square, rest = work
    c, k = 2.0 * math.sqrt(2.0 / math.pi), 0.044715
    np.multiply(z, z, out=square)
    np.multiply(square, -c * k, out=density)
    np.subtract(density, c, out=density)
    np.multiply(density, z, out=density)
    np.exp(density, out=density)  # infinite for very negative z; 1 / inf is then 0, as it should be
    np.add(density, 1.0, out=cdf)
    np.reciprocal(cdf, out=cdf)
    np.subtract(1.0, cdf, out=rest)
    np.multiply(square, 3.0 * c * k, out=density)
    np.add(density, c, out=density)
    np.multiply(density, cdf, out=density)
    np.multiply(density, rest, out=density)


@part_of(activations, "hard_sigmoid", elsewhere="satlin")
class HardSigmoid:
    """a = min(max(z/6 + 1/2, 0), 1): a piecewise linear sigmoid. At the kinks the derivative is taken as 0.

    The slope is 1/6 as in PyTorch, Keras 3 and MobileNetV3 (Howard et al. 2019): relu6(z + 3) / 6. Keras 2, Theano and
    ONNX's default use 0.2 z + 0.5.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.multiply(z, 1.0 / 6.0, out=a)
        np.add(a, 0.5, out=a)
        np.maximum(a, 0.0, out=a)
        np.minimum(a, 1.0, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.subtract(1.0, a, out=scratch.full)
        np.multiply(scratch.full, a, out=scratch.full)
        np.sign(scratch.full, out=scratch.full)  # 1 where 0 < a < 1, else 0
        np.multiply(scratch.full, 1.0 / 6.0, out=scratch.full)
        np.multiply(da, scratch.full, out=da)


@part_of(activations, "softmax", elsewhere="log_softmax")
class Softmax:
    """a_j = exp(z_j) / sum_k exp(z_k): probabilities over the last axis, which sum to 1.

    The largest z is subtracted first, which leaves a unchanged and keeps exp from overflowing.
    """

    needs_z: ClassVar[bool] = False
    default_init: ClassVar[str] = "glorot_uniform"

    def forward(self, z: Array, a: Array, scratch: Scratch) -> None:
        np.subtract(z, largest_of_rows(z, scratch), out=a)
        np.exp(a, out=a)
        np.add.reduce(a, axis=-1, keepdims=True, out=scratch.row)
        np.divide(a, scratch.row, out=a)

    def backward(self, da: Array, z: Array, a: Array, scratch: Scratch) -> None:
        np.multiply(da, a, out=scratch.full)  # dz_k = a_k (da_k - sum_j da_j a_j)
        np.add.reduce(scratch.full, axis=-1, keepdims=True, out=scratch.row)
        np.subtract(da, scratch.row, out=da)
        np.multiply(da, a, out=da)
