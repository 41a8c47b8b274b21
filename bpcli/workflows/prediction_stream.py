"""Predictions for a source of any size, block by block, in bounded memory: the same bytes as for the whole of it."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from bpcli.build.memory import fits_into_memory
from bpcli.data.columns import lacking
from bpcli.data.content import inputs_to_drop_for
from bpcli.data.datasets import FillCounts
from bpcli.data.streams import RawBlock, stream_like
from bpcli.data.types import Source
from bpcli.engine.arrays import Array
from bpcli.engine.training.evaluation import ChunkPredictor
from bpcli.errors import DataError
from bpcli.system import one_blas_thread
from bpcli.text import printable
from bpcli.workflows.trained import (
    Prediction,
    TrainedModel,
    no_prediction_note,
    not_finite_note,
    spread,
    without_labels_of_nothing,
)

OnBadRow: TypeAlias = Literal["error", "empty", "skip"]

_MOST_WAITING = 1 << 20  # rows that wait for a whole chunk
_MOST_TOLD = 10


@dataclass(frozen=True, eq=False)
class PredictedBlock:
    """Predictions for some consecutive rows, and the texts of each column that is kept."""

    prediction: Prediction
    kept: Sequence[Sequence[str]]


@dataclass
class Rows:
    """How many rows of a kind there are, and the numbers of the first ten, from 1."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, rows: Array) -> None:
        """Adds rows by their numbers (n,), from 0."""
        self.count += len(rows)
        self.first += (rows[: _MOST_TOLD - len(self.first)] + 1).tolist()


@dataclass(frozen=True, eq=False)
class _Waiting:
    """Rows whose predictions are not there yet.

    rows: their numbers (n,), from 0. missing: (n,), for which there will be no prediction. count: of the others.
    """

    rows: Array
    missing: npt.NDArray[np.bool_]
    count: int
    kept: Sequence[Sequence[str]]


