"""A run folder made by a stranger: links, pipes, devices and holes in the place of its files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import rig
from small_run import ROOT, write_config

MORE = ("--set", "training.epochs=9")
FILES = ("config.yaml", "loss.csv", "summary.json", "checkpoints/best.npz", "checkpoints/last.npz")
PRECIOUS = "export PATH=~/bin:$PATH\n"


@pytest.fixture
def run(config: Path) -> Path:
    """A run of 8 epochs, and a file outside of it that nothing may touch."""
    rig.run_ok("train", config, "--out", "run")
    Path("precious").write_text(PRECIOUS)
    return Path("run")


def begun_with(place: Path) -> Path:
    """The name of the temporary file for `place` that anybody can guess."""
    return place.with_name(f".{place.name}.tmp")


@pytest.mark.parametrize("made", [os.symlink, os.link], ids=["a symbolic link", "a hard link"])
@pytest.mark.parametrize("name", FILES)
def test_a_link_with_a_guessable_name_is_not_written_through(name: str, made, run: Path, figure) -> None:
    made(Path("precious").absolute(), begun_with(run / name))
    rig.run_ok("resume", run, *MORE)
    assert Path("precious").read_text() == PRECIOUS
    assert rig.saved_epoch(run) == 9
    figure("31", f"{made.__name__} in the place of a temporary {name}", "not written to")


@pytest.mark.parametrize("name", [*FILES[1:3], "checkpoints/last-2.npz"])
def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(name: str, run: Path) -> None:
    (run / name).unlink()
    (run / name).symlink_to(Path("precious").absolute())
    rig.run("resume", run, *MORE)
    assert Path("precious").read_text() == PRECIOUS


@pytest.mark.parametrize("name", [".lock", "loss.csv", "summary.json", "checkpoints/last.npz", "checkpoints/best.npz"])
def test_a_dangling_link_makes_no_file_elsewhere(name: str, run: Path) -> None:
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(Path("elsewhere").absolute())
    result = rig.run("resume", run, *MORE)
    assert "Traceback" not in result.err
    assert not Path("elsewhere").exists()


def test_a_lock_that_is_a_link_is_named(run: Path) -> None:
    (run / ".lock").unlink()
    (run / ".lock").symlink_to("elsewhere")
    result = rig.run("resume", run, *MORE)
    assert result.code == 6
    assert "run/.lock: it is a symbolic link, not a file" in result.err


def test_checkpoints_that_lead_to_another_run_are_not_written(run: Path, config: Path) -> None:
    rig.run_ok("train", config, "--out", "other")
    before = rig.contents(Path("other/checkpoints/last.npz"))
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").symlink_to(Path("other/checkpoints").absolute())
    result = rig.run("resume", run, *MORE)
    assert result.code == 4
    assert "run/checkpoints: is a symbolic link, which bpcli does not write through" in result.err
    assert rig.contents(Path("other/checkpoints/last.npz")) == before


@pytest.mark.parametrize("target", ["configs/xor.yaml", "datasets/xor.csv", "configs", "datasets"])
def test_init_makes_no_file_by_way_of_a_link(target: str) -> None:
    Path("elsewhere").mkdir()
    Path(target).parent.mkdir(exist_ok=True)
    Path(target).symlink_to(Path("elsewhere").absolute() / ("x" if "." in target else ""))
    result = rig.run("init", "xor")
    assert result.code in (2, 4, 6), result.err
    assert "Traceback" not in result.err
    assert list(Path("elsewhere").iterdir()) == []


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_hole(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 42)


def a_folder(path: Path) -> None:
    path.mkdir()


COMMANDS = {
    "resume": ("resume", "run", *MORE),
    "resume an ended run": ("resume", "run"),
    "eval": ("eval", "run"),
    "eval last": ("eval", "run", "--checkpoint", "last"),
    "predict": ("predict", "run", "iris.csv"),
    "newest": ("eval",),
}


@pytest.mark.parametrize("kind", [a_pipe, a_device, a_hole, a_folder], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", [*FILES, ".lock"])
def test_only_files_are_read_and_their_size_is_looked_at_first(
    kind: Callable[[Path], None], name: str, run: Path, figure
) -> None:
    """Whatever a command makes of it, it ends soon, with a message, and in little memory."""
    Path("runs").mkdir()
    shutil.copy(ROOT / "datasets" / "iris.csv", "iris.csv")
    codes = []
    for number, command in enumerate(COMMANDS):
        shutil.copytree("run", f"kept-{number}", symlinks=True)
        (run / name).unlink(missing_ok=True)
        kind(run / name)
        arguments = COMMANDS[command]
        result = rig.run(*arguments)
        codes.append(result.code)
        assert result.code in (0, 2, 3, 4, 6), (command, result.err)
        assert "Traceback" not in result.err, (command, result.err)
        shutil.rmtree("run")
        Path(f"kept-{number}").rename("run")
    figure("31", f"{name} is {kind.__name__.replace('_', ' ')}", f"{len(COMMANDS)} commands, exit {sorted(set(codes))}")


@pytest.mark.parametrize("command", [("resume", *MORE), ("eval",), ("eval", "--json")])
def test_data_outside_of_a_run_is_named_before_it_is_read(command: tuple[str, ...], config: Path, figure) -> None:
    """The run may be a stranger's, who wrote its config.yaml."""
    shutil.copy(ROOT / "datasets" / "iris.csv", "mine.csv")
    Path("run").mkdir()
    Path("run/link.csv").symlink_to("../mine.csv")
    for data, shown in (("mine.csv", "mine.csv"), ("run/link.csv", str(Path("mine.csv").absolute()))):
        shutil.rmtree("run/checkpoints", ignore_errors=True)
        Path("run/config.yaml").unlink(missing_ok=True)
        rig.run_ok("train", config, "--out", "run", "--set", f"data.train={Path(data).absolute()}")
        said = rig.run_ok(command[0], "run", *command[1:])
        assert said.err.splitlines()[0] == f"reading {shown}, as run says"
    figure("31", f"{' '.join(command)}: data outside of the run, by a path and by a link", "told first")


