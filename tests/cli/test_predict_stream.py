"""bpcli predict on tables of any size, from files, pipes and stdin: bounded memory, and the whole file's numbers."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

import bpcli
from bpcli.data.stored import unpacked
from bpcli.engine.training import evaluation
from bpcli.errors import DataError
from bpcli.workflows.prediction_stream import PredictionStream
from bpcli.workflows.trained import TrainedModel

KINDS = ("red", "green", "blue")


def table(n: int, *, seed: int = 0) -> list[list[str]]:
    """n rows of id, a, b, colour and one of three kinds."""
    rng = np.random.default_rng(seed)
    rows = []
    for k, (a, b) in enumerate(rng.normal(size=(n, 2)).tolist()):
        rows.append([f"r{k}", f"{a:.6f}", f"{b:.6f}", KINDS[k % 3], "yes" if a > 1 else "maybe" if a > b else "no"])
    return rows


def write(path: str, rows: list[list[str]], names: str = "id,a,b,colour,kind") -> Path:
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([names.split(","), *rows])
    return Path(path)


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def trained(ok, write_config):
    """`trained(data=...)`: a run on the numbers a and b, with three classes."""

    def train(name: str = "run", **data: object) -> str:
        write("train.csv", table(90))
        config = {
            "name": name,
            "data": {"train": "train.csv", "target": "kind", "exclude": ["id", "colour"], "scale": "standard", **data},
            "network": {"layers": ["auto", 8, 3], "activation": "tanh"},
            "loss": "log_likelihood",
            "training": {"epochs": 3, "batch_size": 16},
        }
        ok("train", write_config(config, f"{name}.yaml"), "--quiet")
        return f"runs/{name}"

    return train


@pytest.fixture
def run(trained) -> str:
    return trained()


@pytest.fixture
def by_kind(trained) -> str:
    """A run whose inputs are a, b and the category colour."""
    return trained("kinds", exclude=["id"], columns={"colour": "category"}, missing="median")


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of a few lines, and chunks of 5 samples at most: everything has to be put together from parts."""
    monkeypatch.setattr("bpcli.data.csv_lines._BLOCK", 200)
    monkeypatch.setattr("bpcli.data.csv_stream.BLOCK_ROWS", 3)
    monkeypatch.setattr(evaluation, "CHUNK_NUMBERS", 40)


def fed(process, content: bytes, *arguments: object):
    """A command with this content in a pipe on stdin."""
    reader, writer = os.pipe()

    def feed() -> None:
        with suppress(BrokenPipeError), open(writer, "wb", buffering=0) as file:  # noqa: PTH123
            file.write(content)

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        return process(*arguments, stdin=reader)
    finally:
        os.close(reader)
        thread.join()


# where a table comes from


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_stdin_gives_what_the_file_gives(run, ok, process, pack):
    path = write("new.csv", table(40, seed=1))
    result = fed(process, pack(path.read_bytes()), "predict", run, "-")
    assert (result.code, result.out) == (0, ok("predict", run, path).out)


@pytest.mark.parametrize(("separator", "end"), [(";", "\n"), ("\t", "\r\n"), (",", "\r")], ids=["lf", "crlf", "cr"])
def test_the_layout_of_stdin_is_found_as_that_of_a_file(run, ok, process, separator, end):
    rows = [["id", "a", "b"], *(row[:3] for row in table(9, seed=1))]
    content = "".join(separator.join(row) + end for row in rows)
    plain = write("new.csv", table(9, seed=1))
    result = fed(process, b"\xef\xbb\xbf" + content.encode(), "predict", run, "-")
    assert (result.code, result.out) == (0, ok("predict", run, plain).out), result.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_read_as_a_file_is(run, ok):
    path = write("new.csv", table(40, seed=1))
    expected = ok("predict", run, path).out
    os.mkfifo("pipe")
    writer = threading.Thread(target=lambda: Path("pipe").write_bytes(path.read_bytes()), daemon=True)
    writer.start()
    assert ok("predict", run, "pipe").out == expected
    writer.join(5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "error: stdin: the file is empty"),
        (b"a,b\n", "error: stdin: no rows of data under the header"),
        (b"a\n1\n", 'error: stdin: no column "b", which the network was trained on; it has "a"'),
        (b"a,b\n1,2\n1,x\n", 'error: stdin:3: column "b": got "x", expected a number'),
        (b"\x93NUMPY\x01\0v\0", "error: stdin: an npy file; only CSV is read from a pipe: name the file itself"),
        (gzip.compress(b"a,b\n1,2\n" * 99)[:-9], "error: stdin: damaged or cut gzip file"),
    ],
    ids=["empty", "no rows", "missing column", "text", "npy", "cut gzip"],
)
def test_what_is_wrong_with_stdin_is_exit_code_3(run, process, content, message):
    result = fed(process, content, "predict", run, "-")
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(message)


