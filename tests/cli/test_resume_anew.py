"""A resume from another checkpoint than the newest, or of a run that has lost some of its files: no more is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bpcli.errors import DiskError
from bpcli.runs import recorder
from bpcli.runs.checkpoint import load_checkpoint

EPOCHS = 8


@pytest.fixture
def keep() -> int:
    """How many last checkpoints the run keeps."""
    return 2


@pytest.fixture
def run(ok: Callable[..., Any], configs: Path, run_files: Any, keep: int) -> Any:
    """Eight epochs, each saved; the best is an earlier one than the last."""
    changes = [f"training.epochs={EPOCHS}", "training.early_stopping=null", "output.checkpoint_every=1"]
    changes += [f"output.keep={keep}", "optimizer.learning_rate=0.2"]
    ok("train", configs / "iris.yaml", "--out", "run", *(part for text in changes for part in ("--set", text)))
    files = run_files(Path("run"))
    assert epoch(files.best) < EPOCHS - 1
    return files


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`full_disk("last")`: from now on that checkpoint cannot be written; with "" all can."""
    save = recorder.save_checkpoint

    def call(name: str) -> None:
        def fail(path: Path, *arguments: Any, **options: Any) -> None:
            if path.stem == name:
                raise DiskError(f"cannot write {path}: No space left on device")
            save(path, *arguments, **options)

        monkeypatch.setattr(recorder, "save_checkpoint", fail)

    return call


def epoch(checkpoint: Path) -> int:
    return int(load_checkpoint(checkpoint).state["epoch"])


def on(*changes: str) -> list[str]:
    return [part for text in ("training.epochs=10", *changes) for part in ("--set", text)]


@pytest.mark.parametrize("named", [False, True], ids=["the run", "the whole one by name"])
def test_a_save_that_fails_beside_a_damaged_checkpoint_leaves_the_whole_one(run, cli, ok, full_disk, named):
    run.last.write_bytes(b"junk")
    full_disk("last")
    older = run.last.with_name("last-2.npz")
    assert cli("resume", older if named else run.path, *on()).code == 6
    full_disk("")
    ok("resume", run.path, *on())
    assert run.epochs() == list(range(1, 11))


def test_a_damaged_checkpoint_is_put_aside_and_the_user_told(run, ok):
    run.last.write_bytes(b"junk")
    assert "last.npz: put aside as damaged-1.npz" in ok("resume", run.path, *on()).err
    assert run.last.with_name("damaged-1.npz").read_bytes() == b"junk"


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_named_checkpoint_that_cannot_be_saved_changes_nothing(run, cli, full_disk, name):
    """loss.csv keeps its rows: the newest checkpoint there is still needs them."""
    before = run.log()
    full_disk(name)
    assert cli("resume", run.best, *on("optimizer.learning_rate=0.01")).code == 6
    assert run.log() == before


@pytest.mark.parametrize(("keep", "name"), [(2, "last"), (2, "last-2"), (EPOCHS, f"last-{EPOCHS}")])
def test_a_named_checkpoint_that_cannot_be_saved_leaves_all_checkpoints(run, cli, full_disk, name):
    """Else the same command, given again on a disk with room, would go on from another epoch.

    And best.npz stays the best of a run that had ended, which is not gone on with.
    """
    before = {path.name: path.read_bytes() for path in run.last.parent.iterdir()}
    full_disk("last")
    assert cli("resume", run.last.with_name(f"{name}.npz"), *on()).code == 6
    assert {path.name: path.read_bytes() for path in run.last.parent.iterdir()} == before


def test_after_a_named_checkpoint_nothing_leads_back_to_what_was_given_up(run, cli, monkeypatch):
    best = epoch(run.best)

    def fail(*arguments: Any) -> None:
        raise DiskError("the power is gone")

    monkeypatch.setattr(recorder.Recorder, "take", fail)
    assert cli("resume", run.best, *on("optimizer.learning_rate=0.01")).code == 6
    found = [epoch(path) for path in run.path.glob("checkpoints/*.npz")]
    assert max(found) == best
    assert run.epochs() == list(range(1, best + 1))


def test_goes_on_from_the_best_where_it_is_all_there_is(run, ok):
    best, weights = epoch(run.best), run.weights("last")
    for path in run.path.glob("checkpoints/last*.npz"):
        path.unlink()
    said = ok("resume", run.path).err
    assert "there is no last.npz: going on from best.npz" in said
    assert f"going on from epoch {best}" in said
    assert run.epochs() == list(range(1, EPOCHS + 1))
    assert run.weights("last") == weights


def test_a_damaged_best_that_is_all_there_is_says_how_to_train_anew(run, cli, ok):
    for path in run.path.glob("checkpoints/last*.npz"):
        path.unlink()
    run.best.write_bytes(b"junk")
    result = cli("resume", run.path)
    assert result.code == 4
    assert "best.npz: damaged" in result.err
    ok(*result.err.split("bpcli ")[-1].split(), "--out", "anew")


