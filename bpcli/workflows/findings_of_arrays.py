"""What arrays hold: shapes and ranges of vectors and images, empty images, and a few images to look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bpcli.build.model import looks_channels_last
from bpcli.data.classes import label_texts
from bpcli.data.content import Content
from bpcli.data.large import NpyRows
from bpcli.engine.arrays import Array, distinct
from bpcli.workflows.findings import MOST_ROWS, Finding

MOST_DRAWN = 8
BYTE = 255.0


@dataclass(frozen=True, eq=False)
class ArrayFacts:
    """x of the training part. constant: numbers of a sample that are the same in all samples. missing: NaN in all."""

    shape: tuple[int, ...]
    dtype: str
    minimum: float
    maximum: float
    mean: float
    std: float
    constant: int
    missing: int
    blank: tuple[int, tuple[int, ...]]
    """Of images, how many have a single value in all pixels, and the numbers of the first of them."""

    @property
    def are_images(self) -> bool:
        """Whether a sample has rows and columns."""
        return len(self.shape) >= 3


@dataclass(frozen=True, eq=False)
class Drawn:
    """Images to look at, (K, height, width), 0 to 1, and the class of each."""

    images: npt.NDArray[np.float64]
    classes: tuple[str, ...]


def array_facts(content: Content) -> ArrayFacts:
    """Looks at x of a part, block by block where it lies in a file."""
    x = content.raw.x
    shape = (len(x), *x.shape[1:])
    low, high = np.full(shape[1:], np.inf), np.full(shape[1:], -np.inf)
    total = squares = 0.0
    count = missing = blank = seen = 0
    first: list[int] = []
    for block in _blocks(x):
        values = block.astype(np.float64)
        gaps = np.isnan(values)
        missing += int(gaps.sum())
        count += values.size - int(gaps.sum())
        low = np.fmin(low, np.fmin.reduce(values, axis=0))
        high = np.fmax(high, np.fmax.reduce(values, axis=0))
        total, squares = total + float(np.nansum(values)), squares + float(np.nansum(np.square(values)))
        flat = values.reshape(len(values), -1)
        same = np.flatnonzero((flat == flat[:, :1]).all(axis=1)) + seen if flat.shape[1] > 1 else np.empty(0, np.int64)
        blank += len(same)
        first += same[: MOST_ROWS - len(first)].tolist()
        seen += len(values)
    mean = total / max(1, count)
    rows = tuple(1 + (row if content.rows is None else int(content.rows[row])) for row in first)
    return ArrayFacts(
        shape=shape,
        dtype=str(x.dtype),
        minimum=float(low.min()),
        maximum=float(high.max()),
        mean=mean,
        std=float(np.sqrt(max(0.0, squares / max(1, count) - mean * mean))),
        constant=int((low == high).sum()),
        missing=missing,
        blank=(blank, rows),
    )


def array_findings(facts: ArrayFacts, *, scaled: bool) -> Iterator[Finding]:
    """Empty images, and images whose values are not brought to 0 to 1. scaled: data.scale says how."""
    count, first = facts.blank
    if facts.are_images and count:
        what = f"{count:,} of {facts.shape[0]:,} images have the same value in all pixels: leave them out of the file"
        yield Finding("warning", "blank_images", what, part="train", rows=count, first_rows=first)
    as_bytes = facts.dtype == "uint8"
    if facts.are_images and not as_bytes and not scaled and facts.minimum >= 0 and 2 < facts.maximum <= BYTE:
        what = (
            f"the images' values, {facts.dtype} from {facts.minimum:g} to {facts.maximum:g}, are not scaled to 0 to 1, "
            "as those of type uint8 are"
        )
        mend = {"data.scale": {"x": "minmax"}}
        yield Finding("warning", "unscaled_images", what, part="train", rows=facts.shape[0], mend=mend)


def images_to_draw(content: Content) -> Drawn | None:
    """The first image of each class, of at most 8; the first 8 images where there are no classes; None for vectors."""
    raw = content.raw
    shape = raw.x.shape[1:]
    if len(shape) == 3 and looks_channels_last(shape):
        axis: int | None = 3
    elif len(shape) == 3 and shape[0] <= 4:
        axis = 1
    elif len(shape) == 2:
        axis = None
    else:
        return None
    x = next(_blocks(raw.x))
    labels = () if raw.y is None or raw.y.ndim != 1 else label_texts(raw.y[: len(x)])
    different = distinct(np.array(labels))[0] if len(labels) else labels
    places = [list(labels).index(str(name)) for name in different[:MOST_DRAWN]] if 1 < len(different) <= 100 else []
    places = places or list(range(min(len(x), MOST_DRAWN)))
    images = x[places].astype(np.float64)
    images = images if axis is None else images.mean(axis=axis)
    low, high = np.nanmin(images), np.nanmax(images)
    unit = (np.nan_to_num(images) - low) / (high - low if high > low else 1.0)
    return Drawn(unit, tuple(labels[place] for place in places) if len(labels) else ("",) * len(places))


def _blocks(x: Array | NpyRows) -> Iterator[Array]:
    if isinstance(x, NpyRows):
        yield from x.blocks()
        return
    rows = max(1, (1 << 20) * len(x) // max(1, x.size))
    for start in range(0, len(x), rows):
        yield x[start : start + rows]