def test_a_bomb_in_a_pipe_is_refused():
    packed = io.BytesIO(gzip.compress(bytes(100 << 20)))
    message = r"stdin: \d+ packed bytes .* beyond 100 times as many; refused as a possible bomb"
    with unpacked(packed, "stdin") as file, pytest.raises(DataError, match=message):
        file.read()


def test_the_file_that_stdin_is_read_from_is_never_overwritten(run, process):
    path = write("new.csv", table(9))
    before = path.read_bytes()
    with path.open("rb") as file:
        result = process("predict", run, "-", "-o", "new.csv", stdin=file)
    assert result.code == 2
    assert "new.csv is the data file itself; name another" in result.err
    assert path.read_bytes() == before


# the same numbers, whatever the blocks


def messy(n: int) -> str:
    """A table with quotes, line ends in cells, missing values, blanks and another order of columns in it."""
    lines = ["note,b,colour,a"]
    for k, row in enumerate(table(n, seed=2)):
        note = ['"x, y"', '"two\nlines"', "plain", '"a ""quote"""'][k % 4] if k % 3 == 0 else f"n{k}"
        a = "" if k % 11 == 5 else f"  {row[1]} " if k % 7 == 0 else row[1]
        lines.append(f"{note},{row[2]},{'' if k % 13 == 6 else row[3]},{a}")
    return "\n".join(lines) + "\n\n"


@pytest.mark.parametrize("missing", ["mean", "drop"])
@pytest.mark.parametrize("n", [1, 4, 5, 6, 57])
def test_blocks_give_the_bytes_of_the_whole_file(trained, small_blocks, missing, n):
    run = trained(missing=missing)
    Path("new.csv").write_text(messy(n), newline="")
    model = TrainedModel.load(run)
    whole = model.predict_file("new.csv")
    stream = PredictionStream(model, Path("new.csv"), keep=["note"])
    blocks = list(stream)
    assert len(blocks) > 1 or n < 5
    values = np.concatenate([block.prediction.values for block in blocks])
    assert values.tobytes() == whole.values.tobytes()
    assert np.concatenate([block.prediction.labels for block in blocks]).tolist() == whole.labels.tolist()
    assert np.concatenate([block.prediction.missing for block in blocks]).tolist() == whole.missing.tolist()
    notes = [row[0] for row in csv.reader(io.StringIO(messy(n), newline="")) if row][1:]
    assert [text for block in blocks for text in block.kept[0]] == notes
    assert stream.notes() == whole.notes


def test_blocks_of_several_kinds_of_columns_give_the_bytes_of_the_whole_file(by_kind, small_blocks):
    rows = [
        [*row[:3], "violet" if k % 9 == 4 else f"new{k}" if k % 9 == 7 else row[3], ""]
        for k, row in enumerate(table(60))
    ]
    rows[17][1] = rows[40][3] = ""
    write("new.csv", rows)
    model = TrainedModel.load(by_kind)
    whole = model.predict_file("new.csv")
    stream = PredictionStream(model, Path("new.csv"))
    assert np.concatenate([block.prediction.values for block in stream]).tobytes() == whole.values.tobytes()
    assert stream.notes() == whole.notes
    assert '12 of 60 rows have a category in column "colour" that the network does not know' in stream.notes()[0]


