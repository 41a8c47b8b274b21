"""Damaged checkpoints: refused or harmless, whatever the damage; and which one is used instead."""

from __future__ import annotations

import itertools
import random
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import rig
from small_run import write_config

from bpcli.errors import RunError
from bpcli.runs.checkpoint import Checkpoint, load_checkpoint


@pytest.fixture
def checkpoint() -> Path:
    """last.npz of a run that has everything: scalers, a best epoch before the last, an optimizer's vectors."""
    config = write_config(output__keep=3)
    rig.run_ok("train", config, "--out", "begun", "--set", "training.epochs=4")
    return Path("begun/checkpoints/last.npz").absolute()


def contents(checkpoint: Checkpoint) -> Any:
    """All that is in a checkpoint, in a form that can be compared."""
    arrays = {
        (kind, name): (array.dtype.str, array.shape, array.tobytes())
        for kind in ("params", "vectors", "best")
        for name, array in getattr(checkpoint, kind).items()
    }
    return arrays, checkpoint.config, checkpoint.state, checkpoint.info, str(checkpoint.preparation)


def wrong_loads(blobs: Iterable[tuple[str, bytes]], whole: Any) -> tuple[int, int, list[str]]:
    """How many were tried and how many of them refused, and which loaded as something else than they had been."""
    path, tried, refused, wrong = Path("some.npz"), 0, 0, []
    for name, blob in blobs:
        tried += 1
        path.write_bytes(blob)
        try:
            got = contents(load_checkpoint(path))
        except RunError:
            refused += 1
        else:
            if got != whole:
                wrong.append(name)
    return tried, refused, wrong


def flipped(blob: bytes, bits: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    for bit in bits:
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit}", bytes(changed)


@pytest.mark.parametrize("share", [1500, pytest.param(1, marks=pytest.mark.faults)], ids=["some", "every"])
def test_a_flipped_bit_is_refused_or_harmless(share: int, checkpoint: Path, figure) -> None:
    blob, whole = checkpoint.read_bytes(), contents(load_checkpoint(checkpoint))
    bits = range(random.Random(share).randrange(share), 8 * len(blob), share)
    tried, refused, wrong = wrong_loads(flipped(blob, bits), whole)
    figure("6", "a flipped bit", f"{tried} bits of {8 * len(blob)}: {refused} refused, {len(wrong)} wrong loads")
    assert wrong == []
    assert refused > 0.8 * tried


@pytest.mark.parametrize("step", [151, pytest.param(1, marks=pytest.mark.faults)], ids=["some", "every"])
def test_a_cut_at_any_length_is_refused(step: int, checkpoint: Path, figure) -> None:
    blob, whole = checkpoint.read_bytes(), contents(load_checkpoint(checkpoint))
    cuts = ((f"{length} bytes", blob[:length]) for length in range(0, len(blob), step))
    tried, refused, wrong = wrong_loads(cuts, whole)
    figure("6", "a checkpoint cut", f"{tried} lengths of {len(blob)}: {refused} refused, {len(wrong)} wrong loads")
    assert refused == tried


STATES = ("whole", "damaged", "missing")
NEWEST_FIRST = ("last", "last-2", "last-3")
CHOICES = list(itertools.product(STATES, repeat=3))
EPOCH = dict(zip(NEWEST_FIRST, (4, 3, 2), strict=True))


def put(folder: Path, states: tuple[str, ...], harm: bytes | None) -> None:
    """Brings each of the checkpoints into its state; None cuts it short."""
    for name, state in zip(NEWEST_FIRST, states, strict=True):
        path = folder / "checkpoints" / f"{name}.npz"
        if state == "missing":
            path.unlink()
        elif state == "damaged":
            path.write_bytes(path.read_bytes()[:-1] if harm is None else harm)


@pytest.mark.parametrize(
    "choices",
    [CHOICES[1::4], pytest.param(CHOICES, marks=pytest.mark.faults)],
    ids=["some", "every"],
)
def test_the_newest_intact_checkpoint_is_chosen_and_the_user_notified(choices: list[tuple[str, ...]], figure) -> None:
    config = write_config(output__keep=3)
    rig.run_ok("train", config, "--out", "whole")
    rig.run_ok("train", config, "--out", "begun", "--set", "training.epochs=4")
    whole, settings = rig.outcome(Path("whole")), ("--set", "training.epochs=8")
    right, tried = 0, 0
    for states, harm in itertools.product(choices, (None, b"")):
        shutil.copytree("begun", "run")
        put(Path("run"), states, harm)
        result = rig.run("resume", "run", *settings)
        newest = next((name for name, state in zip(NEWEST_FIRST, states, strict=True) if state == "whole"), None)
        told = [name for name, state in zip(NEWEST_FIRST, states, strict=True) if state == "damaged"]
        if newest is not None:
            told = told[: sum(NEWEST_FIRST.index(name) < NEWEST_FIRST.index(newest) for name in told)]
            assert f"going on from epoch {EPOCH[newest]}" in result.err, (states, result.err)
        assert all(f"{name}.npz: damaged" in result.err for name in told), (states, result.err)
        assert result.code == (4 if newest is None and told else 0), (states, result.err)
        if result.code == 0:
            assert rig.outcome(Path("run")) == whole, states
        shutil.rmtree("run")
        tried += 1
        right += 1
    figure("7", "damaged and missing checkpoints", f"{right} / {tried} choices right")
