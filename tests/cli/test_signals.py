"""Stopped from outside: the state is saved, the exit code says so, and the run goes on to the same bits."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bpcli
from bpcli.errors import InterruptedRunError

# runs the command line with a library that swallows an interrupt while the data are read
SWALLOWED = """
import signal, sys
import bpcli.__main__, bpcli.data.datasets as datasets
load = datasets.load_datasets
def interrupted(*arguments):
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        pass
    return load(*arguments)
datasets.load_datasets = interrupted
bpcli.__main__.main()
"""
# runs the command line with an interrupt while the module MODULE is looked for, and swallows it
INTERRUPTED_IMPORT = """
import signal, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "MODULE":
            try:
                signal.raise_signal(signal.SIGINT)
            except BaseException:
                pass
sys.meta_path.insert(0, Finder())
import bpcli.__main__
bpcli.__main__.main()
"""
# runs the command line with two interrupts where zipfile makes another error of the second: as a member is closed
INTERRUPTED_SAVE = """
import signal, zipfile
import bpcli.__main__
close = zipfile._ZipWriteFile.close
def interrupted(self):
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    close(self)
zipfile._ZipWriteFile.close = interrupted
bpcli.__main__.main()
"""
SETTINGS = ["training.early_stopping=null", "training.epochs=3000"]
SETS = [part for text in SETTINGS for part in ("--set", text)]
EVERY = [*SETS, "--set", "output.checkpoint_every=100"]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The same training without a stop: its library run, as a folder."""
    config = Path(__file__).parents[2] / "configs" / "iris.yaml"
    return bpcli.train(config, SETTINGS, out=tmp_path_factory.mktemp("unbroken") / "run").folder


@pytest.fixture
def running(start, configs):
    """`running(...)`: a training process in the middle of its epochs."""

    def call(*arguments):
        child = start("train", configs / "iris.yaml", *arguments)
        assert child.stderr.readline().startswith("epoch 1/")
        time.sleep(0.15)
        return child

    return call


