"""All that changes while a network trains: what a checkpoint holds, and a resume needs to go on bit for bit.

A new field of `TrainState` is one line: the `Kind` in its annotation says how it is saved, checked and restored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Annotated, Any, TypeAlias, get_type_hints

import numpy as np

from bpcli.engine.arrays import Array, DType
from bpcli.engine.network import Network
from bpcli.engine.protocols import AnyOptimizer

GeneratorState: TypeAlias = Mapping[str, Any]

MOST_SHARDS = 2  # unless training.shards says more

# Each purpose has its own stream, so that drawing more for one leaves the others as they were.
STREAMS = ("init", "split", "shuffle", "noise", "evaluation")


def random_streams(seed: int) -> dict[str, np.random.Generator]:
    """One independent generator for each purpose, from one seed."""
    return {
        name: np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(index,))))
        for index, name in enumerate(STREAMS)
    }


def generator_at(state: GeneratorState) -> np.random.Generator:
    """A generator in a state that was read off another."""
    generator = np.random.Generator(np.random.PCG64())
    generator.bit_generator.state = state
    return generator


@dataclass(frozen=True)
class Kind:
    """How a field of the state is saved and restored.

    is_saved: whether plain values, of the kinds that JSON has, are what `save` gives; may raise ValueError and others.
    save: the field's value as plain values, which training does not change any more. restore: the value again.
    """

    is_saved: Callable[[Any], bool]
    save: Callable[[Any], Any] = lambda value: value
    restore: Callable[[Any], Any] = lambda saved: saved


def is_count(value: Any) -> bool:
    """Whether it is an integer from 0 on that fits into 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _are_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_number, value.values()))


def _is_generator(value: Any) -> bool:
    """Whether a generator can be put into that state; ValueError and others where NumPy refuses it."""
    return generator_at(value) is not None


def _are_generators(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_generator, value))


COUNT = Kind(is_count)
NUMBER = Kind(is_number)
NUMBER_OR_NONE = Kind(lambda value: value is None or is_number(value))
NUMBERS = Kind(_are_numbers, dict.copy, dict.copy)  # by name
_STATE_OF = attrgetter("bit_generator.state")
GENERATOR = Kind(_is_generator, _STATE_OF, generator_at)
GENERATORS = Kind(_are_generators, lambda all_: list(map(_STATE_OF, all_)), lambda all_: list(map(generator_at, all_)))
GENERATOR_STATE_OR_NONE = Kind(lambda value: value is None or _is_generator(value))

WITHIN_EPOCH = object()  # marks what means nothing at the end of an epoch


@dataclass
class Snapshot:
    """The state at the end of an epoch, apart from what training does later: enough to go on from there.

    arrays: copies, by name, of theta, stats and the optimizer's vectors. fields: what the others were saved as.
    """

    arrays: dict[str, Array]
    fields: dict[str, Any]

    @classmethod
    def of(cls, state: TrainState) -> Snapshot:
        """A snapshot with memory of its own."""
        fields = {name: kind.save(getattr(state, name)) for name, kind in AT_END_OF_EPOCH.items()}
        return cls({name: array.copy() for name, array in state.arrays().items()}, fields)

    def retake(self, state: TrainState) -> None:
        """Makes it the snapshot of a later epoch of the same training, in the same memory."""
        for name, array in state.arrays().items():
            if array.size:
                np.copyto(self.arrays[name], array)
        values, fields = vars(state), self.fields
        # where nothing was drawn the shuffling generator stands where it stood, and its state takes long to read
        for name, save in _SAVE if state.shuffle_before is not None else _SAVE_UNSHUFFLED:
            fields[name] = save(values[name])


@dataclass
class Best:
    """The best monitored value so far, and the state after its epoch."""

    value: float
    snapshot: Snapshot

    @property
    def epoch(self) -> int:
        """How many epochs were finished then."""
        return int(self.snapshot.fields["epoch"])

    @property
    def step(self) -> int:
        """How many iterations were done then."""
        return int(self.snapshot.fields["step"])


