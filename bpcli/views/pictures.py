"""Grey images drawn in the terminal, side by side, with characters of four shades."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bpcli.text import brief, printable

BLOCKS = " ░▒▓█"
ASCII = " .:*#"
_GAP = 2  # columns between two images
_MOST_ROWS = 2
_LEAST_CAPTION = 4


def pictures(images: npt.NDArray[np.float64], captions: Sequence[str], *, width: int, shades: str = BLOCKS) -> str:
    """Images (K, height, width) of values from 0, the darkest shade, to 1; at most two rows of those that fit `width`.

    A character covers two pixels, one above the other, because it is about twice as high as wide; an image wider than
    the terminal is drawn smaller, each character the mean of what it covers.
    """
    factor = -(-images.shape[2] // max(1, width))
    cells = _pooled(images, 2 * factor, factor)
    most = max(1, (width + _GAP) // (cells.shape[2] + _GAP))
    starts = range(0, min(len(cells), _MOST_ROWS * most), most)
    return "\n\n".join(_side_by_side(cells[k : k + most], captions[k : k + most], shades) for k in starts)


def _side_by_side(cells: npt.NDArray[np.float64], captions: Sequence[str], shades: str) -> str:
    wide = cells.shape[2]
    names = [brief(printable(name), wide) if wide >= _LEAST_CAPTION else "" for name in captions]
    lines = [*zip(*(_drawn(image, shades) for image in cells), strict=True), tuple(name.ljust(wide) for name in names)]
    return "\n".join((" " * _GAP).join(line).rstrip() for line in lines).rstrip()


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
