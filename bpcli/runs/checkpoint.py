"""Checkpoints: NumPy's npz without pickle, whole in themselves, and checked before anything in them is used.

Members: `meta`, a JSON text; `sha256`, the digest of that text; and the arrays, whose digests, shapes and types stand
in `meta`. Weights are stored by layer name (`dense_1.W`), so that numpy.load alone is enough to read them elsewhere.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from bpcli.data.preparation import Preparation
from bpcli.data.scaling import Scaler
from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.state import Best, TrainState, generator_at
from bpcli.errors import RunError
from bpcli.runs.environment import environment
from bpcli.runs.files import write_atomically

FORMAT = 1
PREPARATION_FIELDS = (
    "task",
    "in_shape",
    "byte_input",
    "feature_names",
    "target_names",
    "classes",
    "target_width",
    "class_weights",
)
STATE_FIELDS = (
    "epoch",
    "step",
    "position",
    "loss_sum",
    "shuffle_before",
    "stall_value",
    "stall_epoch",
    "memory",
    "scalars",
)
BEST_FIELDS = ("value", "epoch", "step", "shuffle", "noise", "memory", "scalars", "stall_value", "stall_epoch")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a checkpoint file holds.

    config: plain values. params: by layer name. vectors: the optimizer's, each as long as theta. best: theta and
    vectors of the best epoch, by the same names. info: the data's hashes, the environment, why training stopped.
    """

    path: Path
    config: Mapping[str, Any]
    preparation: Preparation
    params: Mapping[str, Array]
    vectors: Mapping[str, Array]
    best: Mapping[str, Array]
    state: Mapping[str, Any]
    info: Mapping[str, Any]

    def weights(self, network: Network) -> tuple[Array, Array]:
        """The flat vectors theta and stats for the network of this checkpoint's config.

        Raises:
            RunError: the stored arrays are those of another network.
        """
        shapes = {name: array.shape for name, array in self.params.items()}
        expected = network.layout.shapes() | network.stats_layout.shapes()
        if shapes != expected:
            raise RunError(f"{self.path}: its weights {shapes} are not those of its network {expected}")
        dtype = str(self.config["dtype"])
        theta, stats = np.empty(network.layout.size, dtype), np.empty(network.stats_layout.size, dtype)
        for name, view in (network.layout.views(theta) | network.stats_layout.views(stats)).items():
            np.copyto(view, self.params[name])
        return theta, stats

    def restore(self, network: Network, fresh: TrainState) -> TrainState:
        """The state as it was saved. `fresh` is a new state of the same network and optimizer, to compare with.

        Raises:
            RunError: the stored arrays do not fit.
        """
        if set(self.vectors) != set(fresh.vectors):
            raise RunError(
                f"{self.path}: its optimizer has {sorted(self.vectors)}, the config's {sorted(fresh.vectors)}"
            )
        theta, stats = self.weights(network)
        vectors, fields = dict(self.vectors), dict(self.state)
        shuffle = generator_at(fields.pop("shuffle"))
        noise = [generator_at(state) for state in fields.pop("noise")]
        best_fields, best = fields.pop("best"), None
        if best_fields is not None:
            own = self.best or {
                name: array.copy() for name, array in {"theta": theta, "stats": stats, **vectors}.items()
            }
            best_vectors = {name: own[name] for name in vectors}
            best = Best(**best_fields, theta=own["theta"], stats=own["stats"], vectors=best_vectors)
        return TrainState(theta=theta, stats=stats, vectors=vectors, shuffle=shuffle, noise=noise, best=best, **fields)


