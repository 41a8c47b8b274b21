"""The command as a whole: version, help, what it imports, and how it leaves, whatever it writes to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import bpcli

COMMANDS = ["train", "resume", "eval", "predict", "validate", "summary", "step", "init", "epochs-calc"]
PROBE = """
import sys
import time
sys.argv = ["bpcli", *sys.argv[1:]]
from bpcli.cli.main import main
try:
    main()
finally:
    heavy = {"numpy", "pydantic", "yaml", "tqdm"} & set(sys.modules)
    print("imported:", *sorted(heavy), file=sys.stderr)
"""
BROKEN = """
import sys
import time
import bpcli.examples
def describe():
    raise ZeroDivisionError("unforeseen")
bpcli.examples.describe_examples = describe
sys.argv = ["bpcli", "init", "--list"]
from bpcli.cli.main import main
main()
"""


def test_version(ok):
    assert ok("--version").out == f"bpcli {bpcli.__version__}\n"


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_every_command(ok, option):
    assert all(f"\n  {name} " in ok(option).out for name in COMMANDS)


def test_help_says_where_to_start(ok):
    assert "bpcli init xor" in ok("--help").out


def test_no_command_shows_the_help_as_wrong_usage(cli):
    result = cli()
    assert result.code == 2
    assert "Usage: bpcli" in result.out + result.err
    assert "\n  train " in result.out + result.err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example(ok, command):
    assert f"Example: bpcli {command}" in ok(command, "--help").out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["epochs-calc", "--n", "10", "--batch", "3"]])
def test_starts_without_the_heavy_libraries(arguments):
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr == "imported:\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["train"], "Missing argument"),
        (["train", "a.yaml", "b.yaml"], "unexpected extra argument"),
        (["train", "a.yaml", "--epoch", "3"], "No such option"),
        (["train", "a.yaml", "--threads", "0"], "--threads"),
        (["predict", "a", "b", "c"], "takes a run and one data file"),
        (["eval", "--checkpoint", "newest"], "expected best or last, got newest"),
        (["eval", "--data", "a.csv", "--split", "val"], "a file given with --data has no splits"),
        (["eval", "--data", "a", "--data", "b", "--data", "c"], "takes one file, or two"),
    ],
)
def test_wrong_usage_is_exit_code_2(cli, arguments, message):
    result = cli(*arguments)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""


def test_an_unforeseen_error_keeps_its_traceback():
    done = subprocess.run([sys.executable, "-c", BROKEN], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr
    assert "ZeroDivisionError: unforeseen" in done.stderr


def test_a_file_that_fails_unforeseen_is_named_without_a_traceback():
    broken = BROKEN.replace('ZeroDivisionError("unforeseen")', 'OSError(5, "Input/output error", "some.yaml")')
    done = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (6, "error: some.yaml: Input/output error\n")


def test_a_reader_that_leaves_early_is_no_error(process, configs, ok, datasets):
    ok("train", configs / "iris.yaml", "--set", "training.epochs=1")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        result = process("predict", "runs/iris", datasets / "iris.csv", stdout=pipe)
    assert result.err == ""
    assert result.code == 0


def test_training_goes_on_when_nobody_reads_its_lines(configs, run_files):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as pipe:
        arguments = [sys.executable, "-m", "bpcli", "train", str(configs / "xor.yaml"), "--set", "training.epochs=50"]
        subprocess.run(arguments, stdout=pipe, stderr=pipe, check=False, timeout=60)
    assert run_files(Path("runs/xor")).last.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [["epochs-calc", "--n", "10", "--batch", "3"], ["init", "--list"]])
def test_a_full_device_is_exit_code_6(process, arguments):
    with Path("/dev/full").open("wb") as full:
        result = process(*arguments, stdout=full)
    assert "Traceback" not in result.err
    assert result.code == 6
    assert "No space left on device" in result.err


def test_ascii_locale_and_no_home(process, configs):
    env = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "HOME": None}
    result = process("train", configs / "xor.yaml", "--set", "training.epochs=3", env=env)
    assert result.code == 0, result.err
    assert "files    runs/xor/" in result.out


@pytest.mark.parametrize("command", ["eval", "predict", "validate"])
def test_class_names_that_the_terminal_cannot_show(process, ok, write_config, command):
    Path("tiere.csv").write_text("x,tier\n1,Bär\n2,Bär\n8,Löwe\n9,Löwe\n", encoding="utf-8")
    write_config(
        {
            "data": {"train": "tiere.csv"},
            "network": {"layers": [1, 2]},
            "loss": "log_likelihood",
            "training": {"epochs": 2},
        },
        "tiere.yaml",
    )
    ok("train", "tiere.yaml")
    arguments = {"eval": [], "predict": ["tiere.csv"], "validate": ["tiere.yaml"]}[command]
    result = process(command, *arguments, env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
    assert "Traceback" not in result.err
    assert result.code == 0


def test_a_stdout_that_does_not_block_gets_everything(ok, configs, datasets):
    header, *rows = (datasets / "iris.csv").read_text(encoding="utf-8").splitlines()
    Path("many.csv").write_text("\n".join([header, *rows * 20]) + "\n", encoding="utf-8")
    ok("train", configs / "iris.yaml", "--set", "training.epochs=1", "--quiet")
    expected = ok("predict", "runs/iris", "many.csv").out.encode()
    assert len(expected) > 100_000  # more than a pipe holds
    read, write = os.pipe()
    os.set_blocking(write, False)
    command = [sys.executable, "-m", "bpcli", "predict", "runs/iris", "many.csv"]
    with subprocess.Popen(command, stdout=write, stderr=subprocess.DEVNULL) as child:
        os.close(write)
        time.sleep(1.0)  # the pipe is full before anybody reads
        with os.fdopen(read, "rb") as pipe:
            assert pipe.read() == expected
    assert child.returncode == 0


@pytest.mark.parametrize(
    "arguments", [["train", "xor.yaml"], ["eval"], ["predict", "a.csv", "-o", "b.csv"], ["init", "xor"]]
)
def test_a_current_folder_that_is_gone_is_said(arguments):
    script = "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); sys.argv[0] = 'bpcli'\n"
    script += "from bpcli.cli.main import main; main()"
    # -P as for the installed command: else Python 3.13.0 looks for modules there, and NumPy's import fails
    command = [sys.executable, "-P", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (2, 4, 6)
    assert "the current folder does not exist any more: change to another one with cd" in done.stderr
    assert "stdout" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
def test_openblas_starts_no_threads_of_its_own(configs):
    """Where it may not, as under `ulimit -u`, it sends the process a SIGINT."""
    script = "import sys; from bpcli.__main__ import main; sys.argv = ['bpcli', 'summary', sys.argv[1]]\n"
    script += "try:\n    main()\nfinally:\n    print(open('/proc/self/status').read(), file=sys.stderr)"
    environment = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    command = [sys.executable, "-c", script, str(configs / "xor.yaml")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "\nThreads:\t1\n" in done.stderr
