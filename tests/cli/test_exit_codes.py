"""Every exit code of the contract that an error leads to, each with a message that says what to do about it.

0 is in every test; 1 and 6 for a full device are in test_main.py; 130 and 143 in test_signals.py.
"""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

RELU = {
    "name": "lines",
    "data": {"train": "lines.csv", "task": "regression"},
    "network": {"layers": [1, 8, 1], "activation": "relu"},
    "optimizer": {"type": "sgd", "learning_rate": 1.0e-4},
    "training": {"epochs": 3, "batch_size": 4},
    "output": {"checkpoint_every": 1},
}


@pytest.fixture
def lines(write_config):
    """The config of a network that a large learning rate blows up."""
    Path("lines.csv").write_text("x,y\n" + "".join(f"{x},{3 * x + 1}\n" for x in range(20)))
    return write_config(RELU, "lines.yaml")


def test_a_monitored_metric_beyond_all_numbers_is_exit_code_5(write_config, cli):
    """Targets are scaled for training, and squared in their own units for the metric."""
    Path("far.csv").write_text("x,y\n" + "".join(f"{x},{x % 7}e200\n" for x in range(20)))
    data = {"train": "far.csv", "val": 0.2, "scale": "standard", "task": "regression"}
    training = {"epochs": 3, "early_stopping": {"monitor": "val_rmse"}}
    config = {"dtype": "float64", "data": data, "network": {"layers": [1, 4, 1]}, "training": training}
    result = cli("train", write_config(config, "far.yaml"), "--quiet")
    assert_one_clean_message(result, 5)
    assert "in epoch 1, iteration 1: val_rmse, which is monitored, is not finite" in result.err


def assert_one_clean_message(result, code):
    assert result.code == code
    assert result.err.startswith("error: ")
    assert "Traceback" not in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("command", "config"),
    [
        *((command, "nothing.yaml") for command in ("train", "validate", "step", "summary")),
        *((command, "folder") for command in ("train", "validate", "step")),  # for summary a folder is a run
    ],
)
def test_a_config_that_is_not_there_is_exit_code_2(cli, command, config):
    Path("folder").mkdir()
    assert_one_clean_message(cli(command, config), 2)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("x1,x2,y\n0,0,0\n0,1\n", "lines.csv:3: got 2 cells, expected 3"),
        ("x1,x2,y\n0,nan,0\n1,1,1\n", "x2"),
        ("x1,x2,y\n0,,0\n1,1,1\n", "x2"),
        ("x1,x2,y\n", "lines.csv"),
        ("", "lines.csv"),
        ("x1,x2,y\n0,0,0\n1,1,0\n", "class"),
    ],
)
def test_wrong_data_is_exit_code_3(cli, configs, content, named):
    Path("lines.csv").write_text(content)
    result = cli("train", configs / "xor.yaml", "--set", "data.train=lines.csv")
    assert_one_clean_message(result, 3)
    assert "lines.csv" in result.err
    assert named in result.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", ["train", "resume", "profile"])
@pytest.mark.parametrize("threads", ["0", "-1", "1025", str(10**9)])
def test_a_number_of_threads_out_of_range_is_exit_code_2(cli, configs, command, threads):
    result = cli(command, configs / "xor.yaml", "--threads", threads)
    assert (result.code, result.out) == (2, "")
    assert f"{threads} is not in the range 1<=x<=1024" in result.err


@pytest.mark.parametrize("command", ["train", "validate", "step"])
def test_a_data_file_that_is_not_there_is_exit_code_3(cli, configs, command):
    result = cli(command, configs / "xor.yaml", "--set", "data.train=nothing.csv")
    assert_one_clean_message(result, 3)
    assert "nothing.csv" in result.err


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        ("resume", "nothing/at/all"),
        ("resume", "empty"),
        ("eval", "nothing/at/all"),
        ("eval", "empty"),
        ("summary", "empty"),  # what is not there is a missing config for summary
    ],
)
def test_no_run_is_exit_code_4(cli, command, folder):
    Path("empty").mkdir()
    result = cli(command, folder)
    assert_one_clean_message(result, 4)
    assert folder in result.err


@pytest.mark.parametrize("arguments", [["eval"], ["predict", "data.csv"]])
def test_no_run_under_runs_is_exit_code_4(cli, arguments):
    result = cli(*arguments)
    assert_one_clean_message(result, 4)
    assert "bpcli train" in result.err


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty", "text"])
@pytest.mark.parametrize("arguments", [["eval"], ["predict", "runs/lines", "lines.csv"], ["summary", "runs/lines"]])
def test_a_damaged_checkpoint_is_exit_code_4(cli, ok, lines, run_files, arguments, harm):
    ok("train", lines)
    path = run_files(Path("runs/lines")).best
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(
        {
            "cut": content[:middle],
            "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
            "empty": b"",
            "text": b"not a checkpoint",
        }[harm]
    )
    result = cli(*arguments)
    assert_one_clean_message(result, 4)
    assert "best.npz: damaged, or not a checkpoint of bpcli" in result.err


def test_divergence_is_exit_code_5_and_says_where(cli, lines):
    result = cli("train", lines, "--set", "optimizer.learning_rate=1e10", "--quiet")
    assert result.code == 5
    assert "diverged in epoch 1, iteration " in result.err
    assert "layer dense_" in result.err
    assert "optimizer.learning_rate (it was 1e+10)" in result.err


