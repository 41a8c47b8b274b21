"""Where results go, and which run is meant: names that lead nowhere, that no shell expanded, or that are taken."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def run(ok, configs):
    """A run of six epochs with a checkpoint after each, and its data."""
    Path("xor.csv").write_text("x1,x2,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n")
    sets = ["training.epochs=6", "output.checkpoint_every=1", "data.train=xor.csv"]
    ok("train", configs / "xor.yaml", "--out", "r", *(word for text in sets for word in ("--set", text)))
    return Path("r")


def test_an_option_without_a_name_is_refused_and_nothing_is_written(cli, run, configs):
    shutil.rmtree(run)
    before = sorted(Path().rglob("*"))
    result = cli("train", configs / "xor.yaml", "--out", "")
    assert result.code == 2
    assert "--out': names nothing; the current folder is ." in result.err
    result = cli("train", configs / "xor.yaml", "--set", "output.dir=''")
    assert result.code == 2
    assert "--set output.dir: names nothing; the current folder is ." in result.err
    assert sorted(Path().rglob("*")) == before


def test_a_tilde_that_no_shell_expanded_is_the_home_folder(cli, ok, run, configs, monkeypatch):
    home = Path("home").absolute()
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    ok("train", configs / "xor.yaml", "--set", "training.epochs=1", "--out=~/r")
    ok("predict", run, "xor.csv", "--output=~/out.csv")
    shutil.copy("xor.csv", home / "xor.csv")
    ok("eval", run, "--data=~/xor.csv")
    assert (home / "r" / "config.yaml").is_file()
    assert (home / "out.csv").is_file()
    for words in (["--out=~nobody-at-all/r"], ["--set", "output.dir=~nobody-at-all/r"]):
        result = cli("train", configs / "xor.yaml", *words)
        assert result.code == 2
        assert "there is no such user" in result.err
    assert not [path for path in Path().iterdir() if path.name.startswith("~")]


def test_a_link_that_leads_nowhere_is_named(cli, configs):
    Path("link").symlink_to("nowhere")
    told = cli("train", configs / "xor.yaml", "--out", "link").err
    assert "--out link: this is a link that leads nowhere; make the folder that it names first" in told
    told = cli("train", configs / "xor.yaml", "--set", "output.dir=link").err
    assert "cannot make a run folder in link: this is a link that leads nowhere; set output.dir" in told


def test_the_checkpoints_of_a_run_are_no_place_for_another(cli, run, configs):
    result = cli("train", configs / "xor.yaml", "--out", run / "checkpoints")
    assert result.code == 2
    assert "holds the checkpoints of a run; choose another folder" in result.err


def test_what_is_put_aside_for_a_new_run_is_told(ok, configs):
    Path("u/checkpoints").mkdir(parents=True)
    Path("u/checkpoints/model.pt").write_text("mine")
    Path("u/loss.csv").write_text("mine")
    told = ok("train", configs / "xor.yaml", "--set", "training.epochs=1", "--out", "u").err
    assert "u/checkpoints: was there already; put aside as checkpoints-old-1\n" in told
    assert "u/loss.csv: was there already; put aside as loss-old-1.csv\n" in told
    assert Path("u/checkpoints-old-1/model.pt").read_text() == "mine"


@pytest.mark.parametrize(
    ("output", "code", "hint"),
    [
        ("", 2, "names nothing"),
        ("-", 2, "-: names a file; without -o the predictions go to stdout"),
        (".", 2, ". is a folder; name a file in it: predictions.csv"),
        ("nix/out.csv", 6, "nix/out.csv: cannot be written: there is no folder nix"),
    ],
)
def test_an_output_that_is_no_file_says_what_to_name(cli, run, output, code, hint):
    before = sorted(Path().rglob("*"))
    result = cli("predict", run, "xor.csv", "-o", output)
    assert result.code == code
    assert hint in result.err
    assert sorted(Path().rglob("*")) == before


def test_a_write_protected_file_is_not_replaced(cli, run, monkeypatch):
    Path("out.csv").write_text("mine")
    Path("out.csv").chmod(0o444)
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and may(path, mode))  # root may do all
    result = cli("predict", run, "xor.csv", "-o", "out.csv")
    assert result.code == 2
    assert "out.csv is write-protected; name another" in result.err
    assert Path("out.csv").read_text() == "mine"


def test_a_checkpoint_that_a_run_does_not_have_is_told_from_a_missing_run(cli, run):
    for command in (["resume"], ["eval"], ["summary"]):
        result = cli(*command, "r/checkpoints/nix.npz")
        assert result.code == 4
        assert "the run r has no such checkpoint; it has best.npz, last-2.npz, last.npz" in result.err
    for path in Path("r/checkpoints").iterdir():
        path.unlink()
    told = cli("resume", "r/checkpoints/last.npz").err
    assert "the run r has no such checkpoint; it has none yet; to start it anew: bpcli resume r\n" in told


def test_a_run_in_the_place_of_the_data_or_a_file_of_a_run_in_its_place(cli, run):
    assert "two runs; name a data file after the run: bpcli predict r FILE.csv" in cli("predict", run, run).err
    assert "name a run folder, such as r, or a checkpoint" in cli("predict", "r/loss.csv", "xor.csv").err


def test_copies_of_checkpoints_are_neither_removed_nor_taken_for_the_run_s_own(cli, ok, run):
    for name in ("last-mine.npz", "last-before-2.npz", "last-02.npz"):
        shutil.copy("r/checkpoints/last.npz", Path("r/checkpoints", name))
    ok("resume", "r/checkpoints/last-2.npz")
    assert {"last-mine.npz", "last-before-2.npz", "last-02.npz"} <= {p.name for p in Path("r/checkpoints").iterdir()}
    Path("r/checkpoints/last.npz").write_bytes(b"")
    Path("r/checkpoints/last-2.npz").write_bytes(b"")
    assert "no checkpoint of this run can be used" in cli("resume", run).err


def test_what_somebody_wrote_into_loss_csv_is_kept(ok, run):
    rows = Path("r/loss.csv").read_text()
    Path("r/loss.csv").write_text(f"{rows}# here it got better\n")
    told = ok("resume", run, "--set", "training.epochs=7").err
    assert "r/loss.csv: has lines that are no rows of it; they are left out, and kept in loss-old-1.csv\n" in told
    assert Path("r/loss-old-1.csv").read_text() == f"{rows}# here it got better\n"
    assert Path("r/loss.csv").read_text().startswith(rows)
    assert len(Path("r/loss.csv").read_text().splitlines()) == 8


def test_a_run_trained_on_other_data_says_on_which(cli, run):
    Path("and.csv").write_text(Path("xor.csv").read_text() + "1,1,1\n")
    told = cli("resume", run, "--set", "data.train=and.csv").err
    assert 'its data are now "train: and.csv", and it was trained on "train: xor.csv" (SHA-256 ' in told


@pytest.mark.skipif(os.name == "nt", reason="the quotes of POSIX shells")
def test_proposed_commands_can_be_typed_as_they_are(cli, ok, configs, run):
    run.rename("my $(run)")
    assert "To go on: bpcli resume 'my $(run)' --set training.epochs=12\n" in cli("resume", "my $(run)").err
    assert "bpcli resume 'my $(run)'\n" in cli("train", configs / "xor.yaml", "--out", "my $(run)").err
    out = ok("resume", "my $(run)", "--set", "training.epochs=7").out
    assert "next     bpcli eval 'my $(run)'    bpcli predict 'my $(run)' FILE" in out
