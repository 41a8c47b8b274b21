"""What macOS and Windows do otherwise, simulated from their documentation: bpcli has been run on neither."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import bpcli
from bpcli import system
from bpcli.build.locations import plain_as_seen_from
from bpcli.config import schema
from bpcli.errors import ConfigError, DiskError, InterruptedRunError
from bpcli.runs import files
from bpcli.workflows import profile

FULL = 51  # F_FULLFSYNC of macOS's fcntl.h


@pytest.fixture
def full_flushes(monkeypatch):
    """The inodes that were flushed by F_FULLFSYNC."""
    flushed = []
    fcntl = files.fcntl.fcntl

    def call(descriptor, command, *rest):
        if command != FULL:
            return fcntl(descriptor, command, *rest)
        flushed.append(os.fstat(descriptor).st_ino)
        return 0

    monkeypatch.setattr(files.fcntl, "fcntl", call)
    monkeypatch.setattr(files, "FULL_FLUSH", FULL)
    return flushed


def test_on_macos_files_and_folders_are_flushed_through_the_disks_cache(configs, full_flushes):
    run = bpcli.train(configs / "xor.yaml", ["training.epochs=3"]).folder
    kept = [run / name for name in ("config.yaml", "summary.json", "loss.csv", "checkpoints/last.npz")]
    assert {path.stat().st_ino for path in (*kept, run, run / "checkpoints")} <= set(full_flushes)


def test_on_macos_a_network_file_system_is_flushed_as_it_can_be(monkeypatch):
    flushed = []

    def unsupported(descriptor, command):
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(files, "FULL_FLUSH", FULL)
    monkeypatch.setattr(files.fcntl, "fcntl", unsupported)
    monkeypatch.setattr(os, "fsync", flushed.append)
    files.flush(7)
    assert flushed == [7]


@pytest.fixture
def held_open(monkeypatch):
    """`held_open(N)`: the next N renames fail, as on Windows while another program has the target open."""
    replace, left = os.replace, [0]

    def refused(*arguments, **options):
        if left[0]:
            left[0] -= 1
            raise PermissionError(errno.EACCES, "Access is denied")
        return replace(*arguments, **options)

    monkeypatch.setattr(os, "replace", refused)
    monkeypatch.setattr(files, "PATIENCE", 0.3)
    return lambda times: left.__setitem__(0, times)


def test_on_windows_a_file_that_is_open_elsewhere_is_waited_for(configs, held_open, run_files):
    held_open(3)
    assert bpcli.train(configs / "xor.yaml", ["training.epochs=3"]).epochs == 3
    assert not list(Path("runs").rglob("*.tmp"))


def test_on_windows_a_file_that_stays_open_is_a_disk_error(configs, held_open):
    held_open(1000)
    with pytest.raises(DiskError, match=r"config\.yaml: Access is denied"):
        bpcli.train(configs / "xor.yaml", ["training.epochs=3"])


def test_elsewhere_a_refusal_is_told_at_once(monkeypatch):
    def refused(*arguments, **options):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "replace", refused)
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail("waited"))
    with pytest.raises(PermissionError):
        files.replace("a", "b")


@pytest.mark.parametrize("name", ["con", "NUL", "aux.v2", "com1", "LPT9", "COM¹", "iris."])
def test_on_windows_a_run_has_no_name_that_windows_keeps(configs, monkeypatch, name):
    assert bpcli.load_config(configs / "xor.yaml", [f"name={name}"]).config.name == name
    monkeypatch.setattr(schema, "ON_WINDOWS", True)
    with pytest.raises(ConfigError, match="name: must be a folder name, but Windows does not allow"):
        bpcli.load_config(configs / "xor.yaml", [f"name={name}"])


@pytest.mark.parametrize("name", ["console", "nullable", "com10", "a.con", "v1.2"])
def test_on_windows_a_like_name_will_do(configs, monkeypatch, name):
    monkeypatch.setattr(schema, "ON_WINDOWS", True)
    assert bpcli.load_config(configs / "xor.yaml", [f"name={name}"]).config.name == name


def test_on_windows_data_may_lie_on_another_drive(configs, datasets, monkeypatch):
    def no_common_path(paths):
        raise ValueError("Paths don't have the same drive")

    file = bpcli.load_config(configs / "xor.yaml")
    monkeypatch.setattr(os.path, "commonpath", no_common_path)
    assert plain_as_seen_from(Path("runs/xor"), file)["data"]["train"] == str(datasets / "xor.csv")


def test_on_windows_ctrl_break_and_a_closed_console_save_the_state(configs, monkeypatch):
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    before = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    show = lambda report: report.epoch == 3 and signal.raise_signal(signal.SIGUSR1)  # noqa: E731
    try:
        with pytest.raises(InterruptedRunError) as caught:
            bpcli.train(configs / "xor.yaml", on_report=show)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert caught.value.exit_code == 128 + signal.SIGUSR1
    assert bpcli.load("runs/xor", which="last").checkpoint.state["step"] == 4


def test_on_windows_there_is_no_hangup(configs, monkeypatch):
    monkeypatch.delattr(signal, "SIGHUP")
    with system.stop_on_signals("at once") as stopped:
        assert not stopped()


def test_a_handler_that_python_did_not_set_is_left_alone(monkeypatch):
    """As where bpcli is imported by a program in another language that has Python in it."""
    getsignal = signal.getsignal
    monkeypatch.setattr(signal, "getsignal", lambda number: None if number == signal.SIGTERM else getsignal(number))
    before = getsignal(signal.SIGTERM)
    with system.stop_on_signals("at once"):
        assert getsignal(signal.SIGTERM) is before
        assert getsignal(signal.SIGINT) is not signal.default_int_handler
    assert getsignal(signal.SIGTERM) is before


def test_without_an_affinity_every_processor_is_taken(monkeypatch):
    """macOS and Windows have no os.sched_getaffinity; os.cpu_count may not know."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert system.usable_cpus() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert system.usable_cpus() == 1


def test_memory_is_told_in_bytes_where_the_system_tells_it(monkeypatch):
    """getrusage counts kB on Linux and bytes on macOS; Windows has none."""
    linux = profile.peak_resident()
    monkeypatch.setattr("sys.platform", "darwin")
    macos = profile.peak_resident()
    assert linux / 1024 == pytest.approx(macos, rel=0.1)
    monkeypatch.setitem(sys.modules, "resource", None)
    assert profile.peak_resident() is None


def test_a_console_of_code_page_1252_shows_what_it_can(write_config):
    Path("d.csv").write_text("x,tier\n1,Bär\n2,Bär\n8,λύκος\n9,λύκος\n", encoding="utf-8")
    values = {"data": {"train": "d.csv"}, "network": {"layers": [1, 2]}, "loss": "log_likelihood"}
    bpcli.train(write_config({**values, "training": {"epochs": 1}}), out="run")
    command = [sys.executable, "-m", "bpcli", "eval", "run"]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "cp1252"})
    assert "Bär" in done.stdout.decode("cp1252")
    assert "\\u03bb\\u03cd\\u03ba\\u03bf\\u03c2" in done.stdout.decode("cp1252")