def test_divergence_is_one_error_not_several_problems(cli, lines):
    result = cli("train", lines, "--set", "optimizer.learning_rate=1e10", "--quiet")
    assert_one_clean_message(result, 5)


def test_a_gradient_beyond_all_numbers_is_told_in_its_own_iteration(cli, write_config):
    """Of a finite loss: x = 1e30 with a weight of 1e-30 gives 1, but dL/dW = 2 (1 - 1e9) 1e30 is no float32."""
    Path("huge.csv").write_text("x,y\n" + "1e30,1e9\n" * 4)
    layer = {"type": "dense", "units": 1, "weights": [[1e-30]], "biases": [0]}
    config = write_config(RELU, "huge.yaml", data={"train": "huge.csv"}, network={"layers": [layer]})
    result = cli("train", config, "--set", "training.batch_size=1", "--quiet")
    assert result.code == 5
    assert "diverged in epoch 1, iteration 1: the gradient of layer dense_1 is not finite" in result.err


def test_divergence_keeps_the_checkpoint_before_it(cli, ok, lines, run_files):
    ok("train", lines)
    run = run_files(Path("runs/lines"))
    last, best = run.weights("last"), run.sha256("best.npz")
    diverging = ("--set", "optimizer.learning_rate=1e10", "--set", "training.epochs=50")
    result = cli("resume", "runs/lines", *diverging, "--quiet")
    assert result.code == 5
    assert "runs/lines/checkpoints/last.npz (epoch 3)" in result.err
    assert (run.weights("last"), run.sha256("best.npz")) == (last, best)


def test_after_divergence_a_lower_rate_goes_on(cli, ok, lines, run_files):
    ok("train", lines)
    assert cli("resume", "runs/lines", "--set", "optimizer.learning_rate=1e10", "--set", "training.epochs=9").code == 5
    ok("resume", "runs/lines", "--set", "optimizer.learning_rate=1e-5", "--set", "training.epochs=9")
    assert run_files(Path("runs/lines")).epochs() == list(range(1, 10))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--out", "/dev/null/x"],
        ["--out", "a file/run"],
        ["--set", "output.dir=a file"],
        ["--set", "output.dir=a file/deep/runs"],
    ],
)
def test_no_folder_can_be_made_is_exit_code_6_before_the_first_epoch(cli, lines, arguments):
    Path("a file").write_text("mine")
    result = cli("train", lines, *arguments)
    assert_one_clean_message(result, 6)
    assert arguments[1].partition("=")[2] or arguments[1] in result.err
    assert Path("a file").read_text() == "mine"


def test_predictions_that_cannot_be_written_are_exit_code_6(cli, ok, lines):
    ok("train", lines)
    result = cli("predict", "runs/lines", "lines.csv", "-o", "nowhere/predictions.csv")
    assert_one_clean_message(result, 6)
    assert "nowhere/predictions.csv" in result.err


def at_most(size):
    """Makes files end at this many bytes, as a full disk would."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_at_a_checkpoint_is_exit_code_6(process, lines, run_files):
    result = process("train", lines, preexec_fn=at_most(3000))
    assert result.code == 6
    assert "error: cannot write runs/lines/checkpoints/" in result.err
    assert "File too large" in result.err
    assert run_files(Path("runs/lines")).names() == {"config.yaml", "loss.csv", "checkpoints"}


def test_a_full_disk_loses_no_earlier_checkpoint(process, ok, lines, run_files):
    ok("train", lines)
    run = run_files(Path("runs/lines"))
    before = run.weights("last")
    assert process("resume", "runs/lines", "--set", "training.epochs=6", preexec_fn=at_most(3000)).code == 6
    ok("eval", "runs/lines")
    kept = "last" if run.last.exists() else "last-2"
    assert run.weights(kept) == before


def test_a_run_goes_on_after_a_full_disk_to_the_weights_of_an_unbroken_one(process, ok, lines, run_files):
    assert process("train", lines, "--set", "training.epochs=6", preexec_fn=at_most(3000)).code == 6
    ok("resume", "runs/lines")
    ok("train", lines, "--set", "training.epochs=6")
    broken, whole = run_files(Path("runs/lines")), run_files(Path("runs/lines-2"))
    assert broken.weights() == whole.weights()
    assert broken.log() == whole.log()


def test_a_leftover_of_a_failed_save_is_cleared_away(process, lines):
    process("train", lines, preexec_fn=at_most(3000))
    assert not list(Path("runs").rglob("*.tmp"))


def test_a_run_folder_in_use_is_exit_code_7(start, cli, lines, run_files):
    Path("lines.yaml").write_text(Path("lines.yaml").read_text().replace("epochs: 3", "epochs: 1000000"))
    first = start("train", lines)
    assert first.stderr.readline().startswith("epoch 1/")
    result = cli("resume", "runs/lines")
    assert_one_clean_message(result, 7)
    assert "runs/lines: another process" in result.err
    assert first.poll() is None


def test_all_weights_of_a_run_that_ended_well_are_finite(ok, lines, run_files):
    ok("train", lines)
    with np.load(run_files(Path("runs/lines")).best) as arrays:
        assert all(np.isfinite(arrays[name]).all() for name in arrays.files if name.startswith("dense"))
