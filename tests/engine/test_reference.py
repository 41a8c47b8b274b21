"""Training gives PyTorch's numbers: each case of tests/tools/make_reference.py, to 1e-10 in float64.

What PyTorch computed is stored, so nothing here needs it.
"""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.make_reference import CASES, EPOCHS, fingerprint

from bpcli.config.part_models import part
from bpcli.config.schema import LayeredNetwork, Training
from bpcli.engine.network import Network
from bpcli.engine.protocols import Loss, Optimizer, Schedule
from bpcli.engine.training.gradient import BatchGradient
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import train

FOLDER = Path(__file__).resolve().parent.parent / "reference"
TOLERANCE = 1e-10
START, GRADIENT, AFTER_FIRST, AFTER_LAST = range(4)  # the rows of a case's parameters

STORED = json.loads((FOLDER / "torch.json").read_text(encoding="utf-8"))
with np.load(FOLDER / "torch.npz") as file:
    ARRAYS = dict(file)

each_case = pytest.mark.parametrize("case", STORED["cases"], ids=lambda case: case["name"])


def stored(case: dict[str, Any], key: str) -> np.ndarray:
    return ARRAYS[f"{case['name']}.{key}"]


def stored_parameters(case: dict[str, Any], row: int) -> dict[str, np.ndarray]:
    """The arrays of one row, by name."""
    shapes = STORED["parameters"][case["name"]]
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes.values()])
    parts = np.split(stored(case, "parameters")[row], ends[:-1])
    return {name: values.reshape(shape) for (name, shape), values in zip(shapes.items(), parts, strict=True)}


def network_of(case: dict[str, Any]) -> Network:
    written = LayeredNetwork.model_validate({"input": case["input"], "layers": case["layers"]})
    return Network(written.entries(), tuple(case["input"]))


def first_theta(case: dict[str, Any], network: Network) -> np.ndarray:
    """The stored first weights, each array put where the network has one of that name."""
    theta = np.full(network.layout.size, np.nan)
    views, values = network.layout.views(theta), stored_parameters(case, START)
    assert views.keys() == values.keys()
    for name, view in views.items():
        assert view.shape == values[name].shape, name
        view[...] = values[name]
    return theta


def first_state(case: dict[str, Any], network: Network) -> TrainState:
    state = TrainState.start(network, part(Optimizer).read(case["optimizer"]), seed=0, dtype="float64")
    state.theta[:] = first_theta(case, network)
    return state


def trained(case: dict[str, Any], epochs: int) -> tuple[list[float], dict[str, np.ndarray]]:
    """(each epoch's loss, the parameters by name) after so many of the EPOCHS, by which a schedule may go."""
    network = network_of(case)
    optimizer, state = part(Optimizer).read(case["optimizer"]), first_state(case, network)
    reports = train(
        network,
        part(Loss).read(case["loss"]),
        optimizer,
        Samples(stored(case, "x"), stored(case, "y")),
        state,
        Training.model_validate({**case["training"], "epochs": EPOCHS}).options(threads=1),
        schedule=part(Schedule, optional=True).read(case["schedule"]),
    )
    losses = [report.train_loss for report in islice((report for report in reports if report.complete), epochs)]
    return losses, network.layout.views(state.theta)


def assert_close(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=0, atol=TOLERANCE, err_msg=name)


@each_case
def test_the_loss_of_every_epoch_is_pytorchs(case: dict[str, Any]) -> None:
    losses, _ = trained(case, EPOCHS)
    np.testing.assert_allclose(losses, stored(case, "losses"), rtol=0, atol=TOLERANCE)


@each_case
def test_the_first_gradient_is_pytorchs(case: dict[str, Any]) -> None:
    network, loss = network_of(case), part(Loss).read(case["loss"])
    batch_size = case["training"]["batch_size"]
    n = case["samples"] if batch_size == "full" else batch_size
    state, grad = first_state(case, network), np.full(network.layout.size, np.nan)
    with np.errstate(over="ignore"):  # exp of far-out logits; training does likewise
        BatchGradient(network, loss, state, grad, n=n)(Samples(stored(case, "x"), stored(case, "y")), slice(0, n))
    assert_close(network.layout.views(grad), stored_parameters(case, GRADIENT))


@each_case
@pytest.mark.parametrize(("epochs", "row"), [(1, AFTER_FIRST), (EPOCHS, AFTER_LAST)], ids=["1_epoch", "10_epochs"])
def test_the_weights_after_training_are_pytorchs(case: dict[str, Any], epochs: int, row: int) -> None:
    _, parameters = trained(case, epochs)
    assert_close(parameters, stored_parameters(case, row))


@each_case
def test_pytorch_moved_all_that_learns_and_nothing_else(case: dict[str, Any]) -> None:
    """So that no case agrees because nothing happens in it."""
    network = network_of(case)
    scale = network.rate_scale
    learns = network.layout.views(network.trainable_mask * (1.0 if scale is None else scale))
    start, after = stored_parameters(case, START), stored_parameters(case, AFTER_LAST)
    moved = {name for name in start if (start[name] != after[name]).any()}
    assert moved == {name for name, view in learns.items() if view.all()}


def test_the_stored_numbers_are_those_of_the_cases_in_the_script() -> None:
    assert STORED["cases"] == CASES, "run tests/tools/make_reference.py"
    assert STORED["cases_sha256"] == fingerprint(CASES)
    assert STORED["npz_sha256"] == hashlib.sha256((FOLDER / "torch.npz").read_bytes()).hexdigest()
    assert {key.partition(".")[0] for key in ARRAYS} == {case["name"] for case in CASES}


def test_the_stored_numbers_say_which_pytorch_made_them() -> None:
    assert {"torch", "numpy", "python"} <= STORED["made_with"].keys()
    assert int(STORED["made_with"]["torch"].partition(".")[0]) >= 2


def test_no_two_cases_have_the_same_name() -> None:
    names = [case["name"] for case in CASES]
    assert sorted(set(names)) == sorted(names)
