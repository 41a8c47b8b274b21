"""Bombs and lies, each read in a process of its own: refused, and in how little memory."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fuzz.arrays import Y, archive_of, npy

MB = 1 << 20
ROOM = 64 * MB  # beyond the file's own size


def npy_that_claims(descr: str, shape: str, body: bytes = bytes(32)) -> bytes:
    head = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + body


def gzip_of(piece: bytes, times: int, start: bytes = b"") -> bytes:
    """A gzip file of `start` and so many times `piece`: each a member of its own, which is quick to make."""
    packed = gzip.compress(piece, 6, mtime=0)
    return gzip.compress(start, mtime=0) + packed * times


def idx_header(*shape: int) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(side.to_bytes(4, "big") for side in shape)


def directory_that_lies() -> bytes:
    """An archive in which x.npy, of 128 bytes and some, is said to be 3 GB long."""
    content = npy_that_claims("|u1", "(1, 3000000000)", bytes(128))
    real, lie = len(content), len(content) - 128 + 3_000_000_000
    blob = archive_of([("x.npy", content), ("y.npy", npy(Y))])
    return blob.replace(real.to_bytes(4, "little"), lie.to_bytes(4, "little"))


ZEROS = bytes(MB)
FILES: dict[str, tuple[str, bytes]] = {
    "npz, zip bomb": (
        "data.npz",
        archive_of(
            [("x.npy", npy_that_claims("|u1", f"(1, {80 * MB})", bytes(80 * MB))), ("y.npy", npy(Y))],
            zipfile.ZIP_DEFLATED,
        ),
    ),
    "npz, directory that lies": ("data.npz", directory_that_lies()),
    "npz, shape that lies": (
        "data.npz",
        archive_of([("x.npy", npy_that_claims("<f8", f"({10**9}, 3)")), ("y.npy", npy(Y))]),
    ),
    "npz, cut bomb": (
        "data.npz",
        archive_of([("x.npy", npy_that_claims("|u1", f"({60 * MB},)"))], zipfile.ZIP_DEFLATED),
    ),
    "npy, shape that lies": ("x.npy", npy_that_claims("<f8", f"({2**31}, 2)")),
    "npy, texts that lie": ("x.npy", npy_that_claims("<U200000000", "(4,)")),
    "npy, header of 4 GB": ("x.npy", b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(64)),
    "idx, dimensions that lie": ("a-idx3-ubyte", idx_header(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(64)),
    "idx, one of 4 GB": ("a-idx1-ubyte", idx_header(2**32 - 1) + bytes(64)),
    "idx, gzip bomb that its header admits": ("a-idx1-ubyte.gz", gzip_of(ZEROS, 100, idx_header(100 * MB))),
    "idx, gzip bomb that its header denies": ("a-idx1-ubyte.gz", gzip_of(ZEROS, 100, idx_header(3))),
    "csv, gzip bomb of zeros": ("a.csv.gz", gzip_of(ZEROS, 100, b"x,y\n")),
    "checkpoint, shape that lies": ("last.npz", archive_of([("meta.npy", npy_that_claims("<f8", f"({10**9}, 3)"))])),
    "checkpoint, text that lies": ("last.npz", archive_of([("meta.npy", npy_that_claims("<U900000000", "()"))])),
}
# Text that is read line by line, whose cells take more room than their bytes: bounded by what may be unpacked at all.
TEXTS: dict[str, tuple[str, bytes]] = {
    "csv, gzip bomb of rows": ("a.csv.gz", gzip_of(b"1.0000000,2\n" * (MB // 12), 100, b"x,y\n")),
    "csv, gzip bomb of one line": ("a.csv.gz", gzip_of(b"1," * (MB // 2), 100)),
    "csv, gzip bomb of one cell": ("a.csv.gz", gzip_of(b"1" * MB, 100)),
    "csv, gzip bomb in a quote": ("a.csv.gz", gzip_of(b"1,2\n" * (MB // 4), 100, b'x,y\n1,"')),
}

SCRIPT = """
import json, os, resource, sys
from pathlib import Path
import numpy
from bpcli.data import csv_file, idx_file, npz_file
from bpcli.data.types import Source
from bpcli.data.read import read
from bpcli.errors import BpcliError
from bpcli.runs.checkpoint import load_checkpoint

def outcome(path):
    try:
        load_checkpoint(path) if path.name == "last.npz" else read(Source(path), need_target=False)
    except BpcliError as error:
        return error.exit_code
    return 0

def peak(path):
    "(exit code, bytes at the peak) of a child of this process, in which everything is imported already."
    child = os.fork()
    if not child:
        os._exit(outcome(path) if path is not None else 0)
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024

_, before = peak(None)
print(json.dumps({name: (code, most - before) for name in sys.argv[1:] for code, most in [peak(Path(name))]}))
"""


def plain(name: str) -> str:
    """A test's id without blanks, for pytest -k."""
    return name.replace(", ", "_").replace(" ", "_")


@pytest.fixture(scope="module")
def grown(tmp_path_factory) -> dict[str, tuple[int, int, int]]:
    """Case -> exit code, bytes beyond what was there before, and the file's size."""
    paths = {}
    for name, (file, content) in {**FILES, **TEXTS}.items():
        paths[name] = tmp_path_factory.mktemp("bomb") / file
        paths[name].write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, paths.values())],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    found = json.loads(done.stdout)
    return {name: (*found[str(path)], path.stat().st_size) for name, path in paths.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and counts memory in KB")
@pytest.mark.parametrize("name", FILES, ids=plain)
def test_a_file_with_a_false_header_is_refused_within_64_mb_beyond_its_size(grown, name, record_property):
    code, most, size = grown[name]
    record_property("MB", most / MB)
    assert code == (4 if name.startswith("checkpoint") else 3)
    assert most < size + ROOM


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and counts memory in KB")
@pytest.mark.parametrize("name", TEXTS, ids=plain)
def test_packed_text_without_end_is_refused_in_bounded_memory(grown, name, record_property):
    code, most, _ = grown[name]
    record_property("MB", most / MB)
    assert code == 3
    assert most < 6 * ROOM  # the numbers of 64 MB of text
