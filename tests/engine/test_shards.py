"""A batch in parts: the loss and gradient of the whole, for one batch after another."""

from __future__ import annotations

import numpy as np
import pytest

from bpcli.engine.activations import Identity, Tanh
from bpcli.engine.layers.dense import Dense
from bpcli.engine.losses.mse import MSE
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.optimizers.sgd import SGD
from bpcli.engine.team import ALONE, Team
from bpcli.engine.training.gradient import BatchGradient
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState

NETWORK = Network(
    [LayerEntry(spec=Dense(units=5), activation=Tanh()), LayerEntry(spec=Dense(units=2), activation=Identity())], (3,)
)
RNG = np.random.default_rng(0)
SAMPLES = Samples(RNG.normal(size=(21, 3)), RNG.normal(size=(21, 2)))
ORDER = RNG.permutation(21)
BATCHES = {
    "slices": [slice(0, 7), slice(7, 14), slice(14, 21)],
    "rows in another order": [ORDER[:7], ORDER[7:14], ORDER[14:]],
    "the same rows again": [ORDER[:7], ORDER[:7], ORDER[7:14]],
}


def gradient(shards: int, team: Team) -> BatchGradient:
    state = TrainState.start(NETWORK, SGD(), seed=1, dtype="float64", shards=shards)
    return BatchGradient(NETWORK, MSE(), state, np.empty_like(state.theta), n=7, shards=shards, team=team)


@pytest.mark.parametrize("batches", list(BATCHES.values()), ids=list(BATCHES))
@pytest.mark.parametrize("shards", [2, 3, 7])
@pytest.mark.parametrize("threads", [1, 2])
def test_parts_give_the_loss_and_gradient_of_the_whole(threads: int, shards: int, batches: list) -> None:
    with Team(threads) as team:
        whole, parts = gradient(1, ALONE), gradient(shards, team)
        for rows in batches:
            assert parts(SAMPLES, rows) == pytest.approx(whole(SAMPLES, rows), rel=1e-13)
            np.testing.assert_allclose(parts.grad, whole.grad, rtol=1e-12, atol=1e-15)
