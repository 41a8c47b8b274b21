"""z = W * x + b: filters that slide over images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import AtLeast
from bpcli.engine.initializers import GlorotUniform, check_bias_init, for_biases
from bpcli.engine.layers._windows import Windows, batch_last, image_of, pair, windows_over
from bpcli.engine.protocols import Bindings, Initializer, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of

PART = 2048  # columns in a product


@part_of(layers, "conv2d", elsewhere="conv convolution convolution2d")
class Conv2d:
    """z[f, o, q] = sum over c, i, j of W[f, c, i, j] x[c, o s + i d - p, q s + j d - p] + b[f].

    W (filters, C, kh, kw), b (filters,); s stride, d dilation, p padding with zeros, each one number or (vertical,
    horizontal). This is cross-correlation, as usual in deep learning; `flip_kernel` rotates W by 180 degrees, which
    gives the convolution of mathematics, sum of X[m, n] K[i - m, j - n].

    padding: "valid" is none. "same" gives ceil(H / s) outputs; an odd row or column of zeros goes below or to the right
    (as in TensorFlow for every stride; PyTorch accepts only stride 1).
    init: initializer of W; None: the one that suits the activation. bias_init: of b, with the fans of W; None:
    zeros.
    """

    filters: Annotated[int, AtLeast(1)]
    kernel: Annotated[int | tuple[int, int], AtLeast(1)]
    stride: Annotated[int | tuple[int, int], AtLeast(1)] = 1
    padding: Annotated[int | tuple[int, int] | Literal["valid", "same"], AtLeast(0)] = "valid"
    dilation: Annotated[int | tuple[int, int], AtLeast(1)] = 1
    bias: bool = True
    init: Initializer | None = None
    bias_init: Initializer | None = None
    flip_kernel: bool = False

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output"})

    def __post_init__(self) -> None:
        check_bias_init(self.bias_init, bias=self.bias)

    def _windows(self, in_shape: Shape) -> Windows:
        return windows_over(
            image_of("conv2d", in_shape),
            pair(self.kernel),
            stride=pair(self.stride),
            padding=self.padding,
            dilation=pair(self.dilation),
        )

    def out_shape(self, in_shape: Shape) -> Shape:
        return (self.filters, *self._windows(in_shape).out)

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        shape = (self.filters, in_shape[0], *pair(self.kernel))
        specs = {"W": ParamSpec(shape, self.init or GlorotUniform())}
        if self.bias:
            specs["b"] = ParamSpec((self.filters,), for_biases(self.bias_init, shape), decay=False)
        return specs

    def build(self, bindings: Bindings) -> Conv2dLayer:
        windows = self._windows(bindings.in_shape)
        # a rotated kernel is the same W with the taps in reverse order
        taps = windows.taps[::-1] if self.flip_kernel else windows.taps
        return Conv2dLayer(bindings, Windows(windows.out, taps), self.filters)


class Conv2dLayer:
    """A convolution bound to memory. x (N, C, H, W) -> z (N, F, Ho, Wo); dz -> dx.

    Computed as a matrix product, with the batch innermost in memory: z (F, Ho Wo N) = W (F, C kh kw) @ columns, where
    columns (C kh kw, Ho Wo N) holds for each output the inputs in its window, 0 for padding. Products with such long
    rows are split into parts that stay in cache, which halves their time. The backward pass transposes the small
    matrices, not the long ones.
    """

    def __init__(self, bindings: Bindings, windows: Windows, filters: int) -> None:
        self.W, self.dW = (views["W"].reshape(filters, -1) for views in (bindings.params, bindings.grads))
        self.b, self.db = bindings.params.get("b"), bindings.grads.get("b")
        self.taps = windows.taps
        per_tap = (bindings.in_shape[0], len(self.taps), *windows.out, bindings.n)
        self.columns = np.zeros((self.W.shape[1], windows.out[0] * windows.out[1] * bindings.n), bindings.dtype)
        self.seen = _by_tap(self.columns.reshape(per_tap), windows)
        length = self.columns.shape[1]
        self.parts = [slice(low, min(low + PART, length)) for low in range(0, length, PART)]
        self.turned, self.summand = (np.empty(self.W.shape[::-1], bindings.dtype) for _ in range(2))
        self.z = bindings.empty((filters, *windows.out))
        self.dx: Array | None = None
        if bindings.needs_dx:
            self.dx = bindings.empty(bindings.in_shape)
            self.dcolumns = np.empty_like(self.columns)
            self.dseen = _by_tap(self.dcolumns.reshape(per_tap), windows)

    def forward(self, x: Array, training: bool) -> Array:
        images = batch_last(x)
        for tap, seen in zip(self.taps, self.seen, strict=True):
            np.copyto(seen, images[:, *tap.inputs])
        z = batch_last(self.z).reshape(len(self.W), -1)
        for part in self.parts:
            np.matmul(self.W, self.columns[:, part], out=z[:, part])
            if self.b is not None:
                np.add(z[:, part], self.b[:, None], out=z[:, part])
        return self.z

    def backward(self, dz: Array) -> Array:
        rows = batch_last(dz).reshape(len(self.W), -1)  # copies only if dz has another memory order
        self.turned.fill(0)
        for part in self.parts:  # dW = dz @ columns.T
            np.matmul(self.columns[:, part], rows[:, part].T, out=self.summand)
            np.add(self.turned, self.summand, out=self.turned)
        np.copyto(self.dW, self.turned.T)
        if self.db is not None:
            np.sum(rows, axis=1, out=self.db)
        if self.dx is None:
            return dz
        np.copyto(self.turned, self.W.T)
        for part in self.parts:
            np.matmul(self.turned, rows[:, part], out=self.dcolumns[:, part])
        images = batch_last(self.dx)
        images.fill(0)
        for tap, dseen in zip(self.taps, self.dseen, strict=True):
            seen = images[:, *tap.inputs]
            np.add(seen, dseen, out=seen)
        return self.dx


def _by_tap(columns: Array, windows: Windows) -> list[Array]:
    """For each tap k the view columns[:, k] (C, Ho, Wo, N) of the outputs that see an input there."""
    return [columns[:, k][:, *tap.outputs] for k, tap in enumerate(windows.taps)]
