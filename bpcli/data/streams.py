"""The rows of a source one block after another, for a network that is trained: a table is read once and never held.

Files of arrays are read as they always are, and handed over in blocks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from bpcli.data.datasets import read_like
from bpcli.data.image_folder import image_files
from bpcli.data.large import NpyRows
from bpcli.data.preparation import Preparation, kinds_of_columns
from bpcli.data.read import is_table
from bpcli.data.stored import opened, unpacked
from bpcli.data.table_file import is_converted
from bpcli.data.types import DataPlan, RawData, Source
from bpcli.engine.arrays import Array
from bpcli.errors import DataError

_NOT_TEXT = {b"\x93NUMPY": "an npy file", b"PK\x03\x04": "an npz file, a zip archive or a workbook"}


@dataclass(frozen=True, eq=False)
class RawBlock:
    """Some consecutive rows of a source.

    first: the number of the first, from 0. lines: in which each begins, of a table. kept: the texts of each column that
    is kept. faults: why rows cannot be read, by their places in the block.
    """

    raw: RawData
    first: int
    lines: Sequence[int] | None = None
    kept: Sequence[Sequence[str]] = ()
    faults: Mapping[int, DataError] = dataclasses.field(default_factory=dict)

    def part(self, start: int, stop: int) -> RawBlock:
        """Of the rows in these places alone."""
        return RawBlock(
            dataclasses.replace(self.raw, x=self.raw.read_x[start:stop]),
            self.first + start,
            None if self.lines is None else self.lines[start:stop],
            [column[start:stop] for column in self.kept],
            {place - start: fault for place, fault in self.faults.items() if start <= place < stop},
        )


def stream_like(
    preparation: Preparation,
    source: Source,
    plan: DataPlan,
    *,
    size: int,
    stream: BinaryIO | None = None,
    keep: Sequence[str] = (),
    skips_bad: bool = False,
) -> Iterator[RawBlock]:
    """The raw data of `source` as of `read_like`, without targets, in blocks of at most `size` rows.

    Of a folder of images the paths are handed through, whatever `keep` is.

    stream: what is read in place of the file: a table. keep: columns whose texts are handed through. skips_bad: a row
    that cannot be read is no error, but told in `RawBlock.faults`.

    Raises:
        DataError: the source cannot be used, or lacks a column.
    """
    try:
        with ExitStack() as stack:
            if stream is not None or _is_pipe(source.x):
                packed = stream or stack.enter_context(source.x.open("rb"))
                file = stack.enter_context(unpacked(packed, str(source.x)))
            elif is_table(source):
                file = stack.enter_context(opened(source.x))
                if is_converted(source.x):
                    plan = dataclasses.replace(plan, header=True, decimal=".")
            else:
                is_folder = source.x.is_dir()
                _refuse_options_of_tables(source, () if is_folder else keep, skips_bad=skips_bad)
                kept = [[str(path.relative_to(source.x)) for path in image_files(source.x)]] if is_folder else []
                yield from _array_blocks(read_like(preparation, source, plan, need_target=False), size, kept)
                return
            yield from _table_blocks(preparation, source, plan, file, keep, skips_bad=skips_bad, size=size)
    except OSError as error:
        raise DataError(f"{source.label}: cannot be read: {error.strerror or error}") from error


def _is_pipe(path: Path) -> bool:
    """Whether it is a pipe or a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _refuse_options_of_tables(source: Source, keep: Sequence[str], *, skips_bad: bool) -> None:
    if keep or skips_bad:
        option = "--keep" if keep else "--on-bad-row"
        raise DataError(f"{source.label}: holds arrays, and {option} is for tables as CSV: leave it out")


def _table_blocks(
    preparation: Preparation,
    source: Source,
    plan: DataPlan,
    file: BinaryIO,
    keep: Sequence[str],
    *,
    skips_bad: bool,
    size: int,
) -> Iterator[RawBlock]:
    from bpcli.data import csv_file  # late: csv costs the start of every command
    from bpcli.data.csv_lines import LineBlocks
    from bpcli.data.csv_stream import read_blocks

    blocks = LineBlocks(file)
    head = blocks.head()
    for magic, what in _NOT_TEXT.items():
        if head.startswith(magic) and not source.x.is_file():
            raise DataError(f"{source.label}: {what}; only CSV is read from a pipe: name the file itself")
    table, wanted = csv_file.chosen_for_stream(
        source.x,
        head,
        preparation.feature_names or plan.features,
        header=plan.header,
        missing=plan.missing,
        decimal=plan.decimal,
        columns=None if preparation.columns is None else kinds_of_columns(preparation, plan),
        keep=keep,
        skips_bad=skips_bad,
    )
    names = tuple(table.names[column] for column in wanted.x_columns)
    kinds = tuple(wanted.kinds) if wanted.by_kind else None
    raw_of = partial(RawData, source.label, y=None, feature_names=names, target_names=None, files=(), kinds=kinds)
    first = 0
    for block in read_blocks(table, blocks, wanted):
        whole = RawBlock(raw_of(x=block.x, texts=block.texts), first, block.lines, block.kept, block.faults)
        for start in range(0, len(block.lines), size):
            yield whole.part(start, start + size)
        first += len(block.lines)
    if not first:
        raise DataError(f"{source.label}: no rows of data{' under the header' if table.has_header else ''}")


def _array_blocks(raw: RawData, size: int, kept: Sequence[Sequence[str]]) -> Iterator[RawBlock]:
    for start in range(0, len(raw.x), size):
        stop = min(start + size, len(raw.x))
        part = dataclasses.replace(raw, x=_rows(raw.x, start, stop), y=None)
        yield RawBlock(part, start, kept=[texts[start:stop] for texts in kept])


def _rows(x: Array | NpyRows, start: int, stop: int) -> Array:
    """A range of rows, read if they are in a file."""
    return np.concatenate(list(x.part(np.arange(start, stop)).blocks())) if isinstance(x, NpyRows) else x[start:stop]
