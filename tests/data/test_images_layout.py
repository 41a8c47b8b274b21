"""Images whose channels come last are told apart from those whose channels come first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bpcli.build.advice import warnings
from bpcli.build.session import Session, open_session
from bpcli.config.load import load_config
from bpcli.errors import ConfigError

CONFIG = """
data: {train: d.npz, task: classification}
network: {layers: [{type: conv2d, filters: 2, kernel: 3, activation: relu}, flatten, {type: dense, units: 2}]}
loss: log_likelihood
training: {epochs: 1}
"""


def opened(shape: tuple[int, ...], *overrides: str) -> Session:
    np.savez("d.npz", x=np.zeros((4, *shape)), y=np.array([0, 1, 0, 1]))
    Path("c.yaml").write_text(CONFIG)
    return open_session(load_config("c.yaml", overrides))


@pytest.mark.parametrize("shape", [(3, 8, 9), (2, 5, 4), (8, 6, 3), (1, 8, 8)])
@pytest.mark.parametrize("said", [True, False])
def test_channels_first_are_taken_as_they_are(shape, said) -> None:
    session = opened(shape, *([f"network.input={list(shape)}"] if said else []))
    assert session.model.network.in_shape == shape
    told = [text for text in warnings(session) if "moveaxis" in text]
    assert len(told) == (shape == (8, 6, 3) and not said)


def test_gray_images_get_one_channel() -> None:
    assert opened((8, 9)).model.network.in_shape == (1, 8, 9)


def test_images_that_may_have_their_channels_last_are_told_with_the_way_to_turn_them() -> None:
    (text,) = warnings(opened((8, 9, 3)))
    assert "data.train: images are channels x height x width, so these have 8 channels" in text
    assert "network.input: [8, 9, 3] says so" in text
    assert "numpy.moveaxis(x, -1, 1)" in text


def test_a_network_without_layers_for_images_needs_no_such_word() -> None:
    assert warnings(opened((8, 9, 3), "network={layers: [216, 2]}")) == []


def test_channels_last_are_told_where_a_layer_does_not_fit() -> None:
    with pytest.raises(ConfigError, match=r"network\.layers\[0\].*if 8 x 9 x 1 is height x width x channels.*moveaxis"):
        opened((8, 9, 1))


@pytest.mark.parametrize(("shape", "said"), [((8, 9, 3), [3, 8, 9]), ((3, 8, 9), [8, 9, 3]), ((6, 5, 4), [4, 6, 5])])
def test_samples_are_not_turned_by_their_shape_in_the_config(shape, said) -> None:
    """Taken as the other shape, each pixel would land elsewhere."""
    with pytest.raises(ConfigError, match=r"network\.input: in the file a sample lies as .*: a sample is not turned"):
        opened(shape, f"network.input={said}")


@pytest.mark.parametrize(("shape", "said"), [((72,), [1, 8, 9]), ((8, 9), [1, 8, 9]), ((8, 9, 1), [1, 8, 9])])
def test_a_shape_in_the_config_only_names_the_sides(shape, said) -> None:
    assert opened(shape, f"network.input={said}").model.network.in_shape == tuple(said)
