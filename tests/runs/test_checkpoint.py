"""Checkpoints: whole in themselves, readable without bpcli, and refused when a single bit is not as it was."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

import bpcli
from bpcli.errors import DiskError, RunError
from bpcli.runs.checkpoint import load_checkpoint
from bpcli.runs.held import write_text


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    """best.npz and last.npz of a small run, as bytes."""
    config = Path(__file__).parents[2] / "configs" / "iris.yaml"
    overrides = ["training.epochs=3", "network.layers=[4, 2, 3]"]
    folder = bpcli.train(config, overrides, out=tmp_path_factory.mktemp("runs") / "run").folder / "checkpoints"
    return {name: (folder / f"{name}.npz").read_bytes() for name in ("best", "last")}


@pytest.fixture
def load(tmp_path):
    """`load(content)`: those bytes read as a checkpoint."""

    def call(content):
        path = tmp_path / "some.npz"
        path.write_bytes(content)
        return load_checkpoint(path)

    return call


def contents(checkpoint):
    """All that is in a checkpoint, in a form that can be compared."""
    arrays = {
        f"{kind}/{name}": (array.shape, array.tobytes())
        for kind in ("params", "vectors", "best")
        for name, array in getattr(checkpoint, kind).items()
    }
    return arrays, checkpoint.config, checkpoint.state, checkpoint.info, str(checkpoint.preparation)


@pytest.mark.parametrize("name", ["best", "last"])
def test_numpy_alone_reads_weights_by_layer_name(blobs, name):
    with np.load(io.BytesIO(blobs[name]), allow_pickle=False) as arrays:
        assert arrays["dense_1.W"].shape == (2, 4)
        assert arrays["dense_1.b"].shape == (2,)
        assert arrays["dense_2.W"].shape == (3, 2)
        assert arrays["dense_1.W"].dtype == np.float32


@pytest.mark.parametrize("name", ["best", "last"])
def test_holds_all_that_a_prediction_needs(load, blobs, name):
    checkpoint = load(blobs[name])
    assert checkpoint.preparation.classes == ("setosa", "versicolor", "virginica")
    assert len(checkpoint.preparation.feature_names) == 4
    assert checkpoint.preparation.x_scaler is not None
    assert checkpoint.config["network"]["layers"] == [4, 2, 3]


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_cut_at_any_length_is_refused(load, blobs, name):
    blob = blobs[name]
    for length in {*range(0, len(blob), 97), *range(len(blob) - 30, len(blob))}:
        with pytest.raises(RunError, match="damaged"):
            load(blob[:length])


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_flipped_bit_anywhere_is_refused_or_harmless(load, blobs, name):
    blob = blobs[name]
    whole = contents(load(blob))
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.choice(len(blob), 400, replace=False):
        changed = bytearray(blob)
        changed[place] ^= 1 << int(rng.integers(8))
        try:
            got = contents(load(bytes(changed)))
        except RunError:
            refused += 1
        else:
            assert got == whole
    assert refused > 300


def rewritten(blob, change):
    """The archive with its members (name -> bytes) changed by a function."""
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def npy(array, **options):
    out = io.BytesIO()
    np.save(out, array, **options)
    return out.getvalue()


def npy_that_claims(shape, body=b"", start="{'descr': '<f4', "):
    """An npy file whose header may lie or be broken."""
    head = f"{start}'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + body


def resealed(change):
    """A change of the metadata, made with the digest that fits them."""

    def apply(members):
        meta = json.loads(np.load(io.BytesIO(members["meta.npy"])).item())
        change(meta)
        text = json.dumps(meta)
        members["meta.npy"] = npy(np.array(text))
        members["sha256.npy"] = npy(np.array(hashlib.sha256(text.encode()).hexdigest()))

    return apply


def later_epoch(members):
    """Metadata of the right form that say something else."""
    meta = json.loads(np.load(io.BytesIO(members["meta.npy"])).item())
    meta["state"]["epoch"] += 1
    members["meta.npy"] = npy(np.array(json.dumps(meta)))


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.pop("dense_1.b.npy"),
        lambda members: members.pop("meta.npy"),
        lambda members: members.pop("sha256.npy"),
        lambda members: members.update({"extra.npy": npy(np.zeros(3))}),
        lambda members: members.update({"dense_1.b.npy": npy(np.zeros(2, np.float32))}),
        lambda members: members.update({"dense_1.b.npy": npy(np.zeros(2, np.float64))}),
        lambda members: members.update({"meta.npy": npy(np.array("{}"))}),
        later_epoch,
    ],
    ids=[
        "one missing",
        "no meta",
        "no digest",
        "one too many",
        "other numbers",
        "another type",
        "no metadata",
        "other metadata",
    ],
)
def test_members_that_are_not_those_that_were_saved_are_refused(load, blobs, change):
    with pytest.raises(RunError, match=r"some\.npz: damaged"):
        load(rewritten(blobs["last"], change))


def test_a_member_that_stands_there_twice_is_refused(load, blobs):
    out = io.BytesIO(blobs["last"])
    with zipfile.ZipFile(out, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("dense_1.b.npy", archive.read("dense_1.b.npy"))
    with pytest.raises(RunError, match="stands in it twice"):
        load(out.getvalue())


def test_a_compressed_member_is_refused_before_it_is_read(load, blobs):
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(blobs["last"])) as archive, zipfile.ZipFile(out, "w") as packed:
        for name in archive.namelist():
            packed.writestr(name, archive.read(name), compress_type=zipfile.ZIP_DEFLATED)
    with pytest.raises(RunError, match="is compressed"):
        load(out.getvalue())


@pytest.mark.parametrize(
    "content",
    [
        npy_that_claims("(2,", start="{'descr': ("),
        npy_that_claims("(2,)", start="{'descr': '<f4', " + "(" * 3000),
        npy_that_claims(f"({2**40},)", bytes(8)),
        npy_that_claims(f"({10**18}, {10**18})", bytes(8)),
        npy_that_claims("(-2,)", bytes(8)),
        npy_that_claims(f"({2**62},)", start="{'descr': '<U0', "),
        b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(64),
    ],
    ids=["never closed", "deep", "4 TB", "astronomic", "negative", "texts of no size", "header of 4 GB"],
)
def test_an_array_whose_header_lies_is_refused(load, blobs, content):
    with pytest.raises(RunError, match=r"some\.npz: damaged"):
        load(rewritten(blobs["last"], lambda members: members.update({"dense_1.b.npy": content})))


def test_members_that_share_their_bytes_are_refused(load, blobs):
    """An archive can name the same bytes a thousand times and so hold far more than it is long."""
    blob = bytearray(blobs["last"])
    with zipfile.ZipFile(io.BytesIO(blobs["last"])) as archive:
        member = archive.infolist()[0]
    at = blob.index(b"PK\1\2")
    blob[at + 24 : at + 28] = (len(blob) + 1).to_bytes(4, "little")  # the size of the first one, as it is claimed
    assert member.file_size < len(blob)
    with pytest.raises(RunError, match="its members are larger than the file"):
        load(bytes(blob))


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta.update(config=3),
        lambda meta: meta.update(state=[]),
        lambda meta: meta.update(extra=1),
        lambda meta: meta["preparation"].update(in_shape=None),
        lambda meta: meta["preparation"].update(classes=[1, 2, 3]),
        lambda meta: meta["preparation"].pop("task"),
        lambda meta: meta["state"].update(epoch=-1),
        lambda meta: meta["state"].update(step="7"),
        lambda meta: meta["state"].update(theta=[]),
        lambda meta: meta["state"].pop("noise"),
        lambda meta: meta["state"]["best"].pop("value"),
    ],
    ids=["config", "state", "more", "in_shape", "classes", "task", "epoch", "step", "theta", "noise", "best"],
)
def test_metadata_of_another_form_are_refused_though_their_digest_fits(load, blobs, change):
    with pytest.raises(RunError, match=r"some\.npz: damaged"):
        load(rewritten(blobs["last"], resealed(change)))


def test_rewriting_without_a_change_is_harmless(load, blobs):
    assert contents(load(rewritten(blobs["last"], lambda members: None))) == contents(load(blobs["last"]))


class Pickled:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return (open, ("unpickled", "w"))


@pytest.mark.parametrize("name", ["meta.npy", "dense_1.W.npy", "extra.npy"])
def test_nothing_is_ever_unpickled(load, blobs, name):
    evil = npy(np.array([Pickled()], dtype=object), allow_pickle=True)
    with pytest.raises(RunError):
        load(rewritten(blobs["last"], lambda members: members.update({name: evil})))
    assert not Path("unpickled").exists()


def test_a_bare_pickle_is_refused(load):
    with pytest.raises(RunError):
        load(pickle.dumps(Pickled()))
    assert not Path("unpickled").exists()


def test_a_hole_before_the_members_is_not_read(load, blobs):
    with pytest.raises(RunError, match="it holds more than its members"):
        load(bytes(1 << 20) + blobs["last"])


def test_another_format_says_so(load, blobs):
    def newer(members):
        meta = json.loads(np.load(io.BytesIO(members["meta.npy"])).item())
        text = json.dumps({**meta, "format": 2})
        members["meta.npy"] = npy(np.array(text))
        members["sha256.npy"] = npy(np.array(hashlib.sha256(text.encode()).hexdigest()))

    with pytest.raises(RunError, match="has format 2, this version of bpcli reads format 1"):
        load(rewritten(blobs["last"], newer))


@pytest.mark.parametrize("path", ["nothing.npz", "."])
def test_what_cannot_be_read_is_refused(path):
    with pytest.raises(RunError, match="cannot be read"):
        load_checkpoint(Path(path))


# files


@pytest.fixture
def calls(monkeypatch):
    """What is asked of the operating system, in order."""
    made = []
    fsync, replace = os.fsync, os.replace

    def kind(descriptor):
        return "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"  # noqa: PTH112

    monkeypatch.setattr(os, "fsync", lambda fd: (made.append(f"fsync {kind(fd)}"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *names, **folders: (made.append("rename"), replace(*names, **folders)))
    return made


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells folders by /proc")
def test_a_save_is_flushed_renamed_and_its_folder_flushed(calls):
    write_text(Path("a.txt"), "new")
    assert calls == ["fsync file", "rename", "fsync folder"]


@pytest.mark.parametrize("broken", ["fsync", "write"])
def test_a_failed_save_leaves_the_old_file(monkeypatch, broken):
    write_text(Path("a.txt"), "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    if broken == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr("bpcli.runs.held.void", fail)
    with pytest.raises(DiskError, match=r"cannot write a\.txt: No space left on device"):
        write_text(Path("a.txt"), "new")
    assert [path.name for path in Path().iterdir()] == ["a.txt"]
    assert Path("a.txt").read_text() == "old"
