"""IDX files, plain and gzipped."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from random import Random

import numpy as np

from bpcli.data.read import read as read_source
from bpcli.data.types import Source
from fuzz.mutate import bytes_changed, mostly_as_it_is

NAME = "images-idx3-ubyte"
SIDES = [0, 1, 2, 3, 4, 255, 256, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
SIZES = {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}


def mutated(rng: Random) -> bytes:
    """A header and values that fit it or nearly do, with bytes changed in some; some of them gzipped."""
    kind = rng.choice([*SIZES, *SIZES, *SIZES, 0, 0x0A, 0xFF])
    shape = [rng.randint(1, 4) for _ in range(rng.choice((1, 1, 2, 3, 3, 4)))]
    size = SIZES.get(kind, 1)
    for side in shape:
        size *= side
    if rng.random() < 0.2:
        shape[rng.randrange(len(shape))] = rng.choice(SIDES)
    body = rng.randbytes(size) if rng.random() < 0.7 else bytes(size)
    if rng.random() < 0.2:
        body = body[: rng.randint(0, size)] + bytes(rng.choice((0, 0, 1, 7)))
    dimensions = len(shape) if rng.random() < 0.95 else rng.choice((0, 1, 2, 40, 255))
    content = bytes([0, 0, kind, dimensions]) + b"".join(side.to_bytes(4, "big") for side in shape) + body
    if rng.random() < 0.3:
        content = bytes_changed(rng, content)
    if rng.random() < 0.2:
        content = mostly_as_it_is(rng, gzip.compress(content, 1, mtime=0))
    return content


def read(path: Path, content: bytes) -> None:
    """As samples, as labels, or as both; what is accepted is finite and all that its header says."""
    path.write_bytes(content)
    alone = zlib.crc32(content) % 4 < 3
    data = read_source(Source(path, None if alone else path), need_target=not alone)
    plain = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    sides = np.frombuffer(plain[4 : 4 + 4 * plain[3]], ">u4").tolist()
    assert list(data.x.shape) == (sides if len(sides) > 1 else [*sides, 1]), "another shape than its header's"
    assert np.isfinite(data.x).all(), "a number that is not finite"
    values = data.x.astype(data.x.dtype.newbyteorder(">")).tobytes()
    assert values == plain[4 + 4 * plain[3] :], "other values"
