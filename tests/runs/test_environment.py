"""What a checkpoint says of where it was made, and what a resume elsewhere says of the difference."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bpcli.runs.environment
import bpcli.workflows.train
from bpcli.runs.checkpoint import load_checkpoint
from bpcli.runs.environment import differences, environment


def test_it_names_what_bits_can_depend_on():
    found = environment()
    assert set(found) == {"bpcli", "numpy", "python", "machine", "cpu", "numpy_build", "simd", "blas", "libc"}
    assert found["numpy"] == np.__version__
    assert found["blas"]
    assert all(isinstance(value, str) for value in found.values())


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/cpuinfo is Linux's")
def test_on_linux_processor_and_kernels_are_known():
    found = environment()
    assert found["cpu"]
    assert found["libc"].startswith("glibc") or not found["libc"]
    assert "None" not in found["blas"]


def test_the_blas_is_named_with_its_version_and_kernels(monkeypatch):
    entries = [
        {"user_api": "openmp", "internal_api": "openmp", "version": None},
        {"user_api": "blas", "internal_api": "openblas", "version": "0.3.30", "architecture": "Haswell"},
        {"user_api": "blas", "internal_api": "mkl", "version": "2024.0"},
    ]
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: entries)
    assert bpcli.runs.environment._blas() == "openblas 0.3.30 Haswell, mkl 2024.0"


def test_only_what_both_know_is_compared():
    before, now = {"numpy": "2.0", "python": "3.11"}, {"numpy": "2.1", "python": "3.11", "blas": "openblas"}
    assert differences(before, now) == ["numpy 2.0 -> 2.1"]
    assert differences(now, now) == []


def test_a_checkpoint_and_the_summary_hold_it(ok, configs, run_files):
    ok("train", configs / "xor.yaml", "--set", "training.epochs=2", "--threads", "1")
    run = run_files(Path("runs/xor"))
    for path in (run.last, run.best):
        assert load_checkpoint(path).info["environment"] == environment()
    assert json.loads((run.path / "summary.json").read_text())["environment"] == environment() | {"threads": "1"}


def test_a_resume_elsewhere_warns_and_names_what_differs(ok, configs, monkeypatch):
    ok("train", configs / "xor.yaml", "--set", "training.epochs=2")
    assert "warning" not in ok("resume", "runs/xor", "--set", "training.epochs=3").err
    elsewhere = environment() | {"blas": "openblas 0.3.21 Zen", "cpu": "another"}
    monkeypatch.setattr("bpcli.workflows.resume.environment", lambda: elsewhere)
    err = ok("resume", "runs/xor", "--set", "training.epochs=4").err
    (line,) = [line for line in err.splitlines() if line.startswith("warning:")]
    assert f"cpu {environment()['cpu']} -> another; blas {environment()['blas']} -> openblas 0.3.21 Zen" in line
    assert "Results may differ in the last bits" in line
    assert "numpy" not in line
    assert "warning" not in ok("resume", "runs/xor", "--set", "training.epochs=5", "--quiet").err


def test_it_costs_little():
    """Less than the matrix product of a single epoch of anything: no process, no import beyond what training has."""
    code = (
        "import sys, numpy, platform, threadpoolctl, bpcli.runs.checkpoint as c; before = set(sys.modules); "
        "c.environment(); print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
