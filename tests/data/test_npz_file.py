"""npz and npy files: what is read, and that no damage, lie or bomb costs more than a DataError."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpcli.data.read import read
from bpcli.data.types import Source
from bpcli.errors import DataError

X = np.arange(12, dtype=np.float32).reshape(4, 3)
Y = np.array([0, 1, 1, 0])


@pytest.fixture
def save(tmp_path):
    """Saves arrays as data.npz and gives its source."""

    def to_file(**arrays) -> Source:
        np.savez(tmp_path / "data.npz", **arrays)
        return Source(tmp_path / "data.npz")

    return to_file


def npy(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)
    return file.getvalue()


def npy_that_claims(descr: str, shape: str, body: bytes, fortran: str = "False") -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + body


def zipped(folder: Path, members: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> Source:
    path = folder / "data.npz"
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return Source(path)


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i8", "i2", "?", ">f8", ">i4"])
def test_numbers_stay_as_stored_in_native_order(save, dtype):
    data = read(save(x=X.astype(dtype), y=Y))
    np.testing.assert_array_equal(data.x, X.astype(dtype))
    assert data.x.dtype == np.dtype(dtype).newbyteorder("=")
    assert data.x.flags.c_contiguous


@pytest.mark.parametrize(("dtype", "becomes"), [("f2", "f4"), (np.longdouble, "f8")])
def test_unusual_floats_become_usual_ones(save, dtype, becomes):
    assert read(save(x=X.astype(dtype), y=Y)).x.dtype == np.dtype(becomes)


def test_fortran_order_becomes_c_order(save):
    images = np.arange(48.0).reshape(4, 3, 2, 2)
    data = read(save(x=np.asfortranarray(images), y=Y))
    np.testing.assert_array_equal(data.x, images)
    assert data.x.flags.c_contiguous


def test_compressed_file_holds_the_same(tmp_path):
    np.savez_compressed(tmp_path / "data.npz", x=X, y=Y)
    np.testing.assert_array_equal(read(Source(tmp_path / "data.npz")).x, X)


@pytest.mark.parametrize(("y", "shape"), [(Y, (4,)), (Y.reshape(4, 1), (4,)), (X, (4, 3))])
def test_y_is_a_vector_or_a_table(save, y, shape):
    assert read(save(x=X, y=y)).y.shape == shape


def test_vector_x_is_one_feature(save):
    assert read(save(x=np.arange(4.0), y=Y)).x.shape == (4, 1)


@pytest.mark.parametrize("labels", [np.array(["a", "bü", "c", "a"]), np.array(["a", "bü", "c", "a"]).astype("U9")])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_text_y_is_labels(save, labels, as_bytes):
    stored = np.strings.encode(labels, "utf-8") if as_bytes else labels
    assert read(save(x=X, y=stored)).y.tolist() == ["a", "bü", "c", "a"]


def test_arrays_are_found_by_the_names_given(save):
    data = read(save(images=X, labels=Y, other=np.array([None])), features=["images"], target="labels")
    np.testing.assert_array_equal(data.x, X)
    np.testing.assert_array_equal(data.y, Y)


def test_prediction_needs_no_y(save):
    assert read(save(x=X), need_target=False).y is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X_train": X, "y": Y}, 'no array "x"; it has "X_train", "y"'),
        ({"x": X, "yy": Y}, 'no array "y" (did you mean "yy"?)'),
        ({"x": X, "y": Y[:3]}, "x has 4 samples, y has 3"),
        ({"x": X.astype("U"), "y": Y}, "holds text; x must hold numbers"),
        ({"x": X.astype(complex), "y": Y}, 'its type is "complex128"'),
        ({"x": X.astype("M8[s]"), "y": Y}, 'its type is "datetime64[s]"'),
        ({"x": np.zeros(4, "f4,i4"), "y": Y}, "its type is"),
        ({"x": X.astype(object), "y": Y}, "holds Python objects, which are never unpickled"),
        ({"x": X[:0], "y": Y[:0]}, "is empty: its shape is"),
        ({"x": X[:, :0], "y": Y}, "is empty: its shape is"),
        ({"x": np.float64(1), "y": Y}, "is a single number"),
        ({"x": X, "y": X.reshape(2, 2, 3)}, "has shape (2, 2, 3); expected (N,) or (N, M)"),
        ({"x": X, "y": np.array([["a", "b"]] * 4)}, "labels must be one column"),
        ({"x": X, "y": np.array(["a", "", "b", "c"])}, "row 1 (from 0) has no label"),
        ({"x": X, "y": np.array([b"a", b"\xff", b"b", b"c"])}, "a label is not UTF-8"),
        ({"x": np.where(X == 7, np.nan, X), "y": Y}, 'array "x": row 2, index [1] (from 0): got nan'),
        ({"x": X, "y": np.array([0, 1, -np.inf, 0])}, 'array "y": row 2 (from 0): got -inf'),
    ],
)
def test_arrays_that_cannot_be_used_are_refused(save, arrays, message):
    with pytest.raises(DataError) as caught:
        read(save(**arrays))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(npy_that_claims("'<f8'", "(2, 2)", bytes(24)), id="too few bytes"),
        pytest.param(npy_that_claims("'<f8'", "(2, 2)", bytes(40)), id="too many bytes"),
        pytest.param(npy_that_claims("'<f8'", f"({10**18}, {10**18})", bytes(32)), id="astronomic shape"),
        pytest.param(npy_that_claims("'<f8'", "(-2, -2)", bytes(32)), id="negative shape"),
        pytest.param(npy_that_claims("'<f8'", "(True, 4)", bytes(32)), id="shape of bool"),
        pytest.param(npy_that_claims("'|V0'", "(4, 4)", b""), id="type of no size"),
        pytest.param(npy_that_claims("'<U0'", "(4, 4)", b""), id="text of no size"),
        pytest.param(npy_that_claims("'|O'", "(4,)", b"cos\nsystem\n(S'true'\ntR."), id="pickle"),
        pytest.param(npy_that_claims("'|b1'", "(2, 2)", b"\2\0\1\0"), id="bool of 2"),
        pytest.param(npy_that_claims("(" * 3000, "(4,)", bytes(32)), id="deep header"),
        pytest.param(npy_that_claims("__import__('os')", "(4,)", bytes(32)), id="code in the header"),
        pytest.param(b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(64), id="header of 4 GB"),
        pytest.param(b"\x93NUMPY\7\0" + bytes(64), id="unknown version"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x80\4N.", id="a bare pickle"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_lying_header_is_refused(tmp_path, content, kind):
    if kind == "npz":
        source = zipped(tmp_path, [("x.npy", content), ("y.npy", npy(Y))])
    else:
        (tmp_path / "x.npy").write_bytes(content)
        (tmp_path / "y.npy").write_bytes(npy(Y))
        source = Source(tmp_path / "x.npy", tmp_path / "y.npy")
    with pytest.raises(DataError):
        read(source)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubled_array_is_refused(tmp_path):
    with pytest.raises(DataError, match='array "x" is in it twice'):
        read(zipped(tmp_path, [("x.npy", npy(X)), ("y.npy", npy(Y)), ("x.npy", npy(X + 1))]))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_numpy_never_uses_is_refused(tmp_path, compression):
    with pytest.raises(DataError, match="packed in a way NumPy never does"):
        read(zipped(tmp_path, [("x.npy", npy(X)), ("y.npy", npy(Y))], compression))


def test_what_zipfile_quotes_is_cut_and_printable(tmp_path):
    source = zipped(tmp_path, [("x.npy", npy(X)), ("y.npy", npy(Y))])
    content = bytearray(source.x.read_bytes())
    content[26:28] = (900).to_bytes(2, "little")  # the name in the local header is said to be so long
    source.x.write_bytes(content)
    with pytest.raises(DataError, match="not a sound npz file") as caught:
        read(source)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(np.float64).max, reason="long double is float64 here")
def test_a_long_double_beyond_float64_is_refused(save):
    with pytest.raises(DataError, match="got inf"):
        read(save(x=np.full((4, 1), np.finfo(np.longdouble).max), y=Y))


def test_a_single_number_is_refused_in_fortran_order_too(tmp_path):
    (tmp_path / "x.npy").write_bytes(npy_that_claims("'<f8'", "()", bytes(8), fortran="True"))
    with pytest.raises(DataError, match="is a single number"):
        read(Source(tmp_path / "x.npy"), need_target=False)


def test_a_header_beyond_the_longest_header_is_not_read(tmp_path):
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), }".ljust(20_000) + b"\n"
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head + X.tobytes())
    with pytest.raises(DataError, match="its header claims 20001 bytes"):
        read(Source(tmp_path / "x.npy"), need_target=False)


def peak_of_refusal(source: Source) -> int:
    """Bytes in use at the most while `source` is refused."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError):
            read(source)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_zip_bomb_is_refused_within_64_mb(tmp_path):
    body = npy_that_claims("'|u1'", f"(1, {300 << 20})", bytes(300 << 20))
    source = zipped(tmp_path, [("x.npy", body), ("y.npy", npy(Y))], zipfile.ZIP_DEFLATED)
    assert peak_of_refusal(source) < source.x.stat().st_size + (64 << 20)