def test_a_best_of_the_last_epoch_that_is_all_there_is_has_ended(ok, configs):
    ok("train", configs / "xor.yaml", "--out", "run", "--set", "training.epochs=3")
    Path("run/checkpoints/last.npz").unlink()
    assert epoch(Path("run/checkpoints/best.npz")) == 3
    said = ok("resume", "run").err
    assert "the run has ended (epoch 3). To go on: bpcli resume run --set training.epochs=6" in said
    ok("resume", "run", "--set", "training.epochs=6")


def test_nothing_but_a_whole_best_says_how_to_go_on_from_it(run, cli, ok):
    for path in run.path.glob("checkpoints/last*.npz"):
        path.write_bytes(b"junk")
    said = cli("resume", run.path)
    assert said.code == 4
    advice = said.err.split("bpcli ")[-1].split()
    weights = run.weights("best")
    ok(*advice)
    assert run.weights("best") == weights


@pytest.mark.parametrize("harm", ["junk", "missing"])
def test_a_finished_run_gets_back_its_best(run, ok, cli, harm):
    before = run.sha256()
    run.best.unlink()
    if harm == "junk":
        run.best.write_bytes(b"junk")
    said = cli("eval", run.path, "--checkpoint", "best")
    assert said.code == 4
    assert "bpcli resume run writes it anew" in said.err
    ok("resume", run.path, "--set", "name=other")  # which is not applied
    assert run.sha256() == before


def test_a_missing_best_is_told_where_the_last_takes_its_place(run, ok):
    run.best.unlink()
    assert "best.npz: is missing" in ok("eval", run.path).err
    assert "missing" not in ok("eval", run.path, "--checkpoint", "last").err


@pytest.mark.parametrize("stopping", ["{monitor: val_accuracy, patience: 50}", "{monitor: train_loss, patience: 50}"])
def test_another_monitor_is_refused(run, cli, stopping):
    """The best so far is a loss, which no accuracy can be compared with."""
    result = cli("resume", run.path, *on(f"training.early_stopping={stopping}"))
    assert result.code == 4
    assert "its best epoch is the best by val_loss" in result.err


def test_a_monitor_cannot_be_taken_away_either(ok, cli, configs):
    stopping = "training.early_stopping={monitor: val_accuracy, patience: 2}"
    ok("train", configs / "iris.yaml", "--out", "run", "--set", stopping)
    result = cli("resume", "run", "--set", "training.early_stopping=null")
    assert result.code == 4
    assert "raise training.early_stopping.patience" in result.err
    ok("resume", "run", "--set", "training.early_stopping.patience=4")


def test_another_choice_among_equal_epochs_is_refused(ok, cli, configs):
    stopping = "training.early_stopping={monitor: val_accuracy, patience: null, ties: last}"
    ok("train", configs / "iris.yaml", "--out", "run", "--set", stopping, "--set", "training.epochs=3")
    for change in ("training.early_stopping.ties=first", "training.early_stopping={monitor: val_accuracy}"):
        result = cli("resume", "run", "--set", change, "--set", "training.epochs=5")
        assert result.code == 4
        assert "its best epoch is the last of equals, now it would be the first. Keep `ties: last`" in result.err
    ok("resume", "run", "--set", "training.early_stopping.patience=4", "--set", "training.epochs=5")


@pytest.mark.parametrize("junk", [b"\xb0,1,2\n", "\u00b2,1,2\n".encode()], ids=["no UTF-8", "a superscript"])
def test_a_damaged_row_of_the_log_is_dropped(run, ok, junk):
    with (run.path / "loss.csv").open("ab") as file:
        file.write(junk)
    ok("resume", run.path, *on())
    assert run.epochs() == list(range(1, 11))


def test_a_log_in_another_form_is_put_aside(run, ok):
    log = run.path / "loss.csv"
    log.write_text(text := log.read_text().replace(",", ";"))
    assert "loss.csv: none of its rows can be read; put aside as loss-old-1.csv" in ok("resume", run.path, *on()).err
    assert log.with_name("loss-old-1.csv").read_text() == text
    assert run.epochs() == [9, 10]


def test_a_log_that_is_missing_is_told(run, ok):
    (run.path / "loss.csv").unlink()
    assert "loss.csv: is missing; begun anew" in ok("resume", run.path, *on()).err
    assert run.epochs() == [9, 10]


def test_a_log_that_is_missing_is_told_beside_a_named_checkpoint_too(run, ok):
    (run.path / "loss.csv").unlink()
    assert "loss.csv: is missing; begun anew" in ok("resume", run.best, *on()).err


def test_a_row_without_numbers_is_no_traceback_at_the_end(run, ok):
    log = run.path / "loss.csv"
    header, *rows = log.read_text().splitlines(keepends=True)
    log.write_text("".join([header, *(row.replace("0.", "?.") for row in rows)]))
    ok("resume", run.path, *on())
    assert run.epochs() == list(range(1, 11))


@pytest.mark.parametrize("place", [".", "..", "../other"])
def test_a_checkpoint_is_found_from_wherever_it_is_named(run, ok, monkeypatch, place):
    folder = run.path.absolute()
    (folder / "other").mkdir()
    monkeypatch.chdir(folder / "checkpoints" / place)
    name = {".": "last.npz", "..": "checkpoints/last.npz", "../other": "../checkpoints/last.npz"}[place]
    assert "the run has ended" in ok("resume", name).err
    assert "30 samples" in ok("eval", name).out


