"""The tests pass whoever starts them: what a shell or a CI has set for signals does not reach their processes."""

from __future__ import annotations

import getpass
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# runs pytest where the folder "stuck" of an earlier session cannot be removed, as while another session writes there
BESIDE_OTHERS = """
import errno, os, sys, pytest
rmdir = os.rmdir
def busy(path, **options):
    if os.path.basename(path) == "stuck":
        raise OSError(errno.ENOTEMPTY, "Directory not empty")
    rmdir(path, **options)
os.rmdir = busy
sys.exit(pytest.main(sys.argv[1:]))
"""
TESTS = (
    "tests/cli/test_signals.py::test_a_signal_saves_and_a_resume_gives_the_same_bits",
    "tests/cli/test_signals.py::test_the_library_raises_an_error_with_the_exit_code",
    "tests/cli/test_signals.py::test_a_second_interrupt_quits_at_once",
    "tests/cli/test_exit_codes.py::test_a_full_disk_at_a_checkpoint_is_exit_code_6",
)
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def ignored() -> None:
    """As `nohup`, a script's `&` and `trap '' INT TERM HUP CHLD` do."""
    for number in HANDLED:
        signal.signal(number, signal.SIG_IGN)


def blocked() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


@pytest.mark.parametrize("surroundings", [ignored, blocked])
def test_signals_reach_the_processes_of_the_tests(surroundings) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, preexec_fn=surroundings
    )
    assert done.returncode == 0, done.stdout


def test_folders_of_other_sessions_that_cannot_be_removed_are_no_error(tmp_path: Path) -> None:
    root = tmp_path / f"pytest-of-{getpass.getuser()}"
    root.mkdir(mode=0o700)
    for number in range(6):
        (root / f"pytest-{number}" / "stuck").mkdir(parents=True)
    test = "tests/test_packaging.py::test_what_is_no_python_is_passed_over"
    command = [sys.executable, "-c", BESIDE_OTHERS, "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTEST_DEBUG_TEMPROOT": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "ScandirIterator" in done.stderr) == (0, False), done.stdout + done.stderr
    assert "(rm_rf) error removing" in done.stdout


def test_a_hangup_that_nohup_ignores_does_not_end_the_tests() -> None:
    code = "import signal, conftest; conftest.pytest_configure(); signal.raise_signal(signal.SIGHUP); print('here')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "tests", capture_output=True, text=True, check=True, preexec_fn=ignored
    )
    assert done.stdout == "here\n"
