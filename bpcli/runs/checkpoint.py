"""Checkpoints: NumPy's npz without pickle, whole in themselves, and checked before anything in them is used.

Members: `meta`, a JSON text; `sha256`, the digest of that text; and the arrays, whose digests, shapes and types stand
in `meta`. Weights are stored by layer name (`dense_1.W`), so that numpy.load alone is enough to read them elsewhere.
What else there is has a folder (`optimizer/m`, `best/theta`, `x_scaler/shift`). A layer's name may hold a slash too, as
in `block1/dense.W`: what tells the two apart is the dot, which stands in every weight's name and in no other.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from bpcli.data.encoding import from_plain, to_plain
from bpcli.data.npz_file import read_array
from bpcli.data.preparation import Preparation
from bpcli.data.scaling import Scaler
from bpcli.engine.arrays import Array
from bpcli.engine.network import Network
from bpcli.engine.training.state import KINDS, Best, Snapshot, TrainState
from bpcli.errors import ConfigError, DataError, RunError
from bpcli.runs.environment import environment
from bpcli.runs.files import opened
from bpcli.runs.held import Write, write_atomically
from bpcli.runs.soundness import PREPARATION, check_metadata, check_sound, folder, is_weight

FORMAT = 1
# What reading an archive, JSON and the fields in it can meet where somebody else wrote them.
_DAMAGE = (
    ConfigError,
    DataError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    OSError,
    struct.error,
    zipfile.BadZipFile,
)


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
        with damage_is_a_run_error(self.path):
            return self._weights(network)

    def _weights(self, network: Network) -> tuple[Array, Array]:
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
        with damage_is_a_run_error(self.path):
            return self._restored(network, fresh)

    def _restored(self, network: Network, fresh: TrainState) -> TrainState:
        if set(self.vectors) != set(fresh.vectors):
            raise RunError(
                f"{self.path}: its optimizer has {sorted(self.vectors)}, the config's {sorted(fresh.vectors)}"
            )
        theta, stats = self.weights(network)
        arrays, like = {"theta": theta, "stats": stats, **self.vectors}, fresh.arrays()
        for name, array in [*self.vectors.items(), *self.best.items()]:
            if (array.shape, array.dtype) != (like[name].shape, like[name].dtype):
                raise ValueError(f"{name} has shape {array.shape} and type {array.dtype}")
        if len(self.state["noise"]) < len(fresh.noise):
            raise ValueError("it lacks a generator of noise")
        fields, best = dict(self.state), None
        if best_fields := dict(fields.pop("best") or {}):
            own = self.best or {name: array.copy() for name, array in arrays.items()}
            best = Best(best_fields.pop("value"), Snapshot(dict(own), best_fields))
        return TrainState.restored(arrays, fields, best)


def save_checkpoint(
    path: Path,
    network: Network,
    state: TrainState,
    *,
    config: Mapping[str, Any],
    preparation: Preparation,
    info: Mapping[str, Any],
    write: Callable[[Path, Write], None] = write_atomically,
) -> None:
    """Saves the state; a state that is its own best (`TrainState.at_best`) without the clock.

    So best.npz has the same bytes whenever the run is repeated, and whenever within it the file was written. `write` is
    how: a run's folder is written to by `HeldFolder.write`.

    Raises:
        DiskError: the file could not be written; the one before is still there.
    """
    best = state.best
    is_best = best is not None and best.snapshot.arrays["theta"] is state.theta
    arrays = network.layout.views(state.theta) | network.stats_layout.views(state.stats)
    arrays |= {f"optimizer/{name}": vector for name, vector in state.vectors.items()}
    if best is not None and not is_best:
        arrays |= {f"best/{name}": array for name, array in best.snapshot.arrays.items()}
    for name, scaler in (("x_scaler", preparation.x_scaler), ("y_scaler", preparation.y_scaler)):
        if scaler is not None:
            arrays |= {f"{name}/shift": scaler.shift, f"{name}/scale": scaler.scale}
    if preparation.fill is not None:
        arrays["fill/values"] = preparation.fill
    meta = {
        "format": FORMAT,
        "config": config,
        "preparation": _preparation_fields(preparation),
        "state": _state_fields(state, with_clock=not is_best),
        "info": {**info, "environment": environment()},
        "arrays": {name: _entry(array) for name, array in arrays.items()},
    }
    text = json.dumps(meta, allow_nan=False)
    members = {"meta": np.array(text), "sha256": np.array(hashlib.sha256(text.encode()).hexdigest()), **arrays}
    write(path, lambda file: _write_npz(file, members))


def _preparation_fields(preparation: Preparation) -> dict[str, Any]:
    """What of the preparation is no array; of what only some data have, what there is."""
    fields = {name: getattr(preparation, name) for name in PREPARATION}
    if preparation.columns is not None:
        fields["columns"] = [to_plain(column) for column in preparation.columns]
    if preparation.x_scaler is not None and preparation.x_scaler.clips:
        fields["x_clips"] = True
    return fields


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
    fields = {name: kind.save(getattr(state, name)) for name, kind in KINDS.items()}
    seconds = fields.pop("seconds")
    fields["best"] = state.best and _best_fields(state.best)
    return fields | ({"seconds": seconds} if with_clock else {})


def _best_fields(best: Best) -> dict[str, Any]:
    """In the order that the format has had from its beginning; what it does not name comes last."""
    fields = best.snapshot.fields
    first = ("epoch", "step", "shuffle", "noise", "memory", "scalars")
    return {"value": best.value, **{name: fields[name] for name in (*first, *fields)}}


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint, whole, and checks every digest before using anything.

    Raises:
        RunError: it is missing, cut, changed, or no checkpoint.
    """
    try:
        with opened(path) as (file, size), damage_is_a_run_error(path):
            return _read_checkpoint(path, file, size)
    except OSError as error:
        raise RunError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read_checkpoint(path: Path, file: IO[bytes], size: int) -> Checkpoint:
    members = _read_npz(file, size)
    text = str(members.pop("meta").item())
    digest = str(members.pop("sha256").item())
    if hashlib.sha256(text.encode()).hexdigest() != digest:
        raise ValueError("the digest of its metadata is another")
    meta = _parsed(text)
    if meta["format"] != FORMAT:
        raise RunError(f"{path}: has format {meta['format']!r:.20}, this version of bpcli reads format {FORMAT}")
    if {name: _entry(array) for name, array in members.items()} != meta["arrays"]:
        raise ValueError("the digest of an array is another")
    check_metadata(meta)
    check_sound(meta, members)
    return _checkpoint(path, meta, members)