def test_a_number_of_minus_one_is_no_unknown_category(by_kind, ok):
    write("new.csv", [["r0", "-1", "-1", "red", ""], ["r1", "-1", "2", "blue", ""]])
    assert ok("predict", by_kind, "new.csv").err == ""


def test_a_last_chunk_alone_is_shorter(run, monkeypatch):
    monkeypatch.setattr("bpcli.data.csv_lines._BLOCK", 150)
    model = TrainedModel.load(run)
    monkeypatch.setattr(evaluation, "CHUNK_NUMBERS", 16 * 8)
    write("new.csv", table(101))
    sizes = []
    stream = PredictionStream(model, Path("new.csv"))
    predictor = stream._predictor
    stream._predictor = type(
        "", (), {"size": 16, "block_rows": 7, "__call__": lambda _, x: sizes.append(len(x)) or predictor(x)}
    )()
    assert sum(len(block.prediction.values) for block in stream) == 101
    assert sizes == [16] * 6 + [5]


def test_large_arrays_are_read_in_blocks_and_give_the_same_bytes(ok, write_config, monkeypatch):
    x = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    np.save("x.npy", x)
    np.save("y.npy", x.sum(axis=1))
    data = {"train": {"x": "x.npy", "y": "y.npy"}, "task": "regression", "scale": "standard"}
    config = {"name": "n", "data": data, "network": {"layers": [3, 1]}, "training": {"epochs": 1}}
    ok("train", write_config(config), "--quiet")
    small = ok("predict", "runs/n", "x.npy").out
    monkeypatch.setattr("bpcli.data.npz_file.LARGE_BYTES", 100)
    monkeypatch.setattr("bpcli.data.large.BLOCK_BYTES", 120)
    assert ok("predict", "runs/n", "x.npy").out == small
    values = bpcli.load("runs/n").predict_file("x.npy").values
    assert [float(row["y1"]) for row in parsed(small)] == values[:, 0].tolist()


# what is written


def test_kept_columns_are_copied_as_text(run, ok):
    Path("new.csv").write_text('when,a,b,id\n01,1,2,"x, ""y"""\n 2.50 ,1,2,\n')
    result = ok("predict", run, "new.csv", "--keep", "id", "--keep", "when")
    rows = list(csv.reader(io.StringIO(result.out)))
    assert rows[0][:3] == ["id", "when", "prediction"]
    assert [row[:2] for row in rows[1:]] == [['x, "y"', "01"], ["", "2.50"]]


def test_a_kept_column_of_the_name_of_an_output_stays_beside_it(ok, write_config):
    Path("sums.csv").write_text("a,y\n1,2\n2,4\n")
    ok("train", write_config({"data": {"train": "sums.csv"}, "network": {"layers": [1, 1]}, "training": {"epochs": 1}}))
    assert ok("predict", "sums.csv", "--keep", "y").out.startswith("y,predicted_y\n2,")


def test_json_lines_hold_what_csv_does(run, ok):
    write("new.csv", table(20, seed=3))
    rows = parsed(ok("predict", run, "new.csv", "--keep", "id").out)
    lines = [
        json.loads(line) for line in ok("predict", run, "new.csv", "--keep", "id", "--format", "jsonl").out.splitlines()
    ]
    assert [list(line) for line in lines] == [list(row) for row in rows]
    assert [(line["id"], line["prediction"]) for line in lines] == [(row["id"], row["prediction"]) for row in rows]
    assert [line["p_no"] for line in lines] == [float(row["p_no"]) for row in rows]


def test_json_lines_have_null_where_there_is_nothing(trained, ok):
    run = trained(missing="drop")
    Path("new.csv").write_text("a,b\n1,2\n,2\n")
    first, second = ok("predict", run, "new.csv", "--format", "jsonl").out.splitlines()
    assert None not in json.loads(first).values()
    assert set(json.loads(second).values()) == {None}


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz", "OUT.JSONL.GZ"])
def test_the_name_of_the_output_asks_for_json_lines(run, ok, name):
    write("new.csv", table(9))
    ok("predict", run, "new.csv", "-o", name)
    content = Path(name).read_bytes()
    text = gzip.decompress(content) if name.lower().endswith(".gz") else content
    assert text.decode() == ok("predict", run, "new.csv", "--format", "jsonl").out


