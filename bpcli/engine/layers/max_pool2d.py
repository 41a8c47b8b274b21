"""y = max over each window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import AtLeast
from bpcli.engine.layers._windows import Windows, batch_last, pooling_windows
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "max_pool2d", elsewhere="max_pool max_pooling2d pool pooling subsampling")
class MaxPool2d:
    """y[c, o, q] = max over i, j of x[c, o s + i - p, q s + j - p].

    size, stride s (None: the size, so that windows are adjacent), padding p: one number or (vertical, horizontal);
    padding "same" gives ceil(H / s) outputs. Padding counts as minus infinity, so it is never the maximum.
    """

    size: Annotated[int | tuple[int, int], AtLeast(1)]
    stride: Annotated[int | tuple[int, int] | None, AtLeast(1)] = None
    padding: Annotated[int | tuple[int, int] | Literal["same"], AtLeast(0)] = 0

    traits: ClassVar[frozenset[Trait]] = frozenset()

    def _windows(self, in_shape: Shape) -> Windows:
        return pooling_windows("max_pool2d", in_shape, self.size, self.stride, self.padding)

    def out_shape(self, in_shape: Shape) -> Shape:
        return (in_shape[0], *self._windows(in_shape).out)

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        return {}

    def build(self, bindings: Bindings) -> MaxPool2dLayer:
        return MaxPool2dLayer(bindings, self._windows(bindings.in_shape))


class MaxPool2dLayer:
    """Max pooling bound to memory. x (N, C, H, W) -> y (N, C, Ho, Wo); dy -> dx.

    Each dy goes to the input with the maximum; in a tie to the first one, row by row.
    """

    def __init__(self, bindings: Bindings, windows: Windows) -> None:
        self.taps = windows.taps
        self.tiled = windows.tile(bindings.in_shape)
        self.y = bindings.empty((bindings.in_shape[0], *windows.out))
        self.dx: Array | None = None
        if bindings.needs_dx:
            self.dx = bindings.empty(bindings.in_shape)
            self.won = np.empty(batch_last(self.y).shape, np.bool_)
            self.given = np.empty_like(batch_last(self.y))

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        images, y = batch_last(x), batch_last(self.y)
        y.fill(-np.inf)
        for tap in self.taps:
            best = y[:, *tap.outputs]
            np.maximum(best, images[:, *tap.inputs], out=best)
        return self.y

    def backward(self, dy: Array) -> Array:
        if self.dx is None:
            return dy
        x, y, dx, left = batch_last(self.x), batch_last(self.y), batch_last(self.dx), batch_last(dy)
        if not self.tiled:
            dx.fill(0)
        for tap in self.taps:
            here = (slice(None), *tap.outputs)
            won, given, dx_here = self.won[here], self.given[here], dx[:, *tap.inputs]
            np.equal(x[:, *tap.inputs], y[here], out=won)
            np.copyto(given, won)
            np.multiply(given, left[here], out=given)
            np.subtract(left[here], given, out=left[here])  # each dy is passed on once
            if self.tiled:
                np.copyto(dx_here, given)
            else:
                np.add(dx_here, given, out=dx_here)
        return self.dx
