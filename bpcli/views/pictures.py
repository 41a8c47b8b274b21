"""Grey images drawn in the terminal, side by side, with characters of four shades."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bpcli.text import brief

BLOCKS = " ░▒▓█"
ASCII = " .:*#"
_GAP = 2  # columns between two images


def pictures(images: npt.NDArray[np.float64], captions: Sequence[str], *, width: int, shades: str = BLOCKS) -> str:
    """Images (K, height, width) of values from 0, the darkest shade, to 1; as many of them as `width` has room for.

    A character covers two pixels, one above the other, because it is about twice as high as wide; an image wider than
    the terminal is drawn smaller, each character the mean of what it covers.
    """
    factor = -(-images.shape[2] // max(1, width))
    cells = _pooled(images, 2 * factor, factor)
    most = max(1, (width + _GAP) // (cells.shape[2] + _GAP))
    drawn = [_drawn(image, shades) for image in cells[:most]]
    names = [brief(name, cells.shape[2]) if cells.shape[2] >= 4 else "" for name in captions[:most]]
    lines = [*zip(*drawn, strict=True), tuple(name.ljust(cells.shape[2]) for name in names)]
    return "\n".join((" " * _GAP).join(line).rstrip() for line in lines)


def _pooled(images: npt.NDArray[np.float64], high: int, wide: int) -> npt.NDArray[np.float64]:
    """The mean of each `high` x `wide` pixels, the last ones of what is left."""
    rows, columns = np.arange(0, images.shape[1], high), np.arange(0, images.shape[2], wide)
    sums = np.add.reduceat(np.add.reduceat(images, rows, axis=1), columns, axis=2)
    heights = np.diff(rows, append=images.shape[1])
    widths = np.diff(columns, append=images.shape[2])
    return np.asarray(sums / (heights[:, None] * widths))


def _drawn(image: npt.NDArray[np.float64], shades: str) -> list[str]:
    places = np.clip(np.rint(image * (len(shades) - 1)), 0, len(shades) - 1).astype(int)
    return ["".join(shades[place] for place in row) for row in places.tolist()]
