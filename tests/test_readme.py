"""What the README says is what the tool does."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from bpcli.cli.main import app
from bpcli.views.reference import reference

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_reference_of_parts_is_what_the_registries_hold() -> None:
    """After a change of a part: `bpcli parts`, put between the two marks."""
    section = README.split("<!-- parts -->\n")[1].split("\n<!-- /parts -->")[0]
    assert section == reference()


@pytest.mark.parametrize("command", [info.name for info in app.registered_commands])
def test_every_command_is_in_the_table(command: str) -> None:
    assert f"| `bpcli {command}" in README


@pytest.mark.parametrize("code", blocks("python"))
def test_the_library_examples_run(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("configs", "datasets"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert "model" in names or "state" in names


def test_the_five_minutes_with_a_csv_of_ones_own(ok, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The config of the README and the commands below it, as they stand there."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "datasets" / "iris.csv", "flowers.csv")
    shutil.copy("flowers.csv", "new.csv")
    Path("flowers.yaml").write_text(next(block for block in blocks("yaml") if "flowers.csv" in block))
    commands = next(block for block in blocks("sh") if "flowers.yaml" in block)
    for line in commands.splitlines():
        name, *arguments = shlex.split(line, comments=True)
        assert name == "bpcli"
        ok(*arguments)
    assert Path("out.csv").read_text().startswith("prediction,p_setosa,p_versicolor,p_virginica\n")