@dataclass(kw_only=True)
class TrainState:
    """Where training stands.

    epoch counts whole epochs, step iterations. In the middle of an epoch, `position` of its iterations are done,
    `loss_sum` is the sum so far of each batch's loss times its samples, and `shuffle_before` is the state that the
    shuffling generator had before it drew the epoch's order, from which the order can be drawn again.
    `stall_value` and `stall_epoch` are early stopping's: the value to beat, and since when it stands.
    `stats` is what layers keep up themselves; `noise` has a generator for each shard of a batch,
    `memory` is the learning-rate schedule's, `scalars` are a full-batch optimizer's.

    What has no Kind is stored apart: arrays in their own places, and `best` as a whole.
    """

    theta: Array
    stats: Array
    vectors: dict[str, Array]
    epoch: Annotated[int, COUNT] = 0
    step: Annotated[int, COUNT] = 0
    position: Annotated[int, COUNT, WITHIN_EPOCH] = 0
    loss_sum: Annotated[float, NUMBER, WITHIN_EPOCH] = 0.0
    shuffle_before: Annotated[GeneratorState | None, GENERATOR_STATE_OR_NONE, WITHIN_EPOCH] = None
    stall_value: Annotated[float | None, NUMBER_OR_NONE] = None
    stall_epoch: Annotated[int, COUNT] = 0
    memory: Annotated[dict[str, float], NUMBERS] = field(default_factory=dict)
    scalars: Annotated[dict[str, float], NUMBERS] = field(default_factory=dict)
    shuffle: Annotated[np.random.Generator, GENERATOR]
    noise: Annotated[list[np.random.Generator], GENERATORS]
    best: Best | None = None
    seconds: Annotated[float, NUMBER, WITHIN_EPOCH] = 0.0

    @classmethod
    def start(
        cls, network: Network, optimizer: AnyOptimizer, *, seed: int, dtype: DType, shards: int = MOST_SHARDS
    ) -> TrainState:
        """The state before the first iteration. shards: how many parts a batch is split into at most."""
        streams = random_streams(seed)
        return cls(
            theta=network.initial_theta(streams["init"], dtype),
            stats=network.initial_stats(dtype),
            vectors={name: np.zeros(network.layout.size, dtype) for name in optimizer.vector_names()},
            shuffle=streams["shuffle"],
            noise=streams["noise"].spawn(shards) if network.has_trait("noise") else [],
        )

    def is_better(self, value: float, sign: float, *, or_equal: bool = False) -> bool:
        """Whether the value is better than the best so far; sign 1 where smaller is better, -1 where larger is."""
        if self.best is None or sign * value < sign * self.best.value:
            return True
        return or_equal and value == self.best.value

    def arrays(self) -> dict[str, Array]:
        """theta, stats and the optimizer's vectors, by name."""
        return {"theta": self.theta, "stats": self.stats, **self.vectors}

    def keep_as_best(self, value: float) -> None:
        """Copies the state at the end of an epoch into `best`, reusing its memory."""
        if self.best is None:
            self.best = Best(value, Snapshot.of(self))
        else:
            self.best.value = value
            self.best.snapshot.retake(self)

    def at_best(self) -> TrainState:
        """The state as it was after the best epoch; shares its arrays with `best`.

        Raises:
            ValueError: no epoch is finished yet.
        """
        if self.best is None:
            raise ValueError("no epoch is finished yet")
        snapshot = self.best.snapshot
        return TrainState.restored(snapshot.arrays, snapshot.fields, self.best)

    @classmethod
    def restored(cls, arrays: Mapping[str, Array], fields: Mapping[str, Any], best: Best | None) -> TrainState:
        """The state of these arrays, which it keeps, and of fields as they were saved."""
        others = dict(arrays)
        theta, stats = others.pop("theta"), others.pop("stats")
        values = {name: KINDS[name].restore(saved) for name, saved in fields.items()}
        return cls(theta=theta, stats=stats, vectors=others, best=best, **values)


_METADATA = {
    name: hint.__metadata__
    for name, hint in get_type_hints(TrainState, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
# The fields with a Kind, in the order of a checkpoint's metadata.
KINDS: Mapping[str, Kind] = {name: marks[0] for name, marks in _METADATA.items()}
AT_END_OF_EPOCH: Mapping[str, Kind] = {name: marks[0] for name, marks in _METADATA.items() if WITHIN_EPOCH not in marks}
_SAVE = [(name, kind.save) for name, kind in AT_END_OF_EPOCH.items()]
_SAVE_UNSHUFFLED = [(name, save) for name, save in _SAVE if name != "shuffle"]