def test_a_packed_output_is_the_same_bytes_however_it_is_divided(run, ok, small_blocks):
    write("new.csv", table(300))
    ok("predict", run, "new.csv", "-o", "out.csv.gz")
    assert Path("out.csv.gz").read_bytes() == zlib.compress(ok("predict", run, "new.csv").out.encode(), 9, wbits=31)


def test_proba_is_the_probabilities_and_no_proba_the_label(run, ok):
    write("new.csv", table(9))
    both = parsed(ok("predict", run, "new.csv").out)
    proba = parsed(ok("predict", run, "new.csv", "--proba").out)
    labels = parsed(ok("predict", run, "new.csv", "--no-proba").out)
    assert proba == [{key: value for key, value in row.items() if key != "prediction"} for row in both]
    assert labels == [{"prediction": row["prediction"]} for row in both]


def test_top_k_gives_the_best_classes_in_order(run, ok):
    write("new.csv", table(30, seed=4))
    both = parsed(ok("predict", run, "new.csv").out)
    for row, top in zip(both, parsed(ok("predict", run, "new.csv", "--top-k", "2").out), strict=True):
        ranked = sorted(("maybe", "no", "yes"), key=lambda name: -float(row[f"p_{name}"]))
        assert list(top) == ["top_1", "p_top_1", "top_2", "p_top_2"]
        assert [top["top_1"], top["top_2"]] == ranked[:2]
        assert [top["p_top_1"], top["p_top_2"]] == [row[f"p_{name}"] for name in ranked[:2]]
        assert top["top_1"] == row["prediction"]
    names = ok("predict", run, "new.csv", "--top-k", "3", "--no-proba").out.splitlines()[0]
    assert names == "top_1,top_2,top_3"


def test_threshold_is_where_the_second_class_begins(ok, configs, datasets):
    ok("train", configs / "xor.yaml", "--quiet")
    p = [float(row["p_1"]) for row in parsed(ok("predict", datasets / "xor.csv").out)]
    for threshold in (0.0, 0.01, p[1], 0.999, 1.0):
        rows = parsed(ok("predict", datasets / "xor.csv", "--threshold", repr(threshold)).out)
        assert [row["prediction"] for row in rows] == ["1" if value >= threshold else "0" for value in p]
        assert [float(row["p_1"]) for row in rows] == p


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "0.3"], "--threshold: is for two classes, and this network has 3 classes"),
        (["--threshold", "2"], "--threshold: must be a probability, from 0 to 1, got 2"),
        (["--threshold", "nan"], "--threshold: must be a probability, from 0 to 1, got nan"),
        (["--threshold", "0.3", "--proba"], "--threshold: chooses the label, which --proba leaves out"),
        (["--threshold", "0.3", "--top-k", "1"], "--threshold: chooses the label, which --top-k leaves out"),
        (["--top-k", "4"], "--top-k: must be at most 3, the number of classes, got 4"),
        (["--top-k", "0"], "--top-k: must be at least 1, got 0"),
        (["--top-k", "2", "--proba"], "--top-k: gives classes, which --proba leaves out"),
        (["--format", "xlsx"], "'xlsx' is not one of 'csv', 'jsonl'"),
        (["--format", "jsonl", "-o", "out.csv"], "--format: jsonl, but the name out.csv asks for csv"),
        (["--format", "csv", "-o", "out.jsonl.gz"], "--format: csv, but the name out.jsonl.gz asks for jsonl"),
        (["--format", "jsonl", "--spreadsheet-safe"], "--spreadsheet-safe: is for CSV, which spreadsheets open"),
        (["--on-bad-row", "drop"], "'drop' is not one of 'error', 'empty', 'skip'"),
        (["--keep", "id", "--keep", "id"], "--keep: names a column twice"),
    ],
)
def test_options_that_do_not_fit_are_exit_code_2(run, cli, options, message):
    write("new.csv", table(3))
    before = sorted(Path().iterdir())
    result = cli("predict", run, "new.csv", *options)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("option", [["--proba"], ["--no-proba"], ["--top-k", "1"], ["--threshold", "0.3"]])
