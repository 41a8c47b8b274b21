"""Images whose channels come last are told apart from those whose channels come first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bpcli.config.load import load_config
from bpcli.errors import ConfigError
from bpcli.session import open_session

CONFIG = """
data: {train: d.npz, task: classification}
network: {layers: [{type: conv2d, filters: 2, kernel: 3, activation: relu}, flatten, {type: dense, units: 2}]}
loss: log_likelihood
training: {epochs: 1}
"""


def opened(shape: tuple[int, ...]) -> object:
    np.savez("d.npz", x=np.zeros((4, *shape)), y=np.array([0, 1, 0, 1]))
    Path("c.yaml").write_text(CONFIG)
    return open_session(load_config("c.yaml")).model.network.in_shape


def test_channels_first_are_taken_as_they_are() -> None:
    assert opened((3, 8, 9)) == (3, 8, 9)


def test_gray_images_get_one_channel() -> None:
    assert opened((8, 9)) == (1, 8, 9)


def test_channels_last_are_an_error_with_the_way_to_turn_them() -> None:
    with pytest.raises(ConfigError, match=r"channels first, numpy\.moveaxis\(x, -1, 1\)"):
        opened((8, 9, 3))
