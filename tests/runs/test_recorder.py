"""The order in which a run is saved, so that no crash leaves a checkpoint ahead of its log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import bpcli
from bpcli.runs.folder import RunFolder
from bpcli.runs.recorder import last_checkpoint

CONFIG = Path(__file__).parents[2] / "configs" / "iris.yaml"


@pytest.fixture
def saves(monkeypatch):
    """The names of the files that are flushed to the disk or renamed, in order."""
    done = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_file():
            done.append(f"fsync {path.name}")
        fsync(descriptor)

    def note_replace(old, new, **folders):
        done.append(f"{old} becomes {new}")
        replace(old, new, **folders)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    monkeypatch.setattr("bpcli.runs.held.temporary_name", lambda name: f".{name}.tmp")
    return done


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="tells files by /proc")
def test_log_then_best_then_last_each_safely_on_the_disk(saves):
    overrides = ["training.epochs=2", "output.checkpoint_every=1"]
    bpcli.train(CONFIG, overrides)
    second_save = saves[len(saves) - 1 - saves[::-1].index("fsync loss.csv") :]
    assert second_save == [
        "fsync loss.csv",
        "fsync .best.npz.tmp",
        ".best.npz.tmp becomes best.npz",
        "last.npz becomes last-2.npz",
        "fsync .last.npz.tmp",
        ".last.npz.tmp becomes last.npz",
        "fsync .summary.json.tmp",
        ".summary.json.tmp becomes summary.json",
    ]


@pytest.mark.parametrize(("keep", "names"), [(1, {"last"}), (2, {"last", "last-2"}), (3, {"last", "last-2", "last-3"})])
def test_keeps_as_many_as_told(keep, names):
    overrides = ["training.epochs=5", f"output={{checkpoint_every: 1, keep: {keep}}}"]
    folder = bpcli.train(CONFIG, overrides).folder
    assert {path.stem for path in (folder / "checkpoints").glob("last*.npz")} == names


def test_any_number_of_checkpoints_can_be_asked_for():
    overrides = ["training.epochs=3", f"output={{checkpoint_every: 1, keep: {10**30}}}"]
    folder = bpcli.train(CONFIG, overrides).folder
    assert {path.stem for path in (folder / "checkpoints").glob("last*.npz")} == {"last", "last-2", "last-3"}


def test_older_checkpoints_are_of_the_epochs_before():
    overrides = ["training.epochs=5", "output={checkpoint_every: 2, keep: 3}"]
    folder = bpcli.train(CONFIG, overrides).folder
    epochs = [bpcli.load(folder / "checkpoints" / f"{name}.npz").checkpoint.state["epoch"] for name in
              ("last", "last-2", "last-3")]  # fmt: skip
    assert epochs == [5, 4, 2]


def test_the_newest_whole_checkpoint_is_found_among_ten():
    overrides = ["training.epochs=12", "output={checkpoint_every: 1, keep: 11}"]
    folder = RunFolder(bpcli.train(CONFIG, overrides).folder)
    for name in ("last", *(f"last-{number}" for number in range(2, 10))):
        (folder.checkpoints / f"{name}.npz").write_bytes(b"junk")
    checkpoint, notes = last_checkpoint(folder)
    assert checkpoint.path.name == "last-10.npz"
    assert len(notes) == 9
