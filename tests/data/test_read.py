"""Which reader a path goes to, and what is said when there is none."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest

from bpcli.data.read import read
from bpcli.data.types import Source
from bpcli.errors import DataError

CSV = b"a,y\n1,2\n"
IDX = b"\0\0\x08\1\0\0\0\2\5\6"


def saved(save, *arrays, **named) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


NPY = saved(np.save, np.arange(2.0))
NPZ = saved(np.savez, x=np.arange(2.0), y=np.arange(2))


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes bytes to a name in the current folder and gives the path."""
    monkeypatch.chdir(tmp_path)

    def to_file(name: str, content: bytes) -> Path:
        Path(name).write_bytes(content)
        return Path(name)

    return to_file


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", CSV),
        ("D.CSV.GZ", gzip.compress(CSV, mtime=0)),
        ("idx.csv", CSV),
        ("d.tsv", CSV.replace(b",", b"\t")),
        ("d.txt", CSV),
        ("d.npz", NPZ),
        ("d.npy", NPY),
        ("t10k-labels-idx1-ubyte", IDX),
        ("labels-ubyte.gz", gzip.compress(IDX, mtime=0)),
        ("labels.bin", IDX),
        ("labels", gzip.compress(IDX, mtime=0)),
        ("array", NPY),
        ("arrays.zip", NPZ),
    ],
)
def test_kind_is_told_by_ending_or_else_by_content(write, name, content):
    data = read(Source(write(name, content)), need_target=False)
    assert data.source == name
    assert data.files == (Path(name),)


def test_label_is_what_the_user_wrote(write):
    assert read(Source(write("d.csv", CSV), label="../data/d.csv")).source == "../data/d.csv"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.sqlite", b"SQLite format 3"),
        ("d", b"?"),
        ("d.npz.gz", gzip.compress(NPZ, mtime=0)),
        ("d.bin", gzip.compress(b"hello", mtime=0)),
    ],
)
def test_unknown_kind_is_refused_with_the_known_ones(write, name, content):
    with pytest.raises(DataError, match=rf"{name}: not a kind of data file bpcli knows; it reads \.csv \.tsv"):
        read(Source(write(name, content)))


def test_missing_file_is_named_with_the_nearest(write):
    write("iris.csv", CSV)
    with pytest.raises(DataError, match=r'iris\.cvs: no such file \(did you mean "iris\.csv"\?\)'):
        read(Source(Path("iris.cvs")))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere/iris.csv", "no such file: there is no folder nowhere"),
        (".", r"a folder, not a file; name a data file in it; it holds none"),
        ("/dev/null", "not a file but a device, pipe or socket; name a data file"),
        ("https://example.org/iris.csv", "a URL, and data are read from files alone: download it, and name the file"),
        ("s3://bucket/iris.csv", "a URL, and data are read from files alone"),
        ("x" * 300 + ".csv", "cannot be read: File name too long"),
        ("a\0b.csv", "no such file"),
    ],
)
def test_path_that_cannot_be_a_file_is_refused(write, path, message):
    with pytest.raises(DataError, match=message):
        read(Source(Path(path)))


@pytest.mark.parametrize("name", ["d.csv", "d.npz", "d.npy", "d-idx3-ubyte", "d"])
@pytest.mark.parametrize("is_argument", [False, True])
def test_file_without_a_size_is_not_opened(write, monkeypatch, name, is_argument):
    """/proc/kmsg is a regular file of 0 bytes, and reading it waits for ever."""
    path = write(name, b"")

    def refuse(*_args, **_options):
        raise AssertionError("opened")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=rf"^{name}: the file is empty"):
        read(Source(path, is_argument=is_argument))


def test_pipe_is_not_opened(write):
    os.mkfifo("d.csv")
    with pytest.raises(DataError, match=r"d\.csv: not a file but a device, pipe or socket"):
        read(Source(Path("d.csv")))


def test_folder_with_a_data_file_is_answered_with_its_name(write):
    Path("folder").mkdir()
    write("folder/iris.csv", CSV)
    with pytest.raises(DataError, match=r'folder: a folder, not a file; name a data file in it; it holds "iris\.csv"'):
        read(Source(Path("folder")))


def test_folder_beside_another_folder_is_answered_with_its_name(write):
    Path("folder", "old").mkdir(parents=True)
    write("folder/iris.csv", CSV)
    with pytest.raises(DataError, match=r'name a data file in it; it holds "iris\.csv", "old"'):
        read(Source(Path("folder")))


@pytest.mark.parametrize(("folder", "written"), [("configs", "../iris.csv"), ("a/configs", "../../iris.csv")])
def test_path_that_leads_to_a_file_from_the_current_folder_is_answered_with_the_rule(write, folder, written):
    write("iris.csv", CSV)
    with pytest.raises(DataError) as caught:
        read(Source(Path(folder, "iris.csv")))
    assert str(caught.value).endswith(
        f"; paths in a config start at the config's own folder: for iris.csv in the current one write {written}"
    )
    with pytest.raises(DataError, match=r"; there is iris\.csv in the current folder$"):
        read(Source(Path(folder, "iris.csv"), is_argument=True))


def test_refusal_of_the_operating_system_is_a_data_error(write, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    path = write("d.csv", CSV)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"d\.csv: cannot be read: Permission denied"):
        read(Source(path))


def test_too_little_memory_is_a_data_error(write, monkeypatch):
    def refuse(*_args, **_options):
        raise MemoryError

    path = write("d.npy", NPY)
    monkeypatch.setattr(np, "empty", refuse)
    with pytest.raises(DataError, match="does not fit into memory"):
        read(Source(path), need_target=False)


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [("d.npy", NPY, r"\{x: d\.npy, y: .*\.npy\}"), ("d-idx1-ubyte", IDX, r"\{x: d-idx1-ubyte, y: .*idx.*\}")],
)
def test_missing_y_file_is_asked_for_in_the_form_of_a_pair(write, name, content, form):
    with pytest.raises(DataError, match=form):
        read(Source(write(name, content)))


@pytest.mark.parametrize(("name", "content"), [("d.csv", CSV), ("d.npz", NPZ)])
def test_pair_of_files_that_hold_both_is_refused(write, name, content):
    path = write(name, content)
    with pytest.raises(DataError, match="give one path"):
        read(Source(path, path))


def test_pair_of_two_kinds_is_refused(write):
    with pytest.raises(DataError, match="x is a npy file and y a idx file"):
        read(Source(write("x.npy", NPY), write("y-ubyte", IDX)))


@pytest.mark.parametrize("names", [{"features": "x"}, {"target": ["y"]}])
def test_names_for_files_without_names_are_refused(write, names):
    path = write("d.npy", NPY)
    with pytest.raises(DataError, match="have no names"):
        read(Source(path, path), **names)


@pytest.mark.parametrize("goal", ["gone.csv", "d.csv"])
def test_a_link_that_leads_nowhere_is_called_one(tmp_path, monkeypatch, goal):
    monkeypatch.chdir(tmp_path)
    Path("d.csv").symlink_to(goal)
    with pytest.raises(DataError, match=r"^d\.csv: a link that leads to no file$"):
        read(Source(Path("d.csv")))
