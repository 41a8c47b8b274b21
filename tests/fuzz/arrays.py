"""npy files, and npz files as zip archives of them."""

from __future__ import annotations

import io
import warnings
import zipfile
from pathlib import Path
from random import Random

import numpy as np

from bpcli.data.read import read as read_source
from bpcli.data.types import RawData, Source
from fuzz.mutate import bytes_changed, mostly_as_it_is

X = np.arange(12, dtype=np.float32).reshape(4, 3)
Y = np.array([0, 1, 1, 0])
TYPES = [
    "<f4",
    "<f8",
    ">f8",
    "<f2",
    "<f16",
    "|u1",
    "|b1",
    "<i8",
    ">i4",
    "<U3",
    "|S3",
    "<c16",
    "<M8[s]",
    "|O",
    "|V0",
    "|V8",
    "<U0",
]
DESCRS = [*TYPES, "f4,i4", "", "x", "__import__('os')", "(" * 500, "1" * 500, "<f999", "<U999999999"]
SHAPES = [
    "(4, 3)",
    "(4,)",
    "(12,)",
    "()",
    "(0,)",
    "(4, 0)",
    "(-1,)",
    "(True, 4)",
    "(4, 3, 1)",
    "(4",
    "[4, 3]",
    "{'a': 1}",
]
SHAPES += [f"({10**18}, {10**18})", f"({2**31},)", f"({2**63},)", "(1.0,)", "('4',)", "(4, (3,))", "None"]


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


SEEDS = [npy(X), npy(Y), npy(np.array(["a", "b", "c", "d"])), npy(np.asfortranarray(X)), npy(X.astype("?"))]


def mutated_npy(rng: Random) -> bytes:
    """A sound array with bytes changed, or a header of our own before a body that may fit it."""
    if rng.random() < 0.4:
        return bytes_changed(rng, rng.choice(SEEDS))
    descr, shape = (
        rng.choice(TYPES[:9] if rng.random() < 0.5 else DESCRS),
        rng.choice(SHAPES[:3] if rng.random() < 0.5 else SHAPES),
    )
    head = f"{{'descr': {descr!r}, 'fortran_order': {rng.choice(('False', 'True', '2'))}, 'shape': {shape}, }}"
    if rng.random() < 0.1:
        head = bytes_changed(rng, head.encode()).decode("latin-1")
    body = (
        rng.randbytes(rng.choice((0, 12, 16, 32, 48, 96, 192)))
        if rng.random() < 0.5
        else bytes(rng.choice((4, 12, 32, 48, 96)))
    )
    version, width = rng.choice(((1, 2), (1, 2), (1, 2), (2, 4), (3, 4), (7, 2)))
    length = len(head) + 1 if rng.random() < 0.9 else rng.choice((0, 1, 10_001, 65_535))
    return mostly_as_it_is(
        rng, b"\x93NUMPY" + bytes([version, 0]) + length.to_bytes(width, "little") + head.encode() + b"\n" + body
    )


def mutated_npz(rng: Random) -> bytes:
    """An archive of members, sound or not, missing, doubled or further ones, with fields of the directory changed."""
    members = [["x.npy", npy(X)], ["y.npy", npy(Y)]]
    for _ in range(rng.randint(0, 2)):
        match rng.randrange(5):
            case 0:
                rng.choice(members)[1] = mutated_npy(rng)
            case 1 if len(members) > 1:
                del members[rng.randrange(len(members))]
            case 2:
                members.append([rng.choice(("x.npy", "y.npy", "z.npy", "x", "../x.npy", "")), rng.choice(SEEDS)])
            case 3:
                rng.choice(members)[0] = rng.choice(("X.npy", "y", "ü.npy", "x.npy/", "a" * 300))
            case _:
                rng.choice(members)[1] = rng.choice(SEEDS)
    method = rng.choice(
        (zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
    )
    return archive_changed(rng, archive_of([(name, content) for name, content in members], method))


def archive_of(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # two members of one name
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return file.getvalue()


def archive_changed(rng: Random, content: bytes) -> bytes:
    """The archive: as it is, with fields of its directory changed, or with bytes changed anywhere."""
    choice = rng.random()
    if choice < 0.4:
        return content
    if choice < 0.6:
        return bytes_changed(rng, content)
    changed = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        magic = rng.choice((b"PK\1\2", b"PK\3\4", b"PK\5\6"))
        start = changed.find(magic, rng.choice((0, 0, len(changed) // 2)))
        at = start + rng.randrange(4, 46 if magic == b"PK\1\2" else 30 if magic == b"PK\3\4" else 22)
        if start >= 0 and at < len(changed):
            changed[at] = rng.choice((0, 1, 8, 12, 0x7F, 0xFF, rng.randrange(256)))
    return bytes(changed)


class Npy:
    NAME = "x.npy"
    mutated = staticmethod(mutated_npy)

    @staticmethod
    def read(path: Path, content: bytes) -> None:
        path.write_bytes(content)
        labels = path.with_name("sound.npy")
        if not labels.exists():
            labels.write_bytes(npy(X))
        if content[-1:] < b"\x40":
            check(read_source(Source(path), need_target=False), np.load(path, allow_pickle=False))
        else:
            read_source(Source(labels, path))


class Npz:
    NAME = "data.npz"
    mutated = staticmethod(mutated_npz)

    @staticmethod
    def read(path: Path, content: bytes) -> None:
        path.write_bytes(content)
        data = read_source(Source(path), need_target=len(content) % 2 == 0)
        if content.startswith(b"PK"):  # numpy.load takes no archive with anything before it
            with np.load(path, allow_pickle=False) as arrays:
                check(data, arrays["x"])


def check(data: RawData, x: np.ndarray) -> None:
    """What was accepted is finite and what numpy.load reads."""
    assert np.isfinite(data.x).all(), "a number that is not finite"
    assert np.array_equal(data.x, x.reshape(data.x.shape).astype(data.x.dtype)), "other values than numpy.load's"
