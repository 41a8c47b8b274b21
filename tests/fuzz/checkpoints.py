"""Checkpoints: read, checked, and used as predicting and resuming do."""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import bpcli
from bpcli.engine.training.state import TrainState
from bpcli.runs.checkpoint import Checkpoint, load_checkpoint
from bpcli.workflows.trained import TrainedModel
from fuzz.arrays import archive_changed, archive_of, mutated_npy, npy

NAME = "last.npz"
CONFIG = Path(__file__).parents[2] / "configs" / "iris.yaml"
VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**70,
    0.5,
    1e308,
    "",
    "x",
    "nan",
    "float32",
    [],
    [1],
    {},
    {"a": 1},
    [[]],
    ["a"] * 5,
]


@functools.cache
def seeds() -> tuple[tuple[bytes, Mapping[str, bytes]], ...]:
    """best.npz and last.npz of a small run, each with its members."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = ["training.epochs=2", "network.layers=[4, 2, 3]"]
        run = bpcli.train(CONFIG, overrides, out=Path(folder) / "run").folder / "checkpoints"
        blobs = [(run / name).read_bytes() for name in ("best.npz", "last.npz")]
    return tuple((blob, members_of(blob)) for blob in blobs)


def members_of(blob: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def mutated(rng: Random) -> bytes:
    """Bytes or the archive changed; or its metadata, arrays and members, with the digests made to fit again in most."""
    blob, members = rng.choice(seeds())
    if rng.random() < 0.5:
        return archive_changed(rng, blob)
    members = dict(members)
    meta = json.loads(str(np.load(io.BytesIO(members["meta.npy"])).item()))
    for _ in range(rng.randint(1, 2)):
        change(rng, members, meta)
    if rng.random() < 0.85:
        text = json.dumps(meta)
        members["meta.npy"], digest = npy(np.array(text)), hashlib.sha256(text.encode()).hexdigest()
        members["sha256.npy"] = npy(np.array(digest))
    content = archive_of(list(members.items()))
    return content if rng.random() < 0.9 else archive_changed(rng, content)


def change(rng: Random, members: dict[str, bytes], meta: Any) -> None:
    """One change of a value in the metadata, or of an array, whose entry in the metadata then mostly fits."""
    if rng.random() < 0.7:
        change_value(rng, meta)
        return
    name = rng.choice(sorted(members))
    match rng.randrange(4):
        case 0:
            members[name] = mutated_npy(rng)
        case 1:
            del members[name]
        case _:
            array = rng.choice(
                [np.zeros(2), np.zeros((2, 4), "f4"), np.array("x"), np.array(3), np.full((2, 4), np.nan, "f4")]
            )
            name = rng.choice((name, "extra.npy", "optimizer/m.npy", "best/theta.npy", "x_scaler/shift.npy"))
            members[name] = npy(array)
            digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            entry = {"shape": list(array.shape), "dtype": array.dtype.str, "sha256": digest}
            if isinstance(meta, dict) and isinstance(meta.get("arrays"), dict):
                meta["arrays"][name.removesuffix(".npy")] = entry


def change_value(rng: Random, meta: Any) -> None:
    """A value somewhere in the tree becomes another one, is taken out, or gets a neighbour."""
    parent: Any = meta
    while True:
        keys = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        if not keys:
            return
        key = rng.choice(keys)
        if not isinstance(parent[key], dict | list) or rng.random() < 0.15:
            break
        parent = parent[key]
    match rng.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, dict):
            parent[rng.choice(("extra", "theta", "type", "dtype"))] = copy.deepcopy(rng.choice(VALUES))
        case 2 if isinstance(parent[key], int):
            parent[key] += rng.choice((1, -1, 100))
        case _:
            parent[key] = copy.deepcopy(rng.choice(VALUES))


def read(path: Path, content: bytes) -> None:
    """Loaded; if its metadata are no seed's, also bound to its config's network and made a state to go on from.

    What has the metadata of a seed, and so its digests, holds what the seed holds.
    """
    path.write_bytes(content)
    checkpoint = load_checkpoint(path)
    sound = sound_ones().get(text_of(path))
    if sound is not None:
        assert arrays_of(checkpoint) == arrays_of(sound), "other arrays under the same metadata"
        return
    model = TrainedModel(checkpoint, None)
    config = model.file.config
    fresh = TrainState.start(model.model.network, config.optimizer, seed=config.seed, dtype=config.dtype)
    checkpoint.restore(model.model.network, fresh)


def text_of(path: Path) -> str:
    with np.load(path, allow_pickle=False) as arrays:
        return str(arrays["meta"].item())


@functools.cache
def sound_ones() -> dict[str, Checkpoint]:
    """The seeds by their metadata."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (blob, _) in enumerate(seeds()):
            path = Path(folder) / f"{number}.npz"
            path.write_bytes(blob)
            found[text_of(path)] = load_checkpoint(path)
    return found


def arrays_of(checkpoint: Checkpoint) -> dict[str, tuple[tuple[int, ...], bytes]]:
    return {
        f"{kind}/{name}": (array.shape, array.tobytes())
        for kind in ("params", "vectors", "best")
        for name, array in getattr(checkpoint, kind).items()
    }