def save_checkpoint(
    path: Path,
    network: Network,
    state: TrainState,
    *,
    config: Mapping[str, Any],
    preparation: Preparation,
    info: Mapping[str, Any],
) -> None:
    """Saves the state; a state that is its own best (`TrainState.at_best`) without the clock.

    So best.npz has the same bytes whenever the run is repeated, and whenever within it the file was written.

    Raises:
        DiskError: the file could not be written; the one before is still there.
    """
    best = state.best
    is_best = best is not None and best.theta is state.theta
    arrays = network.layout.views(state.theta) | network.stats_layout.views(state.stats)
    arrays |= {f"optimizer/{name}": vector for name, vector in state.vectors.items()}
    if best is not None and not is_best:
        arrays |= {"best/theta": best.theta, "best/stats": best.stats}
        arrays |= {f"best/{name}": vector for name, vector in best.vectors.items()}
    for name, scaler in (("x_scaler", preparation.x_scaler), ("y_scaler", preparation.y_scaler)):
        if scaler is not None:
            arrays |= {f"{name}/shift": scaler.shift, f"{name}/scale": scaler.scale}
    if preparation.fill is not None:
        arrays["fill/values"] = preparation.fill
    meta = {
        "format": FORMAT,
        "config": config,
        "preparation": {name: getattr(preparation, name) for name in PREPARATION_FIELDS},
        "state": _state_fields(state, with_clock=not is_best),
        "info": {**info, "environment": environment()},
        "arrays": {name: _entry(array) for name, array in arrays.items()},
    }
    text = json.dumps(meta, allow_nan=False)
    members = {"meta": np.array(text), "sha256": np.array(hashlib.sha256(text.encode()).hexdigest()), **arrays}
    write_atomically(path, lambda file: _write_npz(file, members))


def _write_npz(file: IO[bytes], members: Mapping[str, Array]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            # a fixed time of day: equal contents give equal bytes
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def _entry(array: Array) -> dict[str, Any]:
    return {"shape": list(array.shape), "dtype": array.dtype.str, "sha256": _digest(array)}


def _digest(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _state_fields(state: TrainState, *, with_clock: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(state, name) for name in STATE_FIELDS}
    fields["shuffle"] = state.shuffle.bit_generator.state
    fields["noise"] = [generator.bit_generator.state for generator in state.noise]
    fields["best"] = state.best and {name: getattr(state.best, name) for name in BEST_FIELDS}
    return fields | ({"seconds": state.seconds} if with_clock else {})


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint, whole, and checks every digest before using anything.

    Raises:
        RunError: it is missing, cut, changed, or no checkpoint.
    """
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        members = _read_npz(blob)
        text = str(members.pop("meta").item())
        digest = str(members.pop("sha256").item())
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            raise ValueError("the digest of its metadata is another")
        meta = json.loads(text)
        if meta["format"] != FORMAT:
            raise RunError(f"{path}: has format {meta['format']}, this version of bpcli reads format {FORMAT}")
        if {name: _entry(array) for name, array in members.items()} != meta["arrays"]:
            raise ValueError("the digest of an array is another")
        return _checkpoint(path, meta, members)
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, RuntimeError, OSError) as error:
        raise RunError(f"{path}: damaged, or not a checkpoint of bpcli: {error}") from error


def _read_npz(blob: bytes) -> dict[str, Array]:
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        names = archive.namelist()
        if len(set(names)) != len(names):
            raise ValueError("a member stands in it twice")
        if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
            raise ValueError("a member is compressed")
        return {
            name.removesuffix(".npy"): np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
            for name in names
        }


def _checkpoint(path: Path, meta: dict[str, Any], arrays: dict[str, Array]) -> Checkpoint:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in meta["preparation"].items()
    }
    for name in ("x_scaler", "y_scaler"):
        if scaler := _folder(arrays, name):
            fields[name] = Scaler(**scaler)
    fields["fill"] = arrays.get("fill/values")
    return Checkpoint(
        path=path,
        config=meta["config"],
        preparation=Preparation(**fields),
        params={name: array for name, array in arrays.items() if "/" not in name},
        vectors=_folder(arrays, "optimizer"),
        best=_folder(arrays, "best"),
        state=meta["state"],
        info=meta["info"],
    )


def _folder(arrays: Mapping[str, Array], folder: str) -> dict[str, Array]:
    """The arrays named folder/NAME, by NAME."""
    return {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith(f"{folder}/")}
