"""What `predict -o` writes: the kind of file that its name says, the same bytes each time, and no formulas unasked."""

from __future__ import annotations

import csv
import gzip
import time
from pathlib import Path

import pytest

LABELS = ['=HYPERLINK("http://x")', "@cmd", "-2+3", "rot", "-1"]


@pytest.fixture
def run(ok, write_config) -> str:
    """A classification whose labels a spreadsheet would calculate."""
    with Path("data.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["x", "y"], *([10 * k, label] for k, label in enumerate(LABELS) for _ in range(4))])
    write_config(
        {
            "data": {"train": "data.csv", "scale": "standard"},
            "network": {"layers": [1, 8, 5], "activation": "tanh"},
            "loss": "log_likelihood",
            "optimizer": {"type": "lbfgs"},
            "training": {"epochs": 60, "batch_size": "full"},
        },
        "c.yaml",
    )
    ok("train", "c.yaml", "--quiet")
    return "runs/c"


def rows(text: str, separator: str = ",") -> list[list[str]]:
    return list(csv.reader(text.splitlines(), delimiter=separator))


@pytest.mark.parametrize("name", ["out.csv.gz", "OUT.CSV.GZ", "out.txt.gz", "out.gz"])
def test_gz_is_gzip_and_the_same_bytes_each_time(run, ok, name, monkeypatch):
    plain = ok("predict", run, "data.csv").out
    ok("predict", run, "data.csv", "-o", name)
    first = Path(name).read_bytes()
    assert gzip.decompress(first).decode() == plain
    monkeypatch.setattr(time, "time", lambda: 2e9)
    ok("predict", run, "data.csv", "-o", name)
    assert Path(name).read_bytes() == first


@pytest.mark.parametrize("name", ["out.tsv", "out.tsv.gz"])
def test_tsv_has_tabs_between_its_cells(run, ok, name):
    plain = ok("predict", run, "data.csv").out
    ok("predict", run, "data.csv", "-o", name)
    content = Path(name).read_bytes()
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    assert rows(text, "\t") == rows(plain)


@pytest.mark.parametrize("name", ["out.csv", "out.CSV", "out.txt", "out"])
def test_a_plain_name_has_the_text_of_the_terminal(run, ok, name):
    ok("predict", run, "data.csv", "-o", name)
    assert Path(name).read_text(encoding="utf-8") == ok("predict", run, "data.csv").out


@pytest.mark.parametrize("name", ["out.json", "out.npz", "out.xlsx", "out.csv.bz2", "out.zip", "out.json.gz"])
def test_another_kind_of_file_is_refused_with_those_there_are(run, cli, name):
    result = cli("predict", run, "data.csv", "-o", name)
    assert result.code == 2
    assert f"{name}: expected .csv, .tsv, .txt or .jsonl (each also .gz)" in result.err
    assert not Path(name).exists()


def test_formulas_are_told_once_and_written_as_they_are(run, ok):
    result = ok("predict", run, "data.csv")
    assert result.err.count("--spreadsheet-safe") == 1
    assert "warning: 3 names or labels begin with =, +, - or @" in result.err
    assert {row[0] for row in rows(result.out)[1:]} == set(LABELS)


def test_spreadsheet_safe_quotes_formulas_alone(run, ok):
    result = ok("predict", run, "data.csv", "--spreadsheet-safe")
    assert "spreadsheet" not in result.err
    expected = {'\'=HYPERLINK("http://x")', "'@cmd", "'-2+3", "rot", "-1"}
    assert {row[0] for row in rows(result.out)[1:]} == expected


def test_the_name_of_a_target_is_quoted_too(ok, write_config):
    Path("data.csv").write_text("x,=A1\n1,2\n2,4\n", encoding="utf-8")
    write_config({"data": {"train": "data.csv"}, "network": {"layers": [1, 1]}, "training": {"epochs": 1}}, "r.yaml")
    ok("train", "r.yaml", "--quiet")
    assert "a name or label begins with" in ok("predict", "runs/r", "data.csv").err
    assert ok("predict", "runs/r", "data.csv", "--spreadsheet-safe").out.startswith("'=A1\n")