class PredictionStream:
    """Predictions for a source: iterated over once. Afterwards `notes` and the counts say what there is to tell.

    keep: columns of a table whose texts are handed through. on_bad_row: a row that cannot be read, or that the network
    cannot take, is an error, has an empty prediction, or is left out. stream: what is read in place of the file.
    threshold: the probability from which on the second of two classes is the label; None: the more probable one.
    """

    def __init__(
        self,
        model: TrainedModel,
        path: Path,
        *,
        stream: BinaryIO | None = None,
        keep: Sequence[str] = (),
        on_bad_row: OnBadRow = "error",
        threshold: float | None = None,
    ) -> None:
        self.model, self.on_bad_row, self.threshold = model, on_bad_row, threshold
        self.keep, self._stream = tuple(keep), stream
        self._source = Source(path, label=str(path), is_argument=True)
        self._predictor = ChunkPredictor(model.model.network, model.theta, stats=model.stats)
        self._fills = FillCounts(model.preparation, model.plan.missing)
        self.rows = self.predicted = 0
        self.bad = 0
        self.missing, self.not_finite = Rows(), Rows()
        self._faults: list[str] = []

    def __iter__(self) -> Iterator[PredictedBlock]:
        """The blocks, in the order of the rows.

        Raises:
            DataError: the source cannot be used, or lacks a column; there is no row to predict.
        """
        with fits_into_memory(self._source.label), one_blas_thread():
            for waiting, output in self._outputs():
                yield self._predicted(waiting, output)
        if not self.predicted:
            raise DataError(*self._nothing_to_predict())

    def notes(self) -> tuple[str, ...]:
        """What became of missing values, of rows that cannot be read and of outputs that are not finite."""
        source = self._source.label
        notes = list(self._fills.notes(source))
        if self.missing.count:
            notes.append(no_prediction_note(source, self.missing.count, self.rows, self.missing.first))
        notes += self._bad_row_notes()
        if self.not_finite.count:
            has_class = self.model.preparation.task == "classification"
            notes.append(
                not_finite_note(source, self.not_finite.count, self.rows, self.not_finite.first, has_class=has_class)
            )
        return tuple(notes)

    def _bad_row_notes(self) -> Iterator[str]:
        if not self.bad:
            return
        what = "left empty" if self.on_bad_row == "empty" else "skipped, so that the output has fewer rows"
        first = f", the first {_MOST_TOLD} of them" if self.bad > _MOST_TOLD else ""
        yield (f"warning: {self._source.label}: {self.bad} of {self.rows} rows cannot be read and are {what}{first}:")
        yield from (f"  {fault}" for fault in self._faults)

    def _nothing_to_predict(self) -> list[str]:
        if not self.bad:
            return [f"{self._source.label}: every row has a missing value, so that there is nothing to predict"]
        reason = "can be read" if self.bad == self.rows else "can be read without a missing value"
        return [f"{self._source.label}: no row {reason}, so that there is nothing to predict", *self._faults]

    def _outputs(self) -> Iterator[tuple[_Waiting, Array]]:
        """Rows, and the network's outputs for those that are not missing; computed in whole chunks."""
        network, size = self.model.model.network, self._predictor.size
        waiting: deque[_Waiting] = deque()
        held = 0  # rows that wait
        inputs: list[Array] = []
        outputs = np.empty((0, *network.out_shape), self.model.theta.dtype)
        for block, x in self._prepared():
            if block is not None:
                waiting.append(block)
                held += len(block.rows)
            if x is not None:
                inputs.append(x)
            count = sum(map(len, inputs))
            while count >= size or (count and (block is None or held > _MOST_WAITING)):
                joined = np.concatenate(inputs) if len(inputs) > 1 else inputs[0]
                outputs = np.concatenate([outputs, self._predictor(joined[:size])])
                inputs, count = [joined[size:]], max(0, count - size)
            # nothing is written of a source that turns out to have no row to predict
            is_open = self.predicted or len(outputs) or held > _MOST_WAITING
            while is_open and waiting and waiting[0].count <= len(outputs):
                first = waiting.popleft()
                held -= len(first.rows)
                yield first, outputs[: first.count]
                outputs = outputs[first.count :]

    def _prepared(self) -> Iterator[tuple[_Waiting | None, Array | None]]:
        """Rows, and the network's inputs for those that are not missing, if any; at last (None, None)."""
        model = self.model
        blocks = stream_like(
            model.preparation,
            self._source,
            model.plan,
            size=self._predictor.block_rows,
            stream=self._stream,
            keep=self.keep,
            skips_bad=self.on_bad_row != "error",
        )
        for block in blocks:
            model.preparation.check_shape(block.raw)
            n = len(block.raw.x)
            bad = np.zeros(n, bool)
            bad[list(block.faults)] = True
            dropped = inputs_to_drop_for(block.raw, model.plan.missing)
            missing = np.zeros(n, bool) if dropped is None else lacking(dropped) & ~bad
            x, faults = self._inputs(block, np.flatnonzero(~(bad | missing)))
            bad[list(faults)] = True
            self._note_faults({**block.faults, **faults})
            self.rows += n
            self.bad += int(bad.sum())
            self.missing.add(block.first + np.flatnonzero(missing))
            there, kept = np.arange(n), block.kept
            if self.on_bad_row == "skip" and bad.any():
                there = np.flatnonzero(~bad)
                kept = [[column[place] for place in there.tolist()] for column in kept]
            count = 0 if x is None else len(x)
            yield _Waiting(block.first + there, (missing | bad)[there], count, kept), x
        yield None, None

    def _inputs(self, block: RawBlock, rows: Array) -> tuple[Array | None, Mapping[int, DataError]]:
        """The network's inputs for these rows of a block, None for no row; and the faults of those it cannot take."""
        faults: dict[int, DataError] = {}
        x = self._tried(block, rows) if len(rows) else None
        if isinstance(x, DataError):
            self._find_faults(block, rows, x, faults)
            rows = np.array([row for row in rows.tolist() if row not in faults], np.int64)
            x = self._tried(block, rows) if len(rows) else None
            assert not isinstance(x, DataError)
        self._fills.add(dataclasses.replace(block.raw, x=block.raw.read_x[rows]))
        return x, faults

    def _tried(self, block: RawBlock, rows: Array) -> Array | DataError:
        raw = block.raw
        if len(rows) < len(raw.x):
            raw = dataclasses.replace(raw, x=raw.read_x[rows])
        try:
            inputs = self.model.preparation.inputs(raw, self.model.plan.dtype, block.first + rows)
        except DataError as error:
            return error
        x = self.model.model.inputs(inputs)
        assert isinstance(x, np.ndarray)
        return x

    def _find_faults(self, block: RawBlock, rows: Array, error: DataError, faults: dict[int, DataError]) -> None:
        """Halves the rows until each that has a fault is alone; raises the first fault where it is an error."""
        if len(rows) > 1:
            for half in (rows[: len(rows) // 2], rows[len(rows) // 2 :]):
                found = self._tried(block, half)
                if isinstance(found, DataError):
                    self._find_faults(block, half, found, faults)
            return
        place = int(rows[0])
        if block.lines is not None:
            what = str(error).removeprefix(f"{self._source.label}: ")
            error = DataError(f"{self._source.label}:{block.lines[place]}: {what}")
        if self.on_bad_row == "error":
            raise error
        faults[place] = error

    def _note_faults(self, faults: Mapping[int, DataError]) -> None:
        for place in sorted(faults)[: _MOST_TOLD - len(self._faults)]:
            self._faults.append(printable(str(faults[place])))

    def _predicted(self, waiting: _Waiting, output: Array) -> PredictedBlock:
        prediction = self.model.said(output)
        classes = self.model.preparation.classes
        if self.threshold is not None and classes is not None:
            labels = np.array(classes)[(prediction.values[:, 1] >= self.threshold).astype(np.int64)]
            prediction = dataclasses.replace(prediction, labels=labels)
        if waiting.missing.any():
            prediction = spread(prediction, waiting.missing)
        prediction, lost = without_labels_of_nothing(prediction)
        self.not_finite.add(waiting.rows[lost])
        self.predicted += waiting.count
        return PredictedBlock(prediction, waiting.kept)