def test_a_regression_has_no_classes(ok, cli, write_config, option):
    Path("sums.csv").write_text("a,y\n1,2\n2,4\n")
    ok("train", write_config({"data": {"train": "sums.csv"}, "network": {"layers": [1, 1]}, "training": {"epochs": 1}}))
    result = cli("predict", "sums.csv", *option)
    assert result.code == 2
    assert f"{option[0]}: is for classes, and this network predicts numbers: leave it out" in result.err


@pytest.mark.parametrize("option", ["--proba", "--threshold"])
def test_scores_are_no_probabilities(ok, cli, write_config, option):
    write("two.csv", [row for row in table(40) if row[4] != "yes"])
    network = {"layers": [2, 1]}
    data = {"train": "two.csv", "target": "kind", "features": ["a", "b"]}
    ok("train", write_config({"data": data, "network": network, "loss": "hinge", "training": {"epochs": 1}}))
    result = cli("predict", "two.csv", option, *(["0.5"] if option == "--threshold" else []))
    assert result.code == 2
    assert f"{option}: " in result.err
    assert "scores" in result.err


def test_a_column_to_keep_that_is_not_there_is_told(run, cli):
    write("new.csv", table(3))
    result = cli("predict", run, "new.csv", "--keep", "idd")
    assert (result.code, result.out) == (3, "")
    assert 'new.csv: no column "idd" (did you mean "id"?), named in --keep; it has "id"' in result.err


@pytest.mark.parametrize("options", [["--keep", "id"], ["--on-bad-row", "skip"]])
def test_arrays_have_neither_columns_to_keep_nor_bad_rows(ok, cli, write_config, options):
    np.savez("d.npz", x=np.ones((4, 2)), y=np.arange(4.0))
    ok("train", write_config({"data": {"train": "d.npz"}, "network": {"layers": [2, 1]}, "training": {"epochs": 1}}))
    result = cli("predict", "d.npz", *options)
    assert result.code == 3
    assert f"d.npz: holds arrays, and {options[0]} is for tables as CSV: leave it out" in result.err


def test_formulas_in_kept_cells_are_told_once_and_quoted_if_asked(run, ok, small_blocks):
    write("new.csv", [[f"=A{k}", *row[1:]] for k, row in enumerate(table(30))])
    result = ok("predict", run, "new.csv", "--keep", "id")
    assert result.err.count("spreadsheet") == 2  # what takes it for a formula, and the option
    assert "warning: 30 kept cells begin with =, +, - or @" in result.err
    safe = ok("predict", run, "new.csv", "--keep", "id", "--spreadsheet-safe")
    assert [row["id"] for row in parsed(safe.out)] == [f"'=A{k}" for k in range(30)]
    assert "spreadsheet" not in safe.err


# rows that cannot be read

BAD = {
    3: (b"r1,1,2,red", "got 4 cells, expected 5 as in line 1"),
    5: (b"r3,x,2,red,no", 'column "a": got "x", expected a number'),
    6: (b"r4,1,,red,no", 'column "b": missing value; fill it or drop the row'),
    8: (b"r6,1,1e99,red,no", "too large for float32: set dtype: float64"),
    9: (b'r7,"1"5,2,red,no', "something follows a closing quote"),
    11: (b"r\xff,1,2,red,no", "not UTF-8 (byte 0xff, as in Latin-1)"),
    12: (b"", "blank line between rows; delete it"),
}


def table_with_bad_rows() -> list[bytes]:
    return [b"id,a,b,colour,kind", *(BAD.get(line, (b"r%d,1,2,red,no" % (line - 2),))[0] for line in range(2, 15))]


