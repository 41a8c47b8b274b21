"""y = mean over each window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import AtLeast
from bpcli.engine.layers._windows import Windows, batch_last, pooling_windows
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "avg_pool2d", elsewhere="average_pool average_pooling2d avg_pool")
class AvgPool2d:
    """y[c, o, q] = 1 / (kh kw) sum over i, j of x[c, o s + i - p, q s + j - p].

    size (kh, kw), stride s (None: the size, so that windows are adjacent), padding p: one number or (vertical,
    horizontal); padding "same" gives ceil(H / s) outputs. The mean includes the zeros of the padding, as by default in
    PyTorch (count_include_pad=True); TensorFlow leaves them out.
    """

    size: Annotated[int | tuple[int, int], AtLeast(1)]
    stride: Annotated[int | tuple[int, int] | None, AtLeast(1)] = None
    padding: Annotated[int | tuple[int, int] | Literal["same"], AtLeast(0)] = 0

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output"})

    def _windows(self, in_shape: Shape) -> Windows:
        return pooling_windows("avg_pool2d", in_shape, self.size, self.stride, self.padding)

    def out_shape(self, in_shape: Shape) -> Shape:
        return (in_shape[0], *self._windows(in_shape).out)

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {}

    def build(self, bindings: Bindings) -> AvgPool2dLayer:
        return AvgPool2dLayer(bindings, self._windows(bindings.in_shape))


class AvgPool2dLayer:
    """Average pooling bound to memory. x (N, C, H, W) -> y (N, C, Ho, Wo); dy -> dx, spread evenly."""

    def __init__(self, bindings: Bindings, windows: Windows) -> None:
        self.taps = windows.taps
        self.share = 1.0 / len(self.taps)
        self.y = bindings.empty((bindings.in_shape[0], *windows.out))
        self.dx = bindings.empty(bindings.in_shape) if bindings.needs_dx else None

    def forward(self, x: Array, training: bool) -> Array:
        images, y = batch_last(x), batch_last(self.y)
        y.fill(0)
        for tap in self.taps:
            total = y[:, *tap.outputs]
            np.add(total, images[:, *tap.inputs], out=total)
        np.multiply(y, self.share, out=y)
        return self.y

    def backward(self, dy: Array) -> Array:
        """Overwrites dy with dy / (kh kw)."""
        if self.dx is None:
            return dy
        images, shares = batch_last(self.dx), batch_last(dy)
        np.multiply(shares, self.share, out=shares)
        images.fill(0)
        for tap in self.taps:
            part = images[:, *tap.inputs]
            np.add(part, shares[:, *tap.outputs], out=part)
        return self.dx
