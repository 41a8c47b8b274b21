"""IDX files: every type of the format, and that no damage, lie or bomb costs more than a DataError."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpcli.data.read import read
from bpcli.data.types import Source
from bpcli.errors import DataError

TYPES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
IMAGES = np.arange(24, dtype="u1").reshape(4, 3, 2)
LABELS = np.array([3, 0, 9, 1], "u1")
MNIST = Path(os.environ.get("BPCLI_MNIST", Path(__file__).parents[3] / "shared/datasets/mnist"))


def idx(array: np.ndarray) -> bytes:
    kind = array.dtype.str[1:]
    sides = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, TYPES[kind], array.ndim]) + sides + array.astype(">" + kind).tobytes()


@pytest.fixture
def pair(tmp_path):
    """Writes the bytes of images and labels and gives their source."""

    def to_files(images: bytes, labels: bytes = idx(LABELS), ending: str = "") -> Source:
        source = Source(tmp_path / f"images-idx3-ubyte{ending}", tmp_path / f"labels-idx1-ubyte{ending}")
        source.x.write_bytes(images)
        source.y.write_bytes(labels)
        return source

    return to_files


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_images_keep_their_shape_and_labels_become_integers(pair, pack, ending):
    data = read(pair(pack(idx(IMAGES)), pack(idx(LABELS)), ending))
    np.testing.assert_array_equal(data.x, IMAGES)
    assert data.x.dtype == np.uint8
    assert data.y.tolist() == [3, 0, 9, 1]
    assert data.y.dtype == np.int64


@pytest.mark.parametrize("kind", sorted(TYPES))
def test_every_type_of_the_format_is_read(pair, kind):
    array = np.array([[1, 2], [3, 4], [5, 6], [7, 100]], kind)
    data = read(pair(idx(array)))
    np.testing.assert_array_equal(data.x, array)
    assert data.x.dtype == np.dtype(kind)


def test_vectors_are_one_feature(pair):
    assert read(pair(idx(LABELS))).x.shape == (4, 1)


def test_prediction_needs_no_labels(pair):
    assert read(Source(pair(idx(IMAGES)).x), need_target=False).y is None


HEAD = bytes([0, 0, 8, 3])
NAN = np.array([[0.0, 1.0], [2.0, np.nan], [4.0, 5.0], [6.0, 7.0]])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (b"", idx(LABELS), "the file is empty"),
        (b"\x89PNG", idx(LABELS), "not an IDX file: it starts with 89 50 4e 47"),
        (b"\0\0\7\1" + bytes(9), idx(LABELS), "not an IDX file"),
        (b"\0\0\x08\0", idx(LABELS), "its header, of 0 dimensions"),
        (bytes([0, 0, 8, 17]) + bytes([0, 0, 0, 1]) * 17 + b"x", idx(LABELS), "claims 17 dimensions; at most 16"),
        (bytes([0, 0, 8, 255]) + bytes([0, 0, 0, 1]) * 255 + b"x", idx(LABELS), "claims 255 dimensions"),
        (HEAD + bytes(7), idx(LABELS), "its header, of 3 dimensions, is cut"),
        (idx(IMAGES)[:-1], idx(LABELS), "shape (4, 3, 2) makes a file of 40 bytes, but it has 39"),
        (idx(IMAGES) + b"\0", idx(LABELS), "shape (4, 3, 2) makes a file of 40 bytes, but it has 41"),
        (HEAD + b"\xff" * 12, idx(LABELS), "makes a file of"),
        (idx(IMAGES[:0]), idx(LABELS), "is empty: its shape is (0, 3, 2)"),
        (idx(NAN), idx(LABELS), "row 1, index [1] (from 0): got nan"),
        (idx(IMAGES[:3]), idx(LABELS), "x has 3 samples, y has 4"),
        (idx(LABELS), idx(IMAGES), "labels have one dimension (are x and y swapped?)"),
        (gzip.compress(idx(IMAGES)[:-1], mtime=0), idx(LABELS), "ends after 23 of 24 bytes"),
        (gzip.compress(idx(IMAGES) + b"\0", mtime=0), idx(LABELS), "goes on after the 24 bytes"),
        (gzip.compress(HEAD + b"\xff" * 12, mtime=0), idx(LABELS), "refused as a possible bomb"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-6], idx(LABELS), "damaged or cut gzip file"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-5] + b"\0\0\0\0\0", idx(LABELS), "damaged or cut gzip file"),
        (b"\x1f\x8b" + bytes(30), idx(LABELS), "damaged or cut gzip file"),
    ],
)
def test_unsound_file_is_refused(pair, images, labels, message):
    with pytest.raises(DataError) as caught:
        read(pair(images, labels))
    assert message in str(caught.value)


def test_gzip_bomb_is_not_unpacked(pair):
    source = pair(gzip.compress(HEAD + bytes([0, 0, 0, 1] * 3) + bytes(300 << 20)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="goes on after"):
            read(source)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@settings(derandomize=True, max_examples=300)
@pytest.mark.parametrize("packed", [False, True])
@given(data=st.data())
def test_only_data_errors_leave_for_a_mutated_file(tmp_path_factory, packed, data):
    content = bytearray(gzip.compress(idx(IMAGES), mtime=0) if packed else idx(IMAGES))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]
    folder = tmp_path_factory.getbasetemp()
    source = Source(folder / "images-idx3-ubyte", folder / "labels-idx1-ubyte")
    source.x.write_bytes(content)
    source.y.write_bytes(idx(LABELS))
    try:
        read(source)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017


@settings(derandomize=True, max_examples=200)
@pytest.mark.parametrize("start", [b"", b"\0\0\x08\1", b"\0\0\x0e\2", b"\x1f\x8b\x08\0"])
@given(rest=st.binary(max_size=60))
def test_only_data_errors_leave_for_any_bytes(tmp_path_factory, start, rest):
    path = tmp_path_factory.getbasetemp() / "fuzz-idx"
    path.write_bytes(start + rest)
    try:
        assert np.isfinite(read(Source(path), need_target=False).x).all()
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.mnist
@pytest.mark.parametrize(("name", "count"), [("train", 60_000), ("t10k", 10_000)])
def test_mnist_is_read(name, count):
    if not MNIST.is_dir():
        pytest.skip(f"no MNIST files in {MNIST}")
    data = read(Source(MNIST / f"{name}-images-idx3-ubyte.gz", MNIST / f"{name}-labels-idx1-ubyte.gz"))
    assert data.x.shape == (count, 28, 28)
    assert np.bincount(data.y).sum() == count
    assert data.y.max() == 9