def test_fewer_epochs_than_there_are_do_not_end_a_run_that_was_killed(run, ok):
    run.last.unlink()  # the one before is of the middle of the run, as a killed process leaves it
    (run.path / "summary.json").unlink()
    said = ok("resume", run.path, "--set", "training.epochs=3").err
    assert f"epoch {EPOCHS - 1} is over already. To go on as before: bpcli resume run" in said
    assert "not applied: training.epochs: 8 -> 3" in said
    assert not (run.path / "summary.json").exists()
    ok("resume", run.path)
    assert run.epochs() == list(range(1, EPOCHS + 1))


def test_a_run_that_was_moved_away_from_its_data_says_how_to_name_them(cli, ok, configs):
    Path("iris.csv").write_bytes((configs.parent / "datasets" / "iris.csv").read_bytes())
    ok("train", configs / "iris.yaml", "--out", "run", "--set", "training.epochs=3", "--set", "data.train=iris.csv")
    Path("deep").mkdir()
    Path("run").rename("deep/run")
    result = cli("resume", "deep/run", *on())
    assert result.code == 3
    assert result.err.endswith("; where it lies now is said by --set data.train=FILE\n")
    result = cli("eval", "deep/run")
    assert result.code == 3
    assert result.err.endswith("; name the file to evaluate on: --data FILE\n")
    ok("resume", "deep/run", *on("data.train=iris.csv"))
    ok("eval", "deep/run")


@pytest.mark.parametrize("gone", ["x", "y"])
def test_a_pair_of_files_that_is_gone_is_named_by_its_key(cli, ok, gone):
    rng = np.random.default_rng(0)
    np.save("x.npy", rng.normal(size=(8, 2)))
    np.save("y.npy", rng.normal(size=8))
    Path("c.yaml").write_text("data: {train: {x: x.npy, y: y.npy}}\nnetwork: {layers: [2, 1]}\ntraining: {epochs: 2}\n")
    ok("train", "c.yaml", "--out", "run")
    Path(f"{gone}.npy").rename("moved.npy")
    result = cli("resume", "run", "--set", "training.epochs=3")
    assert result.code == 3
    assert result.err.endswith(f"; where it lies now is said by --set data.train.{gone}=FILE\n")
    ok("resume", "run", "--set", "training.epochs=3", "--set", f"data.train.{gone}=moved.npy")


def test_a_folder_named_like_the_home_folder_is_found_again(ok, configs):
    Path("~").mkdir()
    Path("~/iris.csv").write_bytes((configs.parent / "datasets" / "iris.csv").read_bytes())
    changes = ["--set", "data.train=./~/iris.csv", "--set", "training.epochs=2"]
    ok("train", configs / "iris.yaml", "--out", ".", *changes)
    ok("resume", ".", *on())


@pytest.mark.parametrize(
    "text",
    [
        '{"iterations": 1e999}',
        "[" * 100_000,
        '{"iterations": ' + "9" * 5000 + "}",
        "[]",
        "null",
        "\0",
        '{"iterations": {}}',
    ],
    ids=["infinite", "deep", "long number", "list", "null", "NUL", "no number"],
)
def test_a_summary_that_somebody_else_has_written_is_written_anew(ok, configs, text):
    ok("train", configs / "xor.yaml", "--out", "run", "--set", "training.epochs=3")
    before = json.loads(Path("run/summary.json").read_text())
    Path("run/summary.json").write_text(text)
    ok("resume", "run")
    after = json.loads(Path("run/summary.json").read_text())
    assert after["iterations"] == before["iterations"]


def test_a_config_that_was_edited_by_hand_is_kept(run, ok):
    text = (run.path / "config.yaml").read_text()
    ok("resume", "run", *on())
    assert not list(run.path.glob("config-old*"))
    edited = "# why this rate: see the paper\n" + (run.path / "config.yaml").read_text()
    assert text != edited
    (run.path / "config.yaml").write_text(edited)
    result = ok("resume", "run", "--set", "training.epochs=12")
    assert "run/config.yaml: was changed by hand; written anew with what it says" in result.err
    assert (run.path / "config-old-1.yaml").read_text() == edited
    assert run.config["training"]["epochs"] == 12


def test_a_folder_with_somebodys_config_is_no_run_to_go_on_with(cli, configs):
    text = (configs / "xor.yaml").read_text()
    Path("config.yaml").write_text(text)
    for name in (".", "../" + Path.cwd().name):
        result = cli("resume", name)
        assert result.code == 4
        assert "holds a config.yaml but no run of it" in result.err
    assert [path.name for path in Path().iterdir()] == ["config.yaml"]
    assert Path("config.yaml").read_text() == text


def test_permissions_stay_over_a_resume(run, ok):
    for path in run.path.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
    ok("resume", "run", *on())
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in run.path.rglob("*") if path.is_file()}
    assert set(modes.values()) == {"0o600"}, modes