def test_data_inside_of_a_run_or_named_for_it_is_read_without_a_note(run: Path) -> None:
    shutil.copy(ROOT / "datasets" / "iris.csv", run / "data.csv")
    rig.run_ok("resume", run, *MORE, "--set", f"data.train={run / 'data.csv'}")
    assert rig.run_ok("eval", run).err == ""
    assert rig.run_ok("eval", run, "--data", ROOT / "datasets" / "iris.csv").err == ""


@pytest.mark.parametrize("when", ["removed", "a folder"])
def test_a_loss_log_removed_while_training_is_begun_again_or_reported(when: str) -> None:
    config = write_config(output__checkpoint_every=1, training__epochs=100000)
    child = rig.start("train", config, "--out", "run")
    child.wait_for_epoch(2)
    Path("run/loss.csv").unlink()
    if when == "removed":
        for _ in range(500):
            if Path("run/loss.csv").exists():
                break
            child.process.join(0.01)
        assert Path("run/loss.csv").read_text().startswith("epoch,iteration,")
        assert "run/loss.csv: is missing; a new file begins" in child.err
        child.kill()
        return
    try:
        Path("run/loss.csv").mkdir()
    except FileExistsError:  # written anew meanwhile
        Path("run/loss.csv").unlink()
        Path("run/loss.csv").mkdir()
    assert child.wait() == 6, child.err
    assert "cannot write run/loss.csv: " in child.err
    assert "Traceback" not in child.err


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="there is no /proc/kmsg")
@pytest.mark.parametrize("name", ["/proc/kmsg", "kmsg.csv", "kmsg.npy", "kmsg.npz", "kmsg-ubyte"])
def test_the_kernel_log_is_accepted_neither_as_data_nor_as_config(name: str, run: Path) -> None:
    if name != "/proc/kmsg":
        Path(name).symlink_to("/proc/kmsg")
    for arguments in (("train", name), ("predict", "run", name), ("eval", "run", "--data", name)):
        result = rig.run(*arguments)
        assert result.code == (2 if arguments[0] == "train" else 3)
        assert "the file is empty" in result.err
