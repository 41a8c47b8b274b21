"""Folders held by their descriptor: what is written through them lands in them, and nowhere else."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from bpcli.errors import DiskError, RunError
from bpcli.runs import held as module
from bpcli.runs.held import HeldFolder, write_text


@pytest.fixture
def told():
    return []


@pytest.fixture(params=[True, False], ids=["by descriptor", "by path"])
def folder(request, monkeypatch, told):
    """The folder ./f, held as this system can, and as one without such descriptors would."""
    if not request.param:
        monkeypatch.setattr(module, "_BY_DESCRIPTOR", False)
    Path("f/inner").mkdir(parents=True)
    with HeldFolder.opened(Path("f"), told.append) as held:
        yield held


def names(path="f"):
    return sorted(entry.name for entry in Path(path).iterdir())


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


def test_writes_reads_renames_and_removes(folder):
    folder.write_text(Path("f/a.txt"), "one")
    folder.write_text(Path("f/inner/b.txt"), "two")
    folder.rename(Path("f/inner/b.txt"), Path("f/inner/c.txt"))
    folder.append(Path("f/a.txt"), b"+")
    assert folder.put_aside(Path("f/a.txt"), "old-{}.txt") == Path("f/old-1.txt")
    folder.create(Path("f/new.txt"), b"new")
    folder.make_folder(Path("f/more"))
    assert Path("f/old-1.txt").read_text() == "one+"
    assert Path("f/inner/c.txt").read_text() == "two"
    folder.remove(Path("f/inner/c.txt"))
    assert names() == ["inner", "more", "new.txt", "old-1.txt"]
    assert names("f/inner") == []


def test_a_file_keeps_its_permissions(folder):
    folder.write_text(Path("f/a.txt"), "one")
    Path("f/a.txt").chmod(0o600)
    folder.write_text(Path("f/a.txt"), "two")
    assert mode("f/a.txt") == 0o600
    folder.write(Path("f/b.txt"), lambda file: None, like=Path("f/a.txt"))
    assert mode("f/b.txt") == 0o600


def test_a_new_file_has_the_permissions_of_any_other(folder):
    Path("f/other").touch()
    folder.write_text(Path("f/a.txt"), "one")
    assert mode("f/a.txt") == mode("f/other")


def test_a_link_is_replaced_and_not_followed(folder):
    Path("precious").write_text("mine")
    Path("f/a.txt").symlink_to(Path("precious").absolute())
    folder.write_text(Path("f/a.txt"), "new")
    assert Path("precious").read_text() == "mine"
    assert not Path("f/a.txt").is_symlink()


def test_nothing_is_added_to_what_is_no_file(folder):
    Path("precious").write_text("mine")
    Path("f/a.txt").symlink_to(Path("precious").absolute())
    os.mkfifo("f/pipe")
    for name in ("a.txt", "pipe", "inner"):
        with pytest.raises(DiskError, match=f"cannot write f/{name}: it is a .*, not a file"):
            folder.append(Path("f", name), b"more")
    assert Path("precious").read_text() == "mine"


def test_an_inner_folder_that_is_a_link_is_refused(folder):
    Path("elsewhere").mkdir()
    Path("f/link").symlink_to(Path("elsewhere").absolute())
    for call in (
        lambda: folder.write_text(Path("f/link/a.txt"), "x"),
        lambda: folder.make_folder(Path("f/link")),
        lambda: folder.clear_leftovers(Path("f/link")),
    ):
        with pytest.raises(RunError, match="f/link: is a symbolic link"):
            call()
    assert names("elsewhere") == []


def test_what_is_there_is_never_made_anew(folder):
    Path("f/a.txt").symlink_to("nowhere")
    with pytest.raises(DiskError, match=r"cannot write f/a\.txt: File exists"):
        folder.create(Path("f/a.txt"), b"x")
    assert names() == ["a.txt", "inner"]


def test_a_name_that_is_taken_by_a_dangling_link_is_not_free(folder):
    Path("f/old-1.txt").symlink_to("nowhere")
    folder.write_text(Path("f/a.txt"), "x")
    assert folder.put_aside(Path("f/a.txt"), "old-{}.txt") == Path("f/old-2.txt")


def test_a_name_as_long_as_the_file_system_takes_can_be_written():
    for name in ("x" * 255, "\u4e00" * 85):
        write_text(Path(name), "x")
        assert Path(name).read_text() == "x"


def test_a_temporary_file_that_is_there_is_never_written_to(folder, monkeypatch):
    Path("f/.a.txt.tmp").write_text("mine")
    monkeypatch.setattr(module, "temporary_name", lambda name: f".{name}.tmp")
    with pytest.raises(DiskError, match=r"cannot write f/a\.txt: File exists"):
        folder.write_text(Path("f/a.txt"), "x")
    assert Path("f/.a.txt.tmp").read_text() == "mine"


def test_temporary_names_are_never_the_same():
    assert len({module.temporary_name("a") for _ in range(1000)}) == 1000


# by the descriptor


@pytest.fixture
def held(told):
    Path("f/inner").mkdir(parents=True)
    with HeldFolder.opened(Path("f"), told.append) as folder:
        yield folder


def test_what_is_written_lands_in_the_folder_that_was_opened(held):
    Path("f").rename("moved")
    Path("f/inner").mkdir(parents=True)
    held.write_text(Path("f/inner/a.txt"), "x")
    assert names("f/inner") == []
    assert names("moved/inner") == ["a.txt"]


def test_a_folder_that_was_renamed_is_noticed_and_found(held):
    held.check()
    Path("f").rename("moved")
    held.check_lock()
    for again in (False, True):
        if again:
            Path("f").mkdir()
        with pytest.raises(DiskError, match=r"f: this folder was renamed or replaced.*bpcli resume .*/moved"):
            held.check()


def test_a_folder_that_was_removed_is_noticed(held):
    Path("f/inner").rmdir()
    Path("f").rmdir()
    for call in (held.check, held.check_lock, lambda: held.write_text(Path("f/a.txt"), "x")):
        with pytest.raises(DiskError, match="f: this folder was removed while it was in use"):
            call()


def test_another_current_folder_is_no_other_place(held, monkeypatch):
    monkeypatch.chdir("f")
    held.check()


@pytest.mark.parametrize("number", ["EINVAL", "ENOTSUP", "ENOSYS"])
def test_a_file_system_that_cannot_flush_folders_is_told_of_once(held, told, monkeypatch, number):
    fsync = os.fsync

    def call(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(getattr(errno, number), "no such thing")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", call)
    for text in ("one", "two"):
        held.write_text(Path("f/a.txt"), text)
    assert Path("f/a.txt").read_text() == "two"
    assert told == [
        "warning: f: the file system cannot flush a folder to the disk (no such thing). "
        "Going on without: a power cut may take back the last files that were written here"
    ]


def test_a_folder_that_cannot_be_flushed_for_another_reason_is_an_error(held, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DiskError, match=r"cannot write f/a\.txt: Input/output error"):
        held.write_text(Path("f/a.txt"), "x")