@contextmanager
def damage_is_a_run_error(path: Path) -> Iterator[None]:
    """For using what is in a checkpoint: whatever somebody else may have written there ends in a RunError."""
    try:
        yield
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        reason = reason if reason.isprintable() else ascii(reason)
        raise RunError(f"{path}: damaged, or not a checkpoint of bpcli: {reason}") from error


def _parsed(text: str) -> dict[str, Any]:
    """The metadata; ValueError if they hold what is never written: NaN, infinity, half a surrogate pair."""
    meta: dict[str, Any] = json.loads(text, parse_constant=_refuse)
    if "\\ud" in text.lower():
        json.dumps(meta, ensure_ascii=False).encode()
    return meta


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"its metadata hold {constant}")


def _read_npz(file: IO[bytes], size: int) -> dict[str, Array]:
    """The arrays of a file of that many bytes, which are all theirs: a hole before them is not read."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len({member.filename for member in members}) != len(members):
            raise ValueError("a member stands in it twice")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("a member is compressed")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its members are larger than the file")
        if size > sum(member.file_size + 8 * len(member.filename) + 512 for member in members):
            raise ValueError("it holds more than its members")
        return {member.filename.removesuffix(".npy"): _read_member(archive, member) for member in members}


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    with archive.open(member) as stream:
        return read_array(stream, member.file_size, member.filename)


def _checkpoint(path: Path, meta: dict[str, Any], arrays: dict[str, Array]) -> Checkpoint:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in meta["preparation"].items()
    }
    clips = {"x_scaler": fields.pop("x_clips", False)}
    for name in ("x_scaler", "y_scaler"):
        if scaler := folder(arrays, name):
            fields[name] = Scaler(**scaler, clips=clips.get(name, False))
    if "columns" in fields:
        fields["columns"] = tuple(map(from_plain, fields["columns"]))
    fields["fill"] = arrays.get("fill/values")
    return Checkpoint(
        path=path,
        config=meta["config"],
        preparation=Preparation(**fields),
        params={name: array for name, array in arrays.items() if is_weight(name)},
        vectors=folder(arrays, "optimizer"),
        best=folder(arrays, "best"),
        state=meta["state"],
        info=meta["info"],
    )
