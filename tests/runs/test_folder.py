"""Run folders: names, locks, which one is the newest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bpcli.errors import DiskError, RunError, RunInUseError, UsageError
from bpcli.runs.folder import RunFolder, find_run, make_ready, new_run, newest_run, run_at

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


def test_newest_passes_by_what_is_no_run():
    a_run("runs/a")
    Path("runs/zzz").mkdir()
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