def test_size_that_lies_in_the_directory_is_refused_within_64_mb(tmp_path):
    source = zipped(tmp_path, [("x.npy", npy_that_claims("'|u1'", "(1, 4000000000)", bytes(1000)))])
    content = source.x.read_bytes()
    real = len(npy_that_claims("'|u1'", "(1, 4000000000)", bytes(1000)))
    lie = real - 1000 + 4_000_000_000
    source.x.write_bytes(content.replace(real.to_bytes(4, "little"), lie.to_bytes(4, "little")))
    assert peak_of_refusal(source) < 64 << 20


def test_flipped_bit_in_an_array_is_refused(save):
    source = save(x=X, y=Y)
    content = bytearray(source.x.read_bytes())
    content[content.index(X.tobytes()) + 5] ^= 1
    source.x.write_bytes(content)
    with pytest.raises(DataError, match="not a sound npz file"):
        read(source)


def test_npy_pair_is_read(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    data = read(Source(tmp_path / "x.npy", tmp_path / "y.npy"))
    np.testing.assert_array_equal(data.x, X)
    np.testing.assert_array_equal(data.y, Y)
    assert data.files == (tmp_path / "x.npy", tmp_path / "y.npy")


def sound_npz(compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("x.npy", npy(X))
        archive.writestr("y.npy", npy(np.array(["a", "b", "c", "d"])))
    return file.getvalue()


SOUND = {
    "stored.npz": sound_npz(zipfile.ZIP_STORED),
    "packed.npz": sound_npz(zipfile.ZIP_DEFLATED),
    "x.npy": npy(X),
    "text.npy": npy(np.array(["a", "b", "c", "d"])),
}


@settings(derandomize=True, max_examples=250)
@pytest.mark.parametrize("name", sorted(SOUND))
@given(data=st.data())
def test_only_data_errors_leave_for_a_mutated_file(tmp_path_factory, name, data):
    content = bytearray(SOUND[name])
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]
    folder = tmp_path_factory.getbasetemp()
    path = folder / name
    path.write_bytes(content)
    (folder / "sound.npy").write_bytes(npy(X))
    source = Source(path) if name.endswith("npz") else Source(folder / "sound.npy", path)
    try:
        read(source)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017


@settings(derandomize=True, max_examples=150)
@pytest.mark.parametrize("start", [b"", b"PK\3\4", b"PK\5\6", b"\x93NUMPY\1\0"])
@given(rest=st.binary(max_size=80))
def test_only_data_errors_leave_for_any_bytes(tmp_path_factory, start, rest):
    name = "fuzz.npy" if start.startswith(b"\x93") else "fuzz.npz"
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(start + rest)
    with pytest.raises(DataError):
        read(Source(path), need_target=False)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["iris.dat"], 'a zip archive, not arrays saved with numpy.savez: it holds "iris.dat"; unpack it and name the'),
        (["[Content_Types].xml", "xl/workbook.xml"], "an Excel workbook, not arrays saved with numpy.savez: it holds"),
    ],
)
@pytest.mark.parametrize("file", ["data.zip", "data.npz"])
def test_archive_of_other_files_is_called_one(tmp_path, monkeypatch, names, message, file):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"a,y\n1,2\n")
    with pytest.raises(DataError) as caught:
        read(Source(Path(file)))
    assert str(caught.value).startswith(f"{file}: {message}")