def wait_for(path, seconds=30):
    """Until the file is there."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=lambda x: str(int(x))
)
def test_a_signal_saves_and_a_resume_gives_the_same_bits(running, ok, run_files, unbroken, number, code):
    child = running(*SETS)
    child.send_signal(number)
    out, err = child.communicate(timeout=30)
    run = run_files(Path("runs/iris"))
    assert child.returncode == code
    assert "the state is saved. Go on with: bpcli resume runs/iris" in err
    assert "Traceback" not in err
    assert out == ""
    assert not (run.path / "summary.json").exists()
    ok("resume", run.path)
    assert run.weights() == run_files(unbroken).weights()
    assert run.weights("best") == run_files(unbroken).weights("best")
    assert run.log() == run_files(unbroken).log()


def test_a_kill_and_a_resume_give_the_same_bits(running, ok, run_files, unbroken):
    child = running(*EVERY)
    run = run_files(Path("runs/iris"))
    wait_for(run.last)
    child.kill()
    child.wait(30)
    ok("resume", run.path)
    assert run.weights() == run_files(unbroken).weights()
    assert run.log() == run_files(unbroken).log()


def test_a_kill_before_the_first_checkpoint_loses_nothing_but_time(running, ok, run_files, unbroken):
    child = running(*SETS)
    child.kill()
    child.wait(30)
    run = run_files(Path("runs/iris"))
    assert not run.last.exists()
    assert "starting from the beginning" in ok("resume", run.path).err
    assert run.weights() == run_files(unbroken).weights()
    assert run.log() == run_files(unbroken).log()


def test_a_kill_leaves_the_folder_free(running, cli):
    child = running(*EVERY)
    child.kill()
    child.wait(30)
    assert cli("resume", "runs/iris", "--set", "training.epochs=1", "-q").code != 7


def raise_at(epoch, *numbers):
    """A show function that raises signals in this very process, once."""
    left = list(numbers)

    def show(report):
        while report.epoch == epoch and left:
            signal.raise_signal(left.pop())

    return show


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_library_raises_an_error_with_the_exit_code(configs, number, code):
    with pytest.raises(InterruptedRunError) as caught:
        bpcli.train(configs / "xor.yaml", on_report=raise_at(3, number))
    assert caught.value.exit_code == code
    assert bpcli.load("runs/xor", which="last").checkpoint.state["step"] == 4


def test_a_second_interrupt_quits_at_once(configs):
    with pytest.raises(KeyboardInterrupt):
        bpcli.train(configs / "xor.yaml", on_report=raise_at(3, signal.SIGINT, signal.SIGINT))


def test_a_second_interrupt_in_the_middle_of_a_save_leaves_with_a_line(configs, ok):
    arguments = ["train", str(configs / "xor.yaml"), "--quiet", "--set", "training.epochs=3"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_SAVE, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 130
    told = "error: stopped at once by a second signal; what the last checkpoint holds is kept: bpcli resume runs/xor\n"
    assert done.stderr == told
    assert not Path("runs/xor/checkpoints/last.npz").exists()
    ok("resume", "runs/xor")
    assert {path.name for path in Path("runs/xor/checkpoints").iterdir()} == {"best.npz", "last.npz"}


def test_a_hangup_that_nohup_ignores_stays_ignored(configs):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run = bpcli.train(configs / "xor.yaml", ["training.epochs=5"], on_report=raise_at(3, signal.SIGHUP))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert run.stop == "epochs"


def test_handlers_are_as_before_afterwards(configs):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    bpcli.train(configs / "xor.yaml", ["training.epochs=2"])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_in_the_middle_of_an_epoch_is_no_loss(ok, configs, run_files, monkeypatch):
    monkeypatch.setattr("bpcli.engine.training.trainer.REPORT_SECONDS", 0.0)  # a report after every iteration
    overrides = ["training.early_stopping=null", "training.epochs=6"]

    def show(report):
        if report.step == 15:
            assert not report.complete
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(InterruptedRunError):
        bpcli.train(configs / "iris.yaml", overrides, on_report=show)
    ok("resume", "runs/iris")
    whole = run_files(bpcli.train(configs / "iris.yaml", overrides).folder)
    assert run_files(Path("runs/iris")).weights() == whole.weights()
    assert run_files(Path("runs/iris")).log() == whole.log()


def test_a_signal_after_the_last_epoch_still_leaves_a_summary(configs, ok):
    try:
        bpcli.train(configs / "xor.yaml", ["training.epochs=3"], on_report=raise_at(3, signal.SIGINT))
    except InterruptedRunError:
        ok("resume", "runs/xor")
    assert Path("runs/xor/summary.json").is_file()


def test_an_interrupt_that_a_library_swallows_stops_at_the_first_step(configs, ok):
    arguments = ["train", str(configs / "xor.yaml"), "--set", "training.epochs=1000000"]
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 130
    assert "the state is saved. Go on with: bpcli resume runs/xor" in done.stderr
    ok("resume", "runs/xor", "--set", "training.epochs=3")


@pytest.mark.parametrize("module", ["typer", "pydantic", "numpy"])
def test_an_interrupt_during_an_import_quits_at_once_in_a_line(configs, module):
    code = INTERRUPTED_IMPORT.replace("MODULE", module)
    arguments = [sys.executable, "-c", code, "train", str(configs / "xor.yaml"), "--set", "training.epochs=1000000"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 130
    assert done.stderr == "error: interrupted while bpcli was starting\n"
    assert not Path("runs").exists()


@pytest.mark.parametrize("place", ["bpcli.cli.main.leave", "bpcli.cli.main.app"])
def test_an_interrupt_on_the_way_out_is_told_in_a_line(cli, monkeypatch, place):
    """As a second Ctrl-C, once the first has been obeyed and its handler is gone."""
    import bpcli.cli.main

    leave, calls = bpcli.cli.main.leave, []

    def interrupted(*arguments, **_options):
        calls.append(arguments)
        if len(calls) == 1:
            raise KeyboardInterrupt
        leave(*arguments)

    monkeypatch.setattr(place, interrupted)
    result = cli("train", "there-is-no-such.yaml")
    assert (result.code, result.err) == (130, "error: interrupted\n")


def test_an_interrupt_that_the_caller_ignores_is_ignored_from_the_start(configs):
    """As in a script's background, where a terminal's Ctrl-C is not meant for it."""
    code = INTERRUPTED_IMPORT.replace("MODULE", "numpy")
    arguments = [sys.executable, "-c", code, "train", str(configs / "xor.yaml"), "--set", "training.epochs=10"]
    ignore = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # noqa: E731
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60, preexec_fn=ignore)
    assert done.returncode == 0, done.stderr
