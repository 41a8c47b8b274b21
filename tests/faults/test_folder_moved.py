"""A run folder that is renamed, removed or replaced while it is trained in: no other run is ever written to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import rig
from small_run import write_config

LONG = ("--set", "training.epochs=1000000")


@pytest.fixture
def child(config: Path):
    """A process that trains in ./run, in at least its second epoch."""
    process = rig.start("train", config, "--out", "run", *LONG)
    process.wait_for_epoch(2)
    yield process
    process.kill()


def test_a_run_that_takes_the_name_of_a_renamed_one_is_not_written_to(child, config: Path, whole, figure) -> None:
    Path("run").rename("moved")
    rig.run_ok("train", config, "--out", "run")
    assert child.wait() == 6
    assert "run: this folder was renamed or replaced while it was in use: it is now" in child.err
    assert f"bpcli resume {Path('moved').absolute()}" in child.err
    assert rig.outcome(Path("run")) == whole
    assert rig.saved_epoch(Path("moved")) >= child.acknowledged()
    saved = rig.saved_epoch(Path("moved"))
    rig.run_ok("resume", "moved", "--set", f"training.epochs={saved + 1}")
    figure("31", "renamed while training, then a new run of that name", "exit 6, both runs whole")


def test_a_run_that_takes_the_name_of_a_removed_one_is_not_written_to(child, config: Path, whole) -> None:
    Path("run").rename("trash")
    shutil.rmtree("trash", ignore_errors=True)  # what is written meanwhile may have to be removed again
    while Path("trash").exists():
        shutil.rmtree("trash", ignore_errors=True)
    rig.run_ok("train", config, "--out", "run")
    assert child.wait() == 6
    assert "Traceback" not in child.err
    assert rig.outcome(Path("run")) == whole


def test_a_lock_file_that_is_removed_lets_no_second_process_in(child) -> None:
    Path("run/.lock").unlink()
    second = rig.run("resume", "run")
    assert second.code == 7
    assert "another process is training in this run folder" in second.err
    epoch = child.acknowledged()
    child.wait_for_epoch(epoch + 5)
    assert child.process.is_alive()


def test_checkpoints_removed_while_training_are_created_again(child) -> None:
    Path("run/checkpoints").rename("trash")
    while not Path("run/checkpoints/last.npz").exists() and child.process.is_alive():
        child.process.join(0.01)
    assert child.process.is_alive(), child.err
    child.kill()
    assert "run/checkpoints: is missing; it was created again" in child.err
    assert Path("run/checkpoints/best.npz").exists()
    rig.run_ok("resume", "run", "--set", f"training.epochs={rig.saved_epoch(Path('run')) + 1}")


def test_a_link_that_names_the_run_is_followed(config: Path, whole) -> None:
    rig.run_ok("train", config, "--out", "run", "--set", "training.epochs=3")
    Path("latest").symlink_to("run")
    rig.run_ok("resume", "latest", "--set", "training.epochs=8")
    assert rig.saved_epoch(Path("run")) == 8


def test_a_link_that_is_led_to_another_run_while_training_is_noticed(config: Path, whole) -> None:
    write_config("config.yaml")
    rig.run_ok("train", config, "--out", "run", "--set", "training.epochs=3")
    Path("latest").symlink_to("run")
    child = rig.start("resume", "latest", *LONG)
    child.wait_for_epoch(4)
    Path("latest").unlink()
    Path("latest").symlink_to("whole")
    assert child.wait() == 6
    assert rig.outcome(Path("whole")) == whole
