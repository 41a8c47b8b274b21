"""bpcli init: an example to start from."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def names(configs):
    return sorted(path.stem for path in configs.glob("*.yaml"))


@pytest.mark.parametrize("arguments", [[], ["--list"]])
def test_lists_every_example_with_what_it_shows(ok, arguments, names):
    lines = ok("init", *arguments).out.splitlines()
    for name in names:
        assert any(line.split()[:1] == [name] and len(line.split()) > 4 for line in lines)


def test_writes_config_and_data(ok):
    out = ok("init", "iris").out
    assert Path("configs/iris.yaml").is_file()
    assert Path("datasets/iris.csv").is_file()
    assert "wrote datasets/iris.csv\nwrote configs/iris.yaml\n" in out
    assert "bpcli train configs/iris.yaml" in out


@pytest.mark.parametrize("name", ["xor", "or", "and", "iris", "digits", "textbook-2-2-2"])
def test_the_written_example_trains(ok, name):
    ok("init", name)
    ok("train", f"configs/{name}.yaml", "--set", "training.epochs=1")
    assert Path("runs", name, "summary.json").is_file()


def test_never_overwrites_a_config(cli, ok):
    ok("init", "xor")
    Path("configs/xor.yaml").write_text("mine")
    result = cli("init", "xor")
    assert result.code == 2
    assert "configs/xor.yaml exists already" in result.err
    assert Path("configs/xor.yaml").read_text() == "mine"


def test_never_overwrites_data(cli, ok):
    Path("datasets").mkdir()
    Path("datasets/xor.csv").write_text("mine")
    result = cli("init", "xor")
    assert result.code == 2
    assert "datasets/xor.csv exists already and is not the example's: rename it" in result.err
    assert Path("datasets/xor.csv").read_text() == "mine"
    assert not Path("configs").exists()
    Path("datasets/xor.csv").unlink()
    Path("datasets/xor.csv").mkdir()
    assert cli("init", "xor").code == 2


def test_data_that_another_example_wrote_are_shared(ok):
    ok("init", "xor")
    assert ok("init", "xor-rprop").out.startswith("wrote configs/xor-rprop.yaml\n")


def test_an_example_that_could_not_be_written_can_be_tried_again(cli, ok):
    Path("datasets").touch()
    assert cli("init", "xor").code == 6
    assert not Path("configs/xor.yaml").exists()
    Path("datasets").unlink()
    assert "wrote datasets/xor.csv\nwrote configs/xor.yaml\n" in ok("init", "xor").out


def test_an_unknown_example_gets_a_suggestion(cli):
    result = cli("init", "irsi")
    assert result.code == 2
    assert "did you mean iris?" in result.err
    assert list(Path().iterdir()) == []


def test_mnist_says_that_its_files_are_not_included(ok):
    ok("init", "mnist-30")
    assert "not included" in Path("configs/mnist-30.yaml").read_text()
    assert not Path("datasets").exists()


def test_a_folder_that_cannot_be_made_is_exit_code_6(cli):
    Path("configs").write_text("a file where the folder should be")
    result = cli("init", "xor")
    assert result.code == 6
    assert "cannot make configs: " in result.err
