"""Windows over images: the geometry that convolution and pooling share.

A window of kh x kw positions moves over an image. At position k of the window, output o sees input o * stride + k *
dilation - padding. A `Tap` holds these outputs and inputs as slices, leaving out the padding, so that a layer works on
whole slices of the images instead of single windows.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bpcli.engine.arrays import Array, Shape

Pair: TypeAlias = tuple[int, int]  # vertical, horizontal

MOST_POSITIONS = 1 << 18  # in a window: 512 x 512; each takes a pass over the images


def pair(value: int | Pair) -> Pair:
    """(vertical, horizontal) from one number for both directions, or one for each."""
    return value if isinstance(value, tuple) else (value, value)


@dataclass(frozen=True)
class Tap:
    """One position in the window: the outputs (rows, columns) that see an input there, and the inputs they see."""

    outputs: tuple[slice, slice]
    inputs: tuple[slice, slice]


@dataclass(frozen=True)
class Windows:
    """out: how many windows fit, (Ho, Wo). taps: the positions in a window, row by row."""

    out: Pair
    taps: tuple[Tap, ...]

    def tile(self, in_shape: Shape) -> bool:
        """Whether every input of images (C, H, W) is in exactly one window, so that no taps overlap."""
        seen = np.zeros(in_shape[1:], np.int64)
        for tap in self.taps:
            seen[tap.inputs] += 1
        return bool((seen == 1).all())


def windows_over(
    image: Pair,
    size: Pair,
    *,
    stride: Pair,
    padding: int | Pair | Literal["valid", "same"],
    dilation: Pair = (1, 1),
) -> Windows:
    """The windows over an image (H, W).

    padding: on each side. "valid": none. "same": enough for ceil(H / stride) outputs, with an odd row below and an odd
    column on the right (as in TensorFlow, and in PyTorch for stride 1, the only one it accepts).

    Raises:
        ValueError: a window is larger than the padded image, or has too many positions.
    """
    if size[0] * size[1] > MOST_POSITIONS:
        raise ValueError(f"a window of {_times(size)} has more than {MOST_POSITIONS:,} positions: take a smaller one")
    spans = tuple(d * (k - 1) + 1 for d, k in zip(dilation, size, strict=True))
    if padding == "same":
        out = tuple(-(-n // s) for n, s in zip(image, stride, strict=True))
        before = tuple(
            max((o - 1) * s + span - n, 0) // 2 for o, s, span, n in zip(out, stride, spans, image, strict=True)
        )
    else:
        before = (0, 0) if isinstance(padding, str) else pair(padding)
        padded = tuple(n + 2 * p for n, p in zip(image, before, strict=True))
        if any(span > n for span, n in zip(spans, padded, strict=True)):
            what = "with its dilation " if spans != size else ""
            raise ValueError(
                f"a window of {_times(size)} {what}{f'spans {_times(spans)}, which ' if what else ''}"
                f"is larger than the image of {_times(image)}{f', padded to {_times(padded)}' if any(before) else ''}: "
                "take a smaller window, or padding: same"
            )
        out = tuple((n - span) // s + 1 for n, span, s in zip(padded, spans, stride, strict=True))
    rows, columns = (
        [_along(n, k * d - p, s, o) for k in range(places)]
        for n, places, s, d, p, o in zip(image, size, stride, dilation, before, out, strict=True)
    )
    taps = tuple(
        Tap(outputs=(row[0], column[0]), inputs=(row[1], column[1])) for row, column in itertools.product(rows, columns)
    )
    return Windows(out=(out[0], out[1]), taps=taps)


def _along(n: int, shift: int, stride: int, out: int) -> tuple[slice, slice]:
    """(outputs o, inputs o * stride + shift) along one axis, for those of 0..out whose input is one of 0..n."""
    low = max(0, -(shift // stride))
    high = max(low, min(out, (n - 1 - shift) // stride + 1))
    start = low * stride + shift
    return slice(low, high), slice(start, start + (high - low) * stride, stride)


def _times(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))


def pooling_windows(
    layer: str, in_shape: Shape, size: int | Pair, stride: int | Pair | None, padding: int | Pair | Literal["same"]
) -> Windows:
    """The windows of a pooling layer over an input (C, H, W); without a stride they are adjacent.

    Raises:
        ValueError: the input is not an image, a window is larger than it, or a window could lie entirely in the
        padding.
    """
    size = pair(size)
    image = image_of(layer, in_shape)
    if not isinstance(padding, str) and any(2 * p > k for p, k in zip(pair(padding), size, strict=True)):
        raise ValueError(f"padding: must be at most half the size of {_times(size)}, got {padding}")
    return windows_over(image, size, stride=size if stride is None else pair(stride), padding=padding)


def image_of(layer: str, in_shape: Shape) -> Pair:
    """(H, W) of an input (C, H, W).

    Raises:
        ValueError: the input is not an image.
    """
    if len(in_shape) != 3:
        side = round(in_shape[0] ** 0.5)
        example = [1, side, side] if len(in_shape) == 1 and side * side == in_shape[0] else [1, 28, 28]
        raise ValueError(f"{layer} takes images (C, H, W), got {in_shape}: set network.input: {example}")
    return in_shape[1], in_shape[2]


def batch_last(x: Array) -> Array:
    """(N, C, H, W) as (C, H, W, N): how images lie in memory, see `batch_array`."""
    return np.moveaxis(x, 0, -1)