@pytest.mark.parametrize("blocks", ["one block", "small blocks"])
@pytest.mark.parametrize("what", ["empty", "skip"])
def test_bad_rows_are_counted_and_told(run, ok, request, what, blocks):
    if blocks == "small blocks":
        request.getfixturevalue("small_blocks")
    Path("new.csv").write_bytes(b"\n".join(table_with_bad_rows()) + b"\n")
    result = ok("predict", run, "new.csv", "--on-bad-row", what, "--keep", "id", "-o", "out.csv")
    rows = parsed(Path("out.csv").read_text())
    sound = [f"r{line - 2}" for line in range(2, 15) if line not in BAD]
    assert [row["id"] for row in rows if row["prediction"]] == sound
    assert len(rows) == (13 if what == "empty" else len(sound))
    told = "left empty" if what == "empty" else "skipped, so that the output has fewer rows"
    assert f"warning: new.csv: 7 of 13 rows cannot be read and are {told}:\n" in result.err
    lines = re.findall(r"^  new\.csv:(\d+): (.*)$", result.err, re.MULTILINE)
    assert [int(line) for line, _ in lines] == list(BAD)
    for line, text in lines:
        assert BAD[int(line)][1] in text
    assert f"out.csv: {len(sound)} predictions by " in result.err


@pytest.mark.parametrize("line", BAD)
def test_a_bad_row_is_an_error_by_default(run, cli, line):
    lines = table_with_bad_rows()
    others = [text for number, text in enumerate(lines, 1) if number not in BAD]
    Path("new.csv").write_bytes(b"\n".join([*others[:3], lines[line - 1], *others[3:]]) + b"\n")
    result = cli("predict", run, "new.csv", "-o", "out.csv")
    assert result.code == 3
    assert result.err.startswith("error: new.csv:4: ")
    assert BAD[line][1] in result.err
    assert not Path("out.csv").exists()


def test_the_first_ten_bad_rows_are_told(run, ok):
    Path("new.csv").write_text("a,b\n" + "1,2\nx,2\n" * 25)
    err = ok("predict", run, "new.csv", "--on-bad-row", "empty").err
    assert "25 of 50 rows cannot be read and are left empty, the first 10 of them:\n" in err
    assert re.findall(r"  new\.csv:(\d+):", err) == [str(line) for line in range(3, 23, 2)]


@pytest.mark.parametrize("what", ["error", "empty", "skip"])
def test_an_unknown_category_is_a_bad_row_where_it_is_an_error(trained, cli, what):
    run = trained(exclude=["id"], columns={"colour": {"kind": "category", "unknown": "error"}})
    write("new.csv", [["r0", "1", "2", "red", ""], ["r1", "1", "2", "violet", ""], ["r2", "1", "2", "blue", ""]])
    result = cli("predict", run, "new.csv", "--on-bad-row", what, "--keep", "id", "--no-proba")
    text = 'new.csv:3: sample 2 has "violet" in column "colour", a category that the network does not know'
    assert text in result.err
    ids = [row["id"] for row in parsed(result.out) if row["prediction"]]
    assert (result.code, ids) == ((3, []) if what == "error" else (0, ["r0", "r2"]))


def test_a_quote_that_is_never_closed_is_an_error_whatever_is_asked_for(run, cli):
    Path("new.csv").write_text('a,b\n1,2\n"1,2\n1,2\n')
    result = cli("predict", run, "new.csv", "--on-bad-row", "skip", "-o", "out.csv")
    assert (result.code, Path("out.csv").exists()) == (3, False)
    assert "new.csv:3: a quote opens here and is never closed" in result.err


def test_no_row_that_can_be_read_is_an_error(run, cli):
    Path("new.csv").write_text("a,b\nx,2\n1\n")
    result = cli("predict", run, "new.csv", "--on-bad-row", "empty")
    assert (result.code, result.out) == (3, "")
    assert "new.csv: no row can be read, so that there is nothing to predict" in result.err
    assert 'new.csv:2: column "a": got "x"' in result.err


