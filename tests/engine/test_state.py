"""The training state: every field is kept, and what is kept of an epoch stays as it was."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bpcli.engine.activations import Tanh
from bpcli.engine.layers.batch_norm import BatchNorm
from bpcli.engine.layers.dense import Dense
from bpcli.engine.layers.dropout import Dropout
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.optimizers.adam import Adam
from bpcli.engine.training.state import AT_END_OF_EPOCH, KINDS, TrainState

NETWORK = Network(
    [
        LayerEntry(spec=Dense(units=3), activation=Tanh()),
        LayerEntry(spec=BatchNorm()),
        LayerEntry(spec=Dropout(rate=0.5)),
        LayerEntry(spec=Dense(units=1)),
    ],
    (2,),
)
STORED_APART = {"theta", "stats", "vectors", "best"}


@pytest.fixture
def state() -> TrainState:
    """In the middle of its third epoch, with every field away from its default."""
    state = TrainState.start(NETWORK, Adam(), seed=3, dtype="float64")
    state.shuffle_before = state.shuffle.bit_generator.state
    state.epoch, state.step, state.position, state.loss_sum, state.seconds = 2, 25, 5, 1.5, 0.25
    state.stall_value, state.stall_epoch = 0.75, 1
    state.memory, state.scalars = {"halvings": 2}, {"damping": 1e-3}
    for generator in (state.shuffle, *state.noise):
        generator.random(7)
    for array in state.arrays().values():
        array[:] = state.shuffle.random(array.size)
    return state


def saved(state: TrainState) -> dict[str, object]:
    return {name: kind.save(getattr(state, name)) for name, kind in KINDS.items()}


def train_on(state: TrainState) -> None:
    """Changes everything that training changes."""
    for array in state.arrays().values():
        array += 1.0
    for generator in (state.shuffle, *state.noise):
        generator.random(3)
    state.epoch, state.step, state.stall_epoch, state.stall_value = state.epoch + 1, state.step + 10, 3, 0.5
    state.memory["halvings"], state.scalars["damping"] = 3, 1.0


def test_every_field_has_a_kind_or_a_place_of_its_own() -> None:
    assert {field.name for field in dataclasses.fields(TrainState)} == set(KINDS) | STORED_APART


def test_the_example_differs_from_a_fresh_state_in_every_field(state: TrainState) -> None:
    fresh = saved(TrainState.start(NETWORK, Adam(), seed=0, dtype="float64"))
    assert [name for name, value in saved(state).items() if value == fresh[name]] == []


def test_every_field_is_the_same_after_a_way_through_json(state: TrainState) -> None:
    fields = json.loads(json.dumps(saved(state)))
    assert all(KINDS[name].is_saved(value) for name, value in fields.items())
    assert saved(TrainState.restored(state.arrays(), fields, None)) == saved(state)


def test_generators_go_on_where_they_were(state: TrainState) -> None:
    again = TrainState.restored(state.arrays(), saved(state), None)
    for one, other in zip((state.shuffle, *state.noise), (again.shuffle, *again.noise), strict=True):
        assert one is not other
        assert one.random(5).tolist() == other.random(5).tolist()


@pytest.mark.parametrize("times", [1, 2])
def test_the_best_state_does_not_change_while_training_continues(state: TrainState, times: int) -> None:
    for _ in range(times):
        train_on(state)
        state.position = 0
        state.keep_as_best(0.5)
    fields = {name: value for name, value in saved(state).items() if name in AT_END_OF_EPOCH}
    arrays = {name: array.copy() for name, array in state.arrays().items()}
    train_on(state)
    best = state.at_best()
    assert {name: value for name, value in saved(best).items() if name in AT_END_OF_EPOCH} == fields
    assert {name: array.tolist() for name, array in best.arrays().items()} == {
        name: array.tolist() for name, array in arrays.items()
    }
    assert (best.position, best.loss_sum, best.shuffle_before, best.seconds) == (0, 0.0, None, 0.0)


def test_the_best_is_kept_in_the_same_memory(state: TrainState) -> None:
    state.keep_as_best(0.5)
    assert state.best is not None
    before = state.best.snapshot.arrays["theta"]
    train_on(state)
    state.keep_as_best(0.25)
    assert state.best.snapshot.arrays["theta"] is before
    assert (state.best.value, state.best.epoch, state.best.step) == (0.25, 3, 35)


def test_there_is_no_best_before_the_first_epoch(state: TrainState) -> None:
    with pytest.raises(ValueError, match="no epoch is finished yet"):
        state.at_best()
