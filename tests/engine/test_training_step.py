"""The step that training, the profile and the printed step share."""

from __future__ import annotations

import numpy as np
import pytest

from bpcli.engine import registry
from bpcli.engine.layers.dense import Dense
from bpcli.engine.losses.half_squared_error import HalfSquaredError
from bpcli.engine.measure.trace import trace_step
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.objective import Penalty, penalty_of
from bpcli.engine.optimizers.adamw import AdamW
from bpcli.engine.optimizers.sgd import SGD
from bpcli.engine.protocols import AnyOptimizer
from bpcli.engine.training.divergence import NotFiniteError
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.step import BatchStep, FullBatchStep, make_step
from bpcli.engine.training.trainer import train

NETWORK = Network([LayerEntry(spec=Dense(units=1))], (1,))
ONE = Samples(np.array([[2.0]]), np.array([[0.0]]))  # L = (2 w + b)^2 / 2, dL/dw = 2 (2 w + b), dL/db = 2 w + b


def a_state(optimizer: AnyOptimizer, w: float = 3.0) -> TrainState:
    state = TrainState.start(NETWORK, optimizer, seed=0, dtype="float64")
    state.theta[:] = [w, 0.0]
    return state


def a_step(optimizer: AnyOptimizer, state: TrainState, **options: float) -> BatchStep | FullBatchStep:
    return make_step(
        NETWORK, HalfSquaredError(), optimizer, ONE, state, TrainOptions(epochs=1, batch_size=None, **options)
    )


@pytest.mark.parametrize("name", registry.optimizers.names())
def test_the_optimizer_decides_on_the_form_of_the_step(name: str) -> None:
    optimizer = registry.optimizers.get(name)()
    step = a_step(optimizer, a_state(optimizer))
    assert isinstance(step, FullBatchStep if optimizer.full_batch else BatchStep)
    assert step.ends_at_rest == optimizer.full_batch
    assert [len(shards) for shards in step.layers] == [1]


def test_a_step_gives_the_loss_before_it_and_counts_itself() -> None:
    state = a_state(SGD(learning_rate=0.1))
    step = a_step(SGD(learning_rate=0.1), state)
    assert step(slice(0, 1), 1) == 0.5 * 6.0**2
    assert state.step == 1
    np.testing.assert_allclose(state.theta, [3.0 - 0.1 * 12.0, -0.1 * 6.0], rtol=1e-15)


def test_the_penalty_is_added_after_clipping_and_only_to_weights() -> None:
    """g = (12, 6), cut to (1, 1), and then for the weight 0.5 * 3 + 0.25 more."""
    optimizer = SGD(learning_rate=0.1, weight_decay=0.5, l1=0.25)
    state = a_state(optimizer)
    a_step(optimizer, state, clip_value=1.0)(slice(0, 1), 1)
    np.testing.assert_allclose(state.theta, [3.0 - 0.1 * 2.75, -0.1], rtol=1e-15)


@pytest.mark.parametrize("name", registry.optimizers.names())
def test_a_decoupled_decay_is_not_part_of_the_minimised_loss(name: str) -> None:
    cls = registry.optimizers.get(name)
    keys = {key: 0.5 for key in ("weight_decay", "l1") if key in cls.__dataclass_fields__}
    l2 = 0.0 if cls is AdamW else keys.get("weight_decay", 0.0)
    assert penalty_of(cls(**keys)) == Penalty(l2=l2, l1=keys.get("l1", 0.0))


@pytest.mark.parametrize("name", ["sgd", "lbfgs"])
def test_what_is_not_finite_is_named_with_its_iteration(name: str) -> None:
    optimizer = registry.optimizers.get(name)()
    step = a_step(optimizer, a_state(optimizer, w=1e200))
    with np.errstate(all="ignore"), pytest.raises(NotFiniteError, match="dense_1") as caught:
        step(slice(0, 1), 1)
    assert caught.value.iteration in (0, 1)


def test_the_printed_step_is_the_one_that_trains() -> None:
    optimizer = SGD(learning_rate=0.1, momentum=0.5, l1=0.1)
    shown, trained = a_state(optimizer), a_state(optimizer)
    step = a_step(optimizer, shown)
    assert isinstance(step, BatchStep)
    trace = trace_step(step)
    reports = list(train(NETWORK, HalfSquaredError(), optimizer, ONE, trained, TrainOptions(epochs=1, batch_size=None)))
    assert shown.theta.tobytes() == trained.theta.tobytes()
    assert trace.loss == reports[-1].train_loss
