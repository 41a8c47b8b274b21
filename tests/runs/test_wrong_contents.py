"""Checkpoints with right digests and wrong contents, given to every command that takes a run.

Each field of the metadata and each array in turn becomes something else, and the digests are made to fit. The outcome
is a RunError, exit code 4, or a harmless one: the command ends well, or says that the data is not what the checkpoint
says of it, such as the name of a column.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bpcli
from bpcli.errors import DataError, RunError
from bpcli.runs.checkpoint import load_checkpoint
from bpcli.views.predictions import predictions_csv
from bpcli.views.scores import evaluation_json, evaluation_text
from bpcli.views.summary import summary_text
from bpcli.workflows.resume import resume_run
from bpcli.workflows.trained import TrainedModel

ROOT = Path(__file__).parents[2]
LAYERS = (
    "network={layers: [{type: dense, units: 3, activation: tanh}, batch_norm, {type: dropout, rate: 0.3}, "
    "{type: dense, units: 3}]}"
)
# Runs with nearly all that a checkpoint can hold, in one or another: config, data, overrides
RUNS = {
    "classes": (
        "iris.yaml",
        "iris.csv",
        (
            "training.epochs=3",
            LAYERS,
            "optimizer=adam",
            "data.missing=mean",
            "data.class_weights=balanced",
            "training.early_stopping={monitor: val_loss, patience: 5}",
            "schedule=reduce_on_plateau",
        ),
    ),
    "numbers": (
        "diabetes.yaml",
        "diabetes.csv",
        (
            "training.epochs=3",
            "optimizer=lbfgs",
            "schedule=null",
            "training.batch_size=full",
            "training.clip_norm=null",
            "data.scale=standard",
        ),
    ),
    "columns": (
        "iris.yaml",
        "iris.csv",
        (
            "training.epochs=3",
            "network.layers=[auto, 3, auto]",
            "data.columns={petal_width: category, sepal_width: {kind: number, missing: median, indicator: true}}",
            "data.scale=robust",
        ),
    ),
}
DELETED, GROWN = object(), object()
DEEP: list[Any] = []
for _ in range(500):
    DEEP = [DEEP]
WRONG = [
    DELETED,
    GROWN,
    None,
    True,
    0,
    1,
    -1,
    2**63,
    2**70,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "\ud800",
    "a\0b",
    [],
    [1],
    {},
    {"a": 1},
    [[]],
    ["a"] * 5,
    [0.5] * 3,
    DEEP,
]


def evaluate(run: Path, data: Path, which: str) -> None:
    model = TrainedModel.load(run, which=which)
    result = model.evaluate()
    evaluation_text(model, result).encode()
    evaluation_json(model, result)


def predict(run: Path, data: Path, which: str) -> None:
    predictions_csv(TrainedModel.load(run, which=which).predict_file(data)).encode()


def summarise(run: Path, data: Path, which: str) -> None:
    model = TrainedModel.load(run, which=which).model
    summary_text(model.network, model.config).encode()


def resume(run: Path, data: Path, which: str) -> None:
    shutil.rmtree("resumed", ignore_errors=True)
    shutil.copytree(run, "resumed")
    path = Path("resumed") if which == "last" else Path("resumed/checkpoints/best.npz")
    resume_run(path, ["training.epochs=4"], threads=1)


COMMANDS = [evaluate, predict, summarise, resume]


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that holds last.npz and best.npz, and the file it was trained on."""
    config, data, overrides = RUNS[request.param]
    folder = tmp_path_factory.mktemp("wrong") / "run"
    bpcli.train(ROOT / "configs" / config, overrides, out=folder)
    for older in (folder / "checkpoints").glob("last-*.npz"):
        older.unlink()
    return folder, ROOT / "datasets" / data


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def npy(array: Any) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(array), allow_pickle=False)
    return out.getvalue()


def members_of(path: Path) -> tuple[dict[str, bytes], Any]:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return members, json.loads(str(np.load(io.BytesIO(members["meta.npy"])).item()))