@pytest.mark.parametrize("blocks", ["one block", "small blocks"])
def test_a_table_that_lacks_a_value_in_every_row_is_an_error(trained, cli, request, blocks):
    run = trained(missing="drop")
    if blocks == "small blocks":
        request.getfixturevalue("small_blocks")
    Path("new.csv").write_text("a,b\n" + ",2\n" * 50)
    result = cli("predict", run, "new.csv")
    assert (result.code, result.out) == (3, "")
    assert "new.csv: every row has a missing value, so that there is nothing to predict" in result.err


# interrupted, and in little memory


def endless(file) -> None:
    """Writes rows until nobody reads them."""
    rows = b"".join(",".join(row[1:3]).encode() + b"\n" for row in table(20000))
    try:
        file.write(b"a,b\n")
        while True:
            file.write(rows)
    except OSError:
        file.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_what_was_there_stays_if_the_command_ends_while_it_writes(run, start, number):
    Path("out.csv").write_text("before")
    child = start("predict", run, "-", "-o", "out.csv", stdin=subprocess.PIPE, text=False)
    threading.Thread(target=endless, args=(child.stdin,), daemon=True).start()
    end = time.monotonic() + 60
    while sum(path.stat().st_size for path in Path().glob(".out.csv.*.tmp")) < 1 << 20:
        assert time.monotonic() < end
        time.sleep(0.01)
    child.send_signal(number)
    child.wait(60)
    child.stdin = None
    assert Path("out.csv").read_text() == "before"
    assert bool(list(Path().glob(".out.csv.*.tmp"))) == (number == signal.SIGKILL)


def test_a_reader_that_leaves_ends_the_command_quietly(run):
    child = subprocess.Popen(
        [sys.executable, "-m", "bpcli", "predict", run, "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert None not in (child.stdin, child.stdout, child.stderr)
    threading.Thread(target=endless, args=(child.stdin,), daemon=True).start()
    assert child.stdout.readline() == b"prediction,p_maybe,p_no,p_yes\n"
    child.stdout.close()
    assert (child.wait(60), child.stderr.read()) == (0, b"")
    child.stderr.close()


def peak_of(*arguments: object) -> float:
    """The most memory, MB, that the command held."""
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, sys.executable, "-m", "bpcli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def grow(path: str, size: int, row: str, names: str = "id,a,b,colour,kind") -> None:
    """A table of at least `size` bytes."""
    part = row * (1 + (1 << 19) // len(row))
    with Path(path).open("w") as file:
        file.write(f"{names}\n")
        for _ in range(size // len(part) + 1):
            file.write(part)


ROWS = {"numbers": "1,0.25,-1.5,2,3\n", "quoted": '"x, y",0.25,-1.5,red,no\n'}


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in kB")
@pytest.mark.parametrize("row", ROWS)
def test_memory_does_not_grow_with_the_file(run, row):
    grow("small.csv", 8 << 20, ROWS[row])  # the first 4 MB are looked at beforehand
    grow("large.csv", 40 << 20, ROWS[row])
    small = peak_of("predict", run, "small.csv", "-o", "out.csv", "--keep", "id")
    assert peak_of("predict", run, "large.csv", "-o", "out.csv", "--keep", "id") < small + 10


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in kB")
def test_memory_is_bounded_with_many_categories(trained):
    run = trained(
        exclude=["id"], columns={"colour": {"kind": "category", "categories": [f"c{k}" for k in range(5000)]}}
    )
    grow("new.csv", 1 << 19, "1,2,3,c17,\n")
    assert peak_of("predict", run, "new.csv", "-o", "out.csv") < 150


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss in kB")
@pytest.mark.parametrize("row", ROWS)
def test_a_file_of_1_gb_takes_at_most_250_mb(run, row):
    grow("large.csv", 1_000_000_000, ROWS[row].replace("\n", f",{'text' * 50}\n"), "id,a,b,colour,kind,note")
    assert peak_of("predict", run, "large.csv", "-o", "out.csv") < 250
