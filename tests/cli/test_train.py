"""bpcli train: the run folder it leaves, what it prints, and that equal runs are equal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import sys
import termios
from pathlib import Path

import pytest

CONTENTS = {"config.yaml", "loss.csv", "summary.json", "checkpoints", "checkpoints/last.npz", "checkpoints/best.npz"}
SHORT = ("--set", "training.epochs=4")


@pytest.fixture
def train(ok, configs, run_files):
    """`train("xor", ...)`: trains an example for four epochs and gives the run folder that it names."""

    def call(name, *arguments):
        out = ok("train", configs / f"{name}.yaml", *SHORT, *arguments).out
        return run_files(Path(re.search(r"^files +(.+)/: ", out, re.MULTILINE)[1]))

    return call


# the run folder


@pytest.mark.parametrize("name", ["xor", "iris"])
def test_run_folder_holds_what_the_contract_says(train, name):
    run = train(name)
    assert run.names() == CONTENTS


def test_further_checkpoints_are_kept(train):
    run = train("xor", "--set", "output={keep: 3, checkpoint_every: 1}")
    assert run.names() == CONTENTS | {"checkpoints/last-2.npz", "checkpoints/last-3.npz"}


def test_a_run_never_overwrites_another(train):
    first = train("xor")
    before = first.sha256(), (first.path / "loss.csv").read_bytes()
    assert [str(train("xor", "--set", "seed=3").path) for _ in range(2)] == ["runs/xor-2", "runs/xor-3"]
    assert (first.sha256(), (first.path / "loss.csv").read_bytes()) == before


def test_name_names_the_folder(train):
    assert str(train("xor", "--set", "name=my first run").path) == "runs/my first run"


def test_without_a_name_the_config_file_names_the_folder(ok, configs, datasets):
    text = (configs / "xor.yaml").read_text().replace("name: xor\n", "").replace("../datasets", str(datasets))
    Path("über me.yaml").write_text(text, encoding="utf-8")
    ok("train", "über me.yaml", *SHORT)
    assert Path("runs/über me/summary.json").is_file()


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".hidden", "/tmp/x", "x\ny"])
def test_a_name_that_leads_out_of_runs_is_refused(cli, configs, name):
    result = cli("train", configs / "xor.yaml", "--set", f"name={json.dumps(name)}")
    assert result.code == 2
    assert "must be a folder name" in result.err
    assert list(Path().iterdir()) == []


def test_output_dir_is_relative_to_the_current_folder(train):
    assert str(train("xor", "--set", "output.dir=elsewhere/deep").path) == "elsewhere/deep/xor"


def test_a_tilde_in_paths_of_the_config_is_the_home_folder(configs, ok, monkeypatch):
    home = Path("home").absolute()
    monkeypatch.setenv("HOME", str(home))
    home.mkdir()
    text = (configs / "xor.yaml").read_text().replace("../datasets/xor.csv", "~/xor.csv")
    (home / "xor.csv").write_bytes((configs.parent / "datasets" / "xor.csv").read_bytes())
    Path("c.yaml").write_text(text)
    ok("train", "c.yaml", *SHORT, "--set", "output.dir=~/results", "--set", "name=xor")
    assert sorted(path.name for path in Path().iterdir()) == ["c.yaml", "home"]
    ok("resume", home / "results" / "xor", "--set", "training.epochs=5")


def test_out_is_the_run_folder_itself(train):
    assert train("xor", "--out", "here/and there").names() == CONTENTS
    assert not Path("runs").exists()


@pytest.mark.parametrize("holds", [None, "notes.txt"])
def test_out_may_exist_if_it_holds_no_run(train, holds):
    Path("out").mkdir()
    if holds:
        Path("out", holds).write_text("mine")
    run = train("xor", "--out", "out")
    assert run.names() == CONTENTS | ({holds} if holds else set())


def test_out_that_holds_a_run_is_refused(train, cli, configs):
    run = train("xor")
    before = run.sha256()
    result = cli("train", configs / "xor.yaml", "--out", run.path)
    assert result.code == 2
    assert "holds a run already" in result.err
    assert "bpcli resume runs/xor" in result.err
    assert run.sha256() == before


def test_out_that_is_a_file_is_refused(cli, configs):
    Path("out").write_text("mine")
    result = cli("train", configs / "xor.yaml", "--out", "out")
    assert result.code == 2
    assert Path("out").read_text() == "mine"


def test_out_without_config_leaves_no_checkpoint_of_an_older_run(train, run_files):
    old = train("xor", "--out", "out", "--set", "output={keep: 3, checkpoint_every: 1}")
    Path("out/config.yaml").unlink()
    new = train("iris", "--out", "out")
    assert {name for name in new.names() if "old" not in name} == CONTENTS
    assert "checkpoints-old-1/last.npz" in new.names()  # put aside, not thrown away
    assert new.path == old.path


def test_out_overwrites_no_file_that_is_there(train):
    Path("out").mkdir()
    for name in ("loss.csv", "summary.json"):
        Path("out", name).write_text("mine")
    train("xor", "--out", "out")
    for name in ("loss-old-1.csv", "summary-old-1.json"):
        assert Path("out", name).read_text() == "mine"


def test_a_path_that_is_not_utf_8_is_refused(cli, configs, datasets):
    folder = Path(os.fsdecode(b"odd\xff"))
    (folder / "configs").mkdir(parents=True)
    (folder / "datasets").mkdir()
    shutil.copy(configs / "xor.yaml", folder / "configs")
    shutil.copy(datasets / "xor.csv", folder / "datasets")
    result = cli("train", folder / "configs" / "xor.yaml")
    assert result.code == 2
    assert "rename what is not UTF-8" in result.err


# its files


def test_config_of_the_run_has_defaults_filled_in_and_overrides_applied(train):
    config = train("xor", "--set", "optimizer.momentum=0.8").config
    assert config["optimizer"]["momentum"] == 0.8
    assert config["training"]["epochs"] == 4
    assert config["training"]["drop_last"] is False
    assert config["output"] == {"dir": "runs", "checkpoint_every": "auto", "keep": 2}


@pytest.mark.parametrize("name", ["xor", "iris", "xor-bias-free", "textbook-2-2-2", "diabetes"])
def test_config_of_the_run_trains_again_to_the_same_bytes(train, ok, run_files, name):
    run = train(name)
    ok("train", run.path / "config.yaml")
    again = run_files(Path(f"runs/{name}-2"))
    assert again.sha256() == run.sha256()
    assert (again.path / "config.yaml").read_bytes() == (run.path / "config.yaml").read_bytes()


@pytest.mark.parametrize("name", ["xor", "iris", "breast-cancer"])
def test_equal_runs_leave_equal_bytes(train, name):
    first, second = train(name), train(name)
    assert first.sha256() == second.sha256()
    assert first.log() == second.log()


def test_threads_do_not_change_a_bit(train):
    shards = ("--set", "training.shards=2")
    first, second = (train("digits", *shards, "--threads", n) for n in (1, 2))
    assert first.sha256() == second.sha256()


def test_another_seed_gives_another_network(train):
    assert train("iris").sha256() != train("iris", "--set", "seed=99").sha256()


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("xor", ["epoch", "iteration", "train_loss", "val_loss", "learning_rate"]),
        ("iris", ["epoch", "iteration", "train_loss", "val_loss", "val_accuracy", "learning_rate"]),
        (
            "diabetes",
            ["epoch", "iteration", "train_loss", "val_loss", "val_rmse", "val_mae", "val_r2", "learning_rate"],
        ),
    ],
)
def test_loss_csv_has_a_row_for_each_epoch(train, name, columns):
    run = train(name)
    assert run.log()[0] == columns
    assert run.epochs() == [1, 2, 3, 4]
    assert (run.path / "loss.csv").read_text().splitlines()[0].endswith(",seconds")


def test_loss_csv_counts_iterations(train):
    assert [row[1] for row in train("iris").log()[1:]] == ["6", "12", "18", "24"]  # 90 samples in batches of 16


def test_loss_csv_leaves_a_field_empty_where_there_is_no_value(train):
    assert {row[3] for row in train("xor").log()[1:]} == {""}


def test_loss_csv_has_every_third_row_and_the_last(train):
    assert train("xor", "--set", "training={epochs: 7, log_every: 3}").epochs() == [3, 6, 7]


def test_summary_says_how_the_run_ended(train):
    run = train("iris")
    summary = json.loads((run.path / "summary.json").read_text())
    assert (summary["stop"], summary["epochs"], summary["iterations"], summary["seed"]) == ("epochs", 4, 24, 1)
    assert summary["samples"] == {"train": 90, "val": 30, "test": 30}
    assert set(summary["last"]) == set(summary["best"]) == {"train", "val", "test"}
    assert set(summary["last"]["test"]) == {"loss", "accuracy"}
    assert set(summary["environment"]) >= {"bpcli", "numpy", "python"}
    assert re.fullmatch("[0-9a-f]{64}", summary["data_sha256"]["train: iris.csv"])
    assert summary["seconds"] >= 0


@pytest.mark.parametrize(
    ("override", "stop"),
    [
        ("training.goal=0.2", "goal"),
        ("training.min_change=1000", "min_change"),
        ("training.max_seconds=1e-9", "max_seconds"),
        ("training.early_stopping={monitor: train_loss, patience: 1, min_delta: 9}", "early_stopping"),
    ],
)
def test_summary_says_why_it_stopped(ok, configs, override, stop):
    out = ok("train", configs / "xor.yaml", "--set", override).out
    assert json.loads(Path("runs/xor/summary.json").read_text())["stop"] == stop
    assert "stopped  all epochs done" not in out


# what it prints


def test_ends_with_a_table_and_what_to_do_next(train, ok, configs):
    out = ok("train", configs / "iris.yaml", *SHORT).out
    assert out.splitlines()[0].split() == ["weights", "split", "loss", "accuracy"]
    assert "next     bpcli eval runs/iris    bpcli predict runs/iris FILE" in out


@pytest.mark.parametrize("option", ["--quiet", "-q"])
def test_quiet_prints_nothing(ok, configs, option):
    result = ok("train", configs / "iris.yaml", *SHORT, option)
    assert (result.out, result.err) == ("", "")


def test_lines_are_plain_where_there_is_no_terminal(ok, configs):
    result = ok("train", configs / "iris.yaml", *SHORT)
    assert "\r" not in result.err + result.out
    assert "\x1b" not in result.err + result.out
    assert result.err.splitlines()[-1].startswith("epoch 4/4  loss ")


def test_lines_are_few_where_epochs_are_many(ok, configs):
    result = ok("train", configs / "xor.yaml", "--set", "training.epochs=1000")
    assert len(result.err.splitlines()) <= 12


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix's")
@pytest.mark.parametrize("size", [(50, 120), (24, 80), (0, 0)], ids=["wide", "usual", "of unknown size"])
def test_shows_a_bar_on_a_terminal(start, configs, size):
    terminal, child_end = pty.openpty()
    fcntl.ioctl(child_end, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    child = start("train", configs / "xor.yaml", "--set", "training.epochs=3000", stderr=child_end)
    os.close(child_end)
    shown = b""
    try:
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:  # Linux says so when the other end is closed
        pass
    os.close(terminal)
    assert child.wait(30) == 0
    assert b"\r" in shown
    assert b"/3000 epochs, loss 0." in shown
    assert b"Traceback" not in shown


def test_paths_with_blanks_and_unicode(ok, configs, datasets, run_files):
    folder = Path("Größe 中文 folder")
    folder.mkdir()
    (folder / "my däta.csv").write_bytes((datasets / "xor.csv").read_bytes())
    text = (configs / "xor.yaml").read_text().replace("../datasets/xor.csv", "my däta.csv")
    (folder / "a config.yaml").write_text(text, encoding="utf-8")
    ok("train", folder / "a config.yaml", *SHORT, "--out", folder / "the rün")
    assert run_files(folder / "the rün").names() == CONTENTS
    ok("eval", folder / "the rün")
    ok("train", folder / "the rün" / "config.yaml", "--out", "again")


# overrides


def test_set_may_be_given_more_than_once(ok, configs, run_files):
    ok("train", configs / "xor.yaml", "--set", "training.epochs=2", "--set", "training.epochs=3", "--set", "seed=5")
    config = run_files(Path("runs/xor")).config
    assert (config["training"]["epochs"], config["seed"]) == (3, 5)


def test_a_path_in_set_starts_at_the_current_folder(ok, configs, datasets):
    Path("mine.csv").write_bytes((datasets / "and.csv").read_bytes())
    ok("train", configs / "xor.yaml", *SHORT, "--set", "data.train=mine.csv")
    assert "train: mine.csv" in json.loads(Path("runs/xor/summary.json").read_text())["data_sha256"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs", "expected KEY=VALUE"),
        ("training.epoch=3", 'did you mean "epochs"?'),
        ("training.epochs=zero", "training.epochs: expected an integer"),
        ("training.epochs=0", "training.epochs: must be at least 1, got 0"),
        ("optimizer.learning_rate=-1", "optimizer.learning_rate: must be"),
        ("network.layers=[3, 4, 1]", "the data has 2 inputs (x1, x2), got 3"),
        ("optimizer=adm", 'did you mean "adam"?'),
    ],
)
def test_a_wrong_override_is_exit_code_2_and_leaves_nothing(cli, configs, override, message):
    result = cli("train", configs / "xor.yaml", "--set", override)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert list(Path().iterdir()) == []


def test_the_penalty_is_reported_apart_from_the_losses(ok, configs):
    table = ok("train", configs / "diabetes.yaml", "--out", "run", "--set", "optimizer.weight_decay=0.5").out
    penalty = json.loads(Path("run/summary.json").read_text())["penalty"]
    assert penalty > 0
    assert f"penalty  {penalty:.5g} by weight_decay and l1" in table


def test_a_decoupled_decay_is_no_penalty(ok, configs):
    ok("train", configs / "digits-cosine.yaml", "--out", "run", "--set", "training.epochs=1")
    assert json.loads(Path("run/summary.json").read_text())["penalty"] == 0


@pytest.mark.parametrize("setting", ["loss={type: focal, gamma: 2}", "loss=hinge"])
def test_a_loss_for_classes_needs_no_word_on_task_or_output(ok, cli, configs, setting):
    ok("train", configs / "iris.yaml", "--out", "run", "--quiet", "--set", setting)
    assert json.loads(ok("eval", "run", "--json").out)["metrics"]["accuracy"] > 0.9


def test_hinge_with_one_output_decides_at_0(ok, configs):
    ok("train", configs / "breast-cancer.yaml", "--out", "run", "--quiet", "--set", "loss=hinge")
    assert json.loads(ok("eval", "run", "--json").out)["metrics"]["accuracy"] > 0.93