def write(path: Path, members: dict[str, bytes], meta: Any) -> None:
    text = json.dumps(meta)
    members = {**members, "meta.npy": npy(np.array(text))}
    members["sha256.npy"] = npy(np.array(hashlib.sha256(text.encode()).hexdigest()))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def keys_of(value: Any, key: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in the tree; of a list the first two items."""
    if key:
        yield key
    items = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for step, item in items:
        yield from keys_of(item, (*key, step))


def changed(meta: Any, key: tuple[Any, ...], value: Any) -> Any:
    """The metadata with another value there; taken out, or a little longer or larger."""
    meta = parent = copy.deepcopy(meta)
    for step in key[:-1]:
        parent = parent[step]
    old, last = parent[key[-1]], key[-1]
    if value is DELETED:
        del parent[last]
    elif value is not GROWN:
        parent[last] = value
    elif isinstance(old, dict):
        old["extra"] = 1
    elif isinstance(old, list):
        old.append(old[0] if old else 1)
    else:
        parent[last] = old + "x" if isinstance(old, str) else (old or 0) + 1
    return meta


def other_arrays(array: np.ndarray) -> list[np.ndarray]:
    kinds = [array.astype(kind) for kind in ("f8", "f4", "i8", "U5", "?", ">f8")]
    flat = array.ravel()
    shapes = [flat[:1], np.append(flat, 0).astype(array.dtype), array[None], np.array(1, array.dtype)]
    return [*kinds, *shapes, *(np.full_like(array, value) for value in (np.nan, np.inf, 0))]


def harmless(command: Any, run: tuple[Path, Path], which: str) -> str | None:
    """None, or what went wrong: anything but a RunError, or a DataError of data that is not as the checkpoint says."""
    try:
        command(*run, which)
    except (RunError, DataError):
        return None
    except Exception as error:
        return repr(error)
    return None


def sweep(run: tuple[Path, Path], which: str, *, every: int) -> tuple[int, list[str]]:
    """How many commands were given wrong contents, and what went wrong. every: only each so many-th of all."""
    path = run[0] / "checkpoints" / f"{which}.npz"
    original = path.read_bytes()
    members, meta = members_of(path)
    tried, wrong = 0, []
    try:
        cases: list[tuple[Any, Any, Any]] = list(product(keys_of(meta), WRONG, COMMANDS))
        for key, value, command in cases[::every]:
            write(path, members, changed(meta, key, value))
            tried += 1
            if found := harmless(command, run, which):
                wrong.append(f"{command.__name__} {key} {str(value)[:30]!r}: {found}")
        names = [name for name in members if name not in ("meta.npy", "sha256.npy")]
        arrays = [(name, a) for name in names for a in other_arrays(np.load(io.BytesIO(members[name])))]
        arrays += [
            (f"{name}.npy", np.zeros(3)) for name in ("x_scaler/other", "fill/values", "optimizer/a", "z", "z.W")
        ]
        for (name, array), command in list(product(arrays, COMMANDS))[::every]:
            entry = {
                "shape": list(array.shape),
                "dtype": array.dtype.str,
                "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
            }
            whole = {**meta, "arrays": {**meta["arrays"], name.removesuffix(".npy"): entry}}
            write(path, {**members, name: npy(array)}, whole)
            tried += 1
            if found := harmless(command, run, which):
                wrong.append(f"{command.__name__} {name} {array.dtype}{array.shape}: {found}")
    finally:
        path.write_bytes(original)
    return tried, wrong


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("which", ["last", "best"])
def test_wrong_contents_under_right_digests_are_refused_or_harmless(run, which):
    tried, wrong = sweep(run, which, every=199)
    assert tried > 50
    assert wrong == []


@pytest.mark.long
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("which", ["last", "best"])
def test_thousands_of_wrong_contents_in_every_command(run, which, record_property):
    tried, wrong = sweep(run, which, every=7)
    record_property("tried", tried)
    assert wrong == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("info", "data"), None),
        (("info", "stop"), 3),
        (("info", "environment"), {"numpy": 2}),
        (("config",), {}),
        (("config", "training"), None),
        (("preparation", "target_names"), ["\ud800"]),
        (("preparation", "in_shape"), []),
        (("preparation", "feature_names"), ["a"]),
        (("preparation", "target_width"), 2),
        (("state", "loss_sum"), float("nan")),
        (("state", "stall_value"), float("inf")),
        (("state", "shuffle"), {}),
        (("state", "shuffle", "state", "state"), -1),
        (("state", "best", "shuffle"), {"bit_generator": "MT19937"}),
    ],
    ids=lambda item: ".".join(item) if isinstance(item, tuple) else ascii(item)[:20],
)
def test_a_field_that_is_not_what_was_saved_is_refused_by_every_command(run, key, value):
    path = run[0] / "checkpoints" / "last.npz"
    original = path.read_bytes()
    members, meta = members_of(path)
    write(path, members, changed(meta, key, value))
    try:
        for command in COMMANDS:
            with pytest.raises(RunError, match=r"last\.npz: damaged"):
                command(*run, "last")
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_constants_that_are_no_json_are_refused_wherever_they_stand(run, constant):
    path = run[0] / "checkpoints" / "last.npz"
    original = path.read_bytes()
    members, meta = members_of(path)
    write(path, members, changed(meta, ("config", "training", "goal"), float(constant)))
    try:
        with pytest.raises(RunError, match=rf"last\.npz: damaged.*its metadata hold {constant}"):
            load_checkpoint(path)
    finally:
        path.write_bytes(original)


def test_a_lack_of_memory_in_reading_is_no_damage(run, monkeypatch):
    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr("bpcli.runs.checkpoint.read_array", no_memory)
    with pytest.raises(MemoryError):
        load_checkpoint(run[0] / "checkpoints" / "last.npz")
