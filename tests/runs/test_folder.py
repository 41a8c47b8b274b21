"""Run folders: names, locks, which one is the newest."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bpcli.errors import DiskError, RunError, RunInUseError, UsageError
from bpcli.runs.folder import RunFolder, find_run, future_note, make_ready, new_run, newest_run, run_at, run_that_keeps

HOLD = """
import sys
from pathlib import Path
from bpcli.runs.folder import RunFolder
with RunFolder(Path("run")).locked():
    print("held", flush=True)
    sys.stdin.read()
"""
TRY = """
from pathlib import Path
from bpcli.errors import RunInUseError
from bpcli.runs.folder import RunFolder
import sys
sys.stdin.readline()
try:
    with RunFolder(Path("run")).locked():
        print("won", flush=True)
        sys.stdin.readline()
except RunInUseError:
    print("in use", flush=True)
"""


def a_run(path):
    Path(path, "checkpoints").mkdir(parents=True)
    Path(path, "config.yaml").write_text("name: x\n")
    return Path(path)


def test_new_runs_are_numbered():
    assert [str(new_run(Path("runs"), "a").path) for _ in range(3)] == ["runs/a", "runs/a-2", "runs/a-3"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells folders by /proc")
def test_the_entry_of_a_new_run_is_flushed_to_the_disk(monkeypatch):
    flushed, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (flushed.append(Path(f"/proc/self/fd/{fd}").readlink()), fsync(fd)))
    new_run(Path("runs"), "a")
    assert flushed == [Path().absolute(), Path("runs").absolute()]


def test_a_gap_is_filled_but_nothing_is_taken_over():
    for name in ("a", "a-3"):
        a_run(f"runs/{name}")
    assert str(new_run(Path("runs"), "a").path) == "runs/a-2"
    assert str(new_run(Path("runs"), "a").path) == "runs/a-4"


def test_a_file_of_that_name_is_passed_by():
    Path("runs").mkdir()
    Path("runs/a").write_text("mine")
    assert str(new_run(Path("runs"), "a").path) == "runs/a-2"


def test_a_new_run_has_a_folder_for_checkpoints():
    run = new_run(Path("runs"), "a")
    with run.locked() as held:
        make_ready(run, held)
    assert run.checkpoints.is_dir()


def test_a_run_that_another_process_began_before_the_lock_is_refused():
    run = run_at(Path("here"))
    a_run("elsewhere").rename("here")
    Path("here/checkpoints/last.npz").write_text("another's")
    with run.locked() as held, pytest.raises(UsageError, match="holds a run already"):
        make_ready(run, held)
    assert Path("here/checkpoints/last.npz").read_text() == "another's"


def test_a_lock_that_the_file_system_refuses_is_no_other_process(monkeypatch):
    def refuse(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(DiskError, match="cannot lock run: Input/output error"), RunFolder(a_run("run")).locked():
        pass


@pytest.mark.parametrize("parent", ["file", "file/deeper"])
def test_a_parent_that_cannot_be_made_is_a_disk_error(parent):
    Path("file").write_text("mine")
    with pytest.raises(DiskError, match="cannot make a run folder in file"):
        new_run(Path(parent), "a")


def test_run_at_refuses_a_folder_with_a_run():
    with pytest.raises(UsageError, match="holds a run already"):
        run_at(a_run("here"))


def test_find_run_names_the_runs_beside():
    a_run("runs/xor")
    with pytest.raises(RunError, match=r"runs/xro: there is no such run folder; runs beside it: runs/xor"):
        find_run(Path("runs/xro"))


def test_find_run_says_that_a_folder_holds_none():
    Path("empty").mkdir()
    with pytest.raises(RunError, match=r"empty: holds no run \(no config\.yaml\)"):
        find_run(Path("empty"))


def test_newest_is_the_one_started_or_resumed_last():
    for name, when in (("a", 10), ("b", 30), ("c", 20)):
        os.utime(a_run(f"runs/{name}") / "config.yaml", (when, when))
    assert newest_run(Path("runs")).path == Path("runs/b")


def test_a_config_alone_is_no_run():
    Path("mine").mkdir()
    Path("mine/config.yaml").write_text("# my own\nname: x\n")
    with pytest.raises(RunError, match=r"mine: holds a config\.yaml but no run of it.*bpcli train mine/config\.yaml"):
        find_run(Path("mine"))
    with pytest.raises(UsageError, match=r"mine: holds a config\.yaml, which is not overwritten"):
        run_at(Path("mine"))
    assert [path.name for path in Path("mine").iterdir()] == ["config.yaml"]


def test_a_run_that_has_lost_its_checkpoints_is_still_a_run():
    run = RunFolder(a_run("run"))
    with run.locked():
        pass
    run.checkpoints.rmdir()
    assert find_run(Path("run")) == run


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-10, False), (10, False), (10**6, True), (10**9, True)],
    ids=["past", "soon", "days", "decades"],
)
def test_a_newest_run_from_the_future_is_told(seconds, told):
    run = RunFolder(a_run("run"))
    when = time.time() + seconds
    os.utime(run.config, (when, when))
    note = future_note(run)
    assert (note is not None) == told
    if note:
        assert note.startswith("warning: run: taken for the newest run, but its time lies in the future (20")


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("run/config.yaml", True),
        ("run/loss.csv", True),
        ("run/.lock", True),
        ("run/checkpoints/best.npz", True),
        ("run/checkpoints/last-7.npz", True),
        ("link/summary.json", True),
        ("run/../run/checkpoints/../summary.json", True),
        ("run/predictions.csv", False),
        ("run/checkpoints/predictions.csv", False),
        ("best.npz", False),
    ],
)
def test_what_a_run_keeps_is_known_by_its_place(path, kept):
    run = RunFolder(a_run("run").absolute())
    Path("link").symlink_to("run")
    assert run_that_keeps(Path(path)) == (run if kept else None)


def test_newest_passes_by_what_is_no_run():
    a_run("runs/a")
    Path("runs/zzz").mkdir()
    Path("runs/yyy").mkdir()
    Path("runs/yyy/config.yaml").write_text("somebody's own")
    Path("runs/notes.txt").write_text("mine")
    assert newest_run(Path("runs")).path == Path("runs/a")


def test_no_run_at_all_says_how_to_make_one():
    with pytest.raises(RunError, match="train one first: bpcli train CONFIG"):
        newest_run(Path("runs"))


# the lock


def test_a_folder_is_locked_for_one_at_a_time():
    folder = RunFolder(a_run("run"))
    with folder.locked(), pytest.raises(RunInUseError, match="run: another process"), folder.locked():
        pass


def test_a_lock_is_let_go_of_in_the_end():
    folder = RunFolder(a_run("run"))
    for _ in range(2):
        with folder.locked():
            pass


def test_a_lock_is_let_go_of_after_an_error():
    folder = RunFolder(a_run("run"))
    with pytest.raises(ZeroDivisionError), folder.locked():
        raise ZeroDivisionError
    with folder.locked():
        pass


@pytest.fixture
def child():
    """Starts Python code in a process that talks through pipes."""
    running = []

    def start(code):
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_a_lock_of_another_process_holds_until_it_is_killed(child):
    folder = RunFolder(a_run("run"))
    other = child(HOLD)
    assert other.stdout.readline() == "held\n"
    with pytest.raises(RunInUseError), folder.locked():
        pass
    other.kill()
    other.wait()
    with folder.locked():
        pass


def test_of_several_at_once_one_wins(child):
    a_run("run")
    racers = [child(TRY) for _ in range(4)]
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = sorted(racer.stdout.readline() for racer in racers)
    assert said == ["in use\n"] * 3 + ["won\n"]


def test_a_folder_that_has_gone_is_a_disk_error():
    with pytest.raises(DiskError, match="cannot write in gone"), RunFolder(Path("gone")).locked():
        pass


@pytest.mark.parametrize("number", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_without_locks_it_goes_on_and_says_so(monkeypatch, number):
    def refuse(*_):
        raise OSError(getattr(errno, number), "no such thing")

    monkeypatch.setattr("fcntl.flock", refuse)
    told = []
    with RunFolder(a_run("run")).locked(told.append):
        pass
    assert len(told) == 1
    assert told[0].startswith("warning: run: the file system has no locks. Going on without: nothing keeps a second ")


@pytest.fixture
def no_lock_on_folders(monkeypatch):
    """As on NFS, which locks only what is open for writing."""
    flock = fcntl.flock

    def call(descriptor, how):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, "Bad file descriptor")
        flock(descriptor, how)

    monkeypatch.setattr("fcntl.flock", call)


def test_where_folders_have_no_locks_the_file_keeps_others_out(no_lock_on_folders):
    folder, told = RunFolder(a_run("run")), []
    with folder.locked(told.append), pytest.raises(RunInUseError), folder.locked():
        pass
    assert told == []


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_lock_file_that_alone_keeps_others_out_is_watched(no_lock_on_folders, how):
    folder = RunFolder(a_run("run"))
    with folder.locked() as held:
        held.check()
        Path("run/.lock").unlink()
        if how == "replaced":
            Path("run/.lock").touch()
        with pytest.raises(RunInUseError, match=r"run/\.lock: was removed or replaced.*bpcli resume run"):
            held.check()


def test_a_lock_file_that_is_removed_lets_nobody_in():
    folder = RunFolder(a_run("run"))
    with folder.locked() as held:
        Path("run/.lock").unlink()
        with pytest.raises(RunInUseError), folder.locked():
            pass
        held.check()


def test_temporary_files_of_a_killed_process_are_cleared_away():
    folder = RunFolder(a_run("run"))
    gone = ["run/.config.yaml.0123456789abcdef.tmp", "run/checkpoints/.last.npz.0123456789abcdef.tmp"]
    kept = ["run/.config.yaml.tmp", "run/.mine.csv.0123456789abcdef.tmp", "run/.loss.csv.0123456789abcdeg.tmp"]
    for name in gone + kept:
        Path(name).touch()
    Path("run/.summary.json.0123456789abcdef.tmp").symlink_to("elsewhere")
    with folder.locked():
        pass
    assert not any(Path(name).exists() for name in gone)
    assert all(Path(name).exists() for name in kept)
    assert Path("run/.summary.json.0123456789abcdef.tmp").is_symlink()
