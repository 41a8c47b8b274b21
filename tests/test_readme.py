"""What the documentation says is what bpcli does."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from bpcli.cli.main import app
from bpcli.config.load import load_config
from bpcli.config.schema import Config, Data, LayeredNetwork, Output, PlainNetwork, Training
from bpcli.views.reference import reference

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / name / "README.md"
    for name in ("", "configs", "datasets", "bpcli", "tests", "tests/benchmarks", "tests/fuzz")
]
README, CONFIGS, PACKAGE = (PAGES[0], PAGES[1], PAGES[3])
EXAMPLES = [
    (page, code) for page in (README, PACKAGE) for code in re.findall(r"```python\n(.*?)```", page.read_text(), re.S)
]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def test_the_readme_is_one_page() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def anchors(page: Path) -> set[str]:
    """What a link to a heading is called."""
    headings = [line.lstrip("# ") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith("https://"):
            path, _, heading = link.partition("#")
            target = page.parent / path if path else page
            assert target.exists(), link
            assert not heading or heading in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_scripts_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"python (tests/[\w/.]+)", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"python -m (fuzz|tools)([\w.]*)", text):
        assert (ROOT / "tests" / "".join(name).replace(".", "/")).with_suffix(".py" if name[1] else "").exists(), name


def test_the_reference_of_parts_is_what_the_registries_hold() -> None:
    """After a change of a part: put the output of `bpcli parts` between the two markers."""
    section = CONFIGS.read_text(encoding="utf-8").split("<!-- parts -->\n")[1].split("\n<!-- /parts -->")[0]
    assert section == reference()


def reference_config() -> dict[str, Any]:
    return yaml.safe_load(next(block for block in blocks(CONFIGS, "yaml") if block.startswith("name: NAME")))


def test_the_reference_has_every_key_and_no_other() -> None:
    written = reference_config()
    assert list(written) == list(Config.model_fields)
    assert set(written["data"]) == set(Data.model_fields)
    assert set(written["training"]) == set(Training.model_fields)
    assert set(written["output"]) == set(Output.model_fields)
    assert set(written["network"]) == set(PlainNetwork.model_fields)
    assert set(LayeredNetwork.model_fields) == {"input", "layers"}


def test_the_reference_shows_the_defaults(tmp_path: Path) -> None:
    written = reference_config()
    short = {"name": "NAME", "data": {"train": "PATH"}, "network": {"layers": written["network"]["layers"]}}
    short["training"] = {"epochs": written["training"]["epochs"]}
    found = []
    for name, values in (("written", written), ("short", short)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        found.append(load_config(path).config.to_plain())
    assert found[0] == found[1]


@pytest.mark.parametrize("command", [info.name for info in app.registered_commands])
def test_every_command_is_in_the_table(command: str) -> None:
    assert f"| `bpcli {command}" in README.read_text(encoding="utf-8")


@pytest.mark.parametrize(("page", "code"), EXAMPLES, ids=[str(page.relative_to(ROOT)) for page, _ in EXAMPLES])
def test_the_library_examples_run(page: Path, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("configs", "datasets"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, str(page), "exec"), names)
    assert "model" in names or "state" in names


def test_the_steps_with_a_csv_of_ones_own_work_as_written(ok, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "datasets" / "iris.csv", "flowers.csv")
    shutil.copy("flowers.csv", "new.csv")
    commands = next(block for block in blocks(README, "sh") if "flowers.yaml" in block)
    for line in commands.splitlines():
        name, *arguments = shlex.split(line, comments=True)
        assert name == "bpcli"
        ok(*arguments)
    assert Path("out.csv").read_text().startswith("prediction,p_setosa,p_versicolor,p_virginica\n")


def test_the_config_written_by_hand_trains(ok, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "datasets" / "iris.csv", "flowers.csv")
    Path("flowers.yaml").write_text(next(block for block in blocks(README, "yaml") if "flowers.csv" in block))
    ok("validate", "flowers.yaml")
    ok("train", "flowers.yaml", "--quiet")
    assert "accuracy" in ok("eval").out


def test_a_number_is_predicted_with_the_changes_that_the_readme_names(
    ok, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "datasets" / "diabetes.csv", "flowers.csv")
    config = yaml.safe_load(next(block for block in blocks(README, "yaml") if "flowers.csv" in block))
    del config["loss"]
    config["data"]["target"] = "progression"
    Path("flowers.yaml").write_text(yaml.safe_dump(config))
    ok("validate", "flowers.yaml")
    ok("train", "flowers.yaml", "--set", "training.epochs=20", "--quiet")
    ok("predict", "runs/flowers", "flowers.csv", "-o", "out.csv")
    values = [float(line) for line in Path("out.csv").read_text().splitlines()[1:]]
    assert 100 < sum(values) / len(values) < 200  # in the data's own units, where the mean is 152


def test_the_line_that_the_checks_run_stands_below_its_marker() -> None:
    """`.ci/run` takes the command that installs and tests from the README."""
    lines = README.read_text(encoding="utf-8").splitlines()
    following = lines[lines.index("<!-- tests -->") + 1 :][:3]
    assert any(line.startswith("python3 -m venv") and line.endswith("pytest -n auto") for line in following)
