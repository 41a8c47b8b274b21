"""What a config says of its data, what a file holds, and a split as the engine takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import numpy as np

from bpcli.data.large import NpyRows, StoredInputs
from bpcli.engine.arrays import Array, DType

Names = Sequence[str] | str | None
Missing = Literal["error", "drop", "mean", "median"]
Targets = Literal["any", "numbers", "classes", "labels"]
Scaling = Literal["none", "standard", "minmax", "robust"]


class ColumnKind(Protocol):
    """What the cells of a table's column hold; `bpcli.data.kinds` has them all.

    missing: what becomes of a missing value; None: as data.missing says. scale: of the inputs that come of the column;
    None: as data.scale says.
    """

    expected: ClassVar[str]
    """What a cell should hold, for messages."""

    @property
    def missing(self) -> str | None: ...

    @property
    def scale(self) -> Scaling | None: ...

    def value(self, cell: str, decimal: str) -> float | None:
        """The number for a cell, NaN for a missing value, None for a cell of another kind."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where data lies: one path, or one for x and one for y (npy and IDX)."""

    x: Path
    y: Path | None = None
    label: str = ""  # how the user wrote it, for messages
    is_argument: bool = False  # of eval or predict, where messages may name no key of a config

    @property
    def paths(self) -> tuple[Path, ...]:
        """The one or two files."""
        return (self.x,) if self.y is None else (self.x, self.y)


@dataclass(frozen=True)
class DataPlan:
    """What the config says of the data, with paths resolved. val, test: a source, a fraction of train, or None."""

    train: Source
    val: Source | float | None
    test: Source | float | None
    target: Names
    features: Names
    header: bool | None
    task: str
    loss_for_classes: bool
    stratify: bool
    in_order: bool
    x_scale: Scaling
    y_scale: str
    dtype: DType
    sample_weight: str | None = None
    class_weights: str | Mapping[str, float] | None = None
    decimal: str = "."
    missing: Missing = "error"
    exclude: tuple[str, ...] = ()
    columns: Mapping[str, ColumnKind] = field(default_factory=dict)
    group: str | None = None
    images: Images | None = None


@dataclass(frozen=True)
class Images:
    """How a folder of images is read. size: (height, width) to resize to, None to take them as they are.

    mode: grey or rgb; `auto` is grey if the first image is.
    """

    size: tuple[int, int] | None = None
    mode: Literal["auto", "grey", "rgb"] = "auto"

    def __post_init__(self) -> None:
        if self.size is not None and min(self.size) < 1:
            raise ValueError(f"size: height and width must be at least 1, got {list(self.size)}")


@dataclass(frozen=True, slots=True)
class RawData:
    """What a file holds, before anything is made of it; N samples.

    x: (N, *shape), C-contiguous and in native byte order. CSV: float64 (N, D); npz and npy: as stored
        (floats, integers, bool); IDX images: uint8 (N, H, W). Large npy files stay where they are.
    y: (N,) or (N, M) numbers, or (N,) text labels of dtype `U`; None where none was asked for or found.

    A missing number is NaN, a missing label an empty text: only where the user allows it.

    kinds: of the columns of x, where it is a table of columns of several kinds: what a cell holds is a number there,
        as `bpcli.data.kinds` says. texts: of each column of categories, the text that each number stands for.
    groups: (N,), the number of each sample's group, where samples come in groups.
    """

    source: str  # the path as the user wrote it
    x: np.ndarray[Any, Any] | NpyRows
    y: np.ndarray[Any, Any] | None
    feature_names: tuple[str, ...] | None  # CSV: the columns of x, in order
    target_names: tuple[str, ...] | None  # CSV: the columns of y, in order
    files: tuple[Path, ...]  # every file read, so that they can be hashed
    label_numbers: Mapping[str, float] | None = None  # CSV: each text label as a number, where all of them are such
    kinds: tuple[ColumnKind, ...] | None = None
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: np.ndarray[Any, Any] | None = None

    @property
    def read_x(self) -> np.ndarray[Any, Any]:
        """x where it was read whole, as it always is where values may be missing."""
        assert isinstance(self.x, np.ndarray)
        return self.x


@dataclass(frozen=True, eq=False)
class Part:
    """One split as the engine takes it: inputs, in memory or in a file; targets as class indices (N,) or floats (N, M).

    raw_targets: as in the file, float64 (N, M), for metrics in the data's own units; None for classes.
    weights: (N, 1), what multiplies each sample's loss; None where all are 1.
    notes: what became of missing values, where there were some, and a warning of values that scaling makes all alike.
    """

    x: Array | StoredInputs
    y: Array
    raw_targets: Array | None
    weights: Array | None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)


def sample_number(row: int, rows: Array | None) -> int:
    """A sample's number in its file, from 1."""
    return 1 + (row if rows is None else int(rows[row]))
