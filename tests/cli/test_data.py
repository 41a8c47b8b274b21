"""bpcli data: what is in the data and what will go wrong, each finding planted in a small table."""

from __future__ import annotations

import csv
import itertools
import json
import time
from pathlib import Path

import numpy as np
import pytest

N = 600
NETWORK = {"layers": ["auto", 8, "auto"], "activation": "tanh"}
CONFIG = {
    "data": {"train": "t.csv", "target": "y", "val": 0.2, "scale": "standard"},
    "network": NETWORK,
    "loss": "log_likelihood",
    "optimizer": {"type": "adam", "learning_rate": 0.01},
    "training": {"epochs": 2},
}


def clean(n: int = N, seed: int = 0) -> dict[str, list]:
    """A table that nothing is wrong with: numbers, whole numbers, a category, and a target that they tell a little."""
    rng = np.random.default_rng(seed)
    size, age = rng.normal(10, 2, n), rng.integers(18, 80, n)
    color = rng.choice(["red", "green", "blue"], n)
    tells = (size - 10) / 2 + (age - 49) / 30 + (color == "red") + rng.normal(0, 1, n)
    return {
        "size": [f"{value:.6g}" for value in size],
        "age": age.tolist(),
        "color": color.tolist(),
        "y": np.where(tells > 0.33, "yes", "no").tolist(),
    }


def write(columns: dict[str, list], path: str = "t.csv") -> Path:
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    return Path(path)


@pytest.fixture
def inspected(ok):
    """`inspected("t.csv", ...)`: what --json says."""
    return lambda *arguments: json.loads(ok("data", *arguments, "--json").out)


@pytest.fixture
def findings(inspected):
    """The findings of a table with more or other columns, of one level and of those that are not its own."""

    def of(*, level: str = "warning", **columns: list) -> list[dict]:
        write({**columns, **{name: cells for name, cells in clean().items() if name not in columns}})
        found = inspected("t.csv", "--target", "y")["findings"]
        return [finding for finding in found if finding["level"] == level]

    return of


def test_a_clean_table_is_accused_of_nothing(inspected, ok):
    write(clean())
    assert inspected("t.csv", "--target", "y")["findings"] == []
    assert "Nothing to warn of." in ok("data", "t.csv", "--target", "y").out


def test_a_clean_table_under_a_config_is_accused_of_nothing(inspected, write_config):
    write(clean())
    write_config({**CONFIG, "data": {**CONFIG["data"], "test": 0.2}})
    assert inspected("config.yaml")["findings"] == []


@pytest.mark.parametrize(
    "name",
    ["xor", "or", "and", "xor-bias-free", "textbook-2-2-2", "iris", "digits", "breast-cancer", "diabetes", "spirals"],
)
def test_no_example_is_warned_of(inspected, configs, name):
    found = inspected(configs / f"{name}.yaml")
    assert [finding for finding in found["findings"] if finding["level"] == "warning"] == []
    assert found["errors"] == []


RNG = np.random.default_rng(7)
HOLES = [("" if k % 10 == 3 else f"{k * 37 % 101}") for k in range(N)]
PLANTED = {
    "running number": ("id", list(range(1, N + 1)), "identifiers", N, [], {"data.exclude": ["id"]}),
    "shuffled number": ("nr", RNG.permutation(N).tolist(), "identifiers", N, [], {"data.exclude": ["nr"]}),
    "names": ("who", [f"person {k * 7 % N}" for k in range(N)], "identifiers", N, [], {"data.exclude": ["who"]}),
    "many texts": ("town", [f"t{k % 400}" for k in range(N)], "many_categories", N, [], {"data.exclude": ["town"]}),
    "no value": ("nothing", [""] * N, "no_values", N, [], {"data.exclude": ["nothing"]}),
    "copy": ("size2", clean()["size"], "doubled_columns", N, [], {"data.exclude": ["size"]}),
    "leak": ("result", [1 if y == "yes" else 0 for y in clean()["y"]], "gives_target_away", N, [], None),
    "holes": ("dose", HOLES, "missing_values", 60, [4, 14, 24], {"data.missing": "median"}),
    "dates": (
        "day",
        [f"{1 + k % 28:02}/{1 + k % 12:02}/2020" for k in range(N)],
        "kinds",
        N,
        [],
        {"data.columns": {"day": {"kind": "date", "format": "%d/%m/%Y"}}},
    ),
    "yes or no": (
        "member",
        RNG.choice(["True", "False"], N).tolist(),
        "kinds",
        N,
        [],
        {"data.columns": {"member": "yes_no"}},
    ),
    "percent": (
        "rate",
        [f"{k * 13 % 89}%" for k in range(N)],
        "kinds",
        N,
        [],
        {"data.columns": {"rate": {"kind": "number", "percent": True}}},
    ),
    "word": (
        "count",
        ["many" if k in (5, 9) else k * 31 % 67 for k in range(N)],
        "words_among_numbers",
        2,
        [6],
        {"data.exclude": ["count"]},
    ),
    "outlier": (
        "price",
        [99999 if k in (11, 20) else k * 29 % 83 for k in range(N)],
        "outliers",
        2,
        [12, 21],
        {"data.scale": "robust"},
    ),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_is_planted_in_a_column_is_found_and_nothing_else(findings, planted):
    name, cells, code, rows, first, mend = PLANTED[planted]
    (found,) = findings(**{name: cells})
    assert (found["code"], found["rows"], found["first_rows"]) == (code, rows, first)
    assert found["mend"] == (mend or {"data.exclude": [name]})
    assert planted == "copy" or found["columns"] == [name]


@pytest.mark.parametrize(
    ("name", "cells", "code"),
    [
        ("same", [7] * N, "constant"),
        ("skewed", np.exp(np.random.default_rng(0).normal(0, 1.2, N)).round(5).tolist(), "outliers"),
        ("compact", [20200101 + k % 28 for k in range(N)], "kinds"),
    ],
)
def test_what_does_little_harm_is_a_note(findings, name, cells, code):
    (found,) = findings(level="note", **{name: cells})
    assert (found["code"], found["columns"]) == (code, [name])
    assert findings(**{name: cells}) == []


def test_a_number_written_for_a_missing_value_is_told(findings):
    (found,) = findings(price=[-999 if k % 50 == 0 else k * 29 % 83 for k in range(N)])
    assert "is it written for a missing value?" in found["what"]
    assert found["rows"] == 12


def test_missing_targets_and_rare_classes_are_told(findings):
    found = findings(y=["rare" if k in (50, 300) else "" if k % 100 == 7 else "ab"[k % 2] for k in range(N)])
    assert [(each["code"], each["rows"], each["mend"]) for each in found] == [
        ("empty_target", 6, {"data.missing": "drop"}),
        ("rare_classes", 2, {"data.class_weights": "balanced"}),
    ]
    assert found[0]["first_rows"] == [8, 108, 208]
    assert '"rare" 2' in found[1]["what"]


def test_unbalanced_classes_are_told(findings):
    (found,) = findings(y=["b" if k % 12 == 0 else "a" for k in range(N)])
    assert (found["code"], found["columns"], found["rows"]) == ("unbalanced", ["y"], 50)
    assert found["mend"] == {"data.class_weights": "balanced"}


def test_doubled_and_contradicting_rows_are_noted(inspected):
    table = clean()
    for k in range(20):  # the rows from 100 on repeat those from 0 on, 10 of them with the other class
        for cells in table.values():
            cells[100 + k] = cells[k]
        if k >= 10:
            table["y"][100 + k] = "no" if table["y"][k] == "yes" else "yes"
    write(table)
    found = inspected("t.csv", "--target", "y")["findings"]
    assert [(each["level"], each["code"], each["rows"], each["first_rows"]) for each in found] == [
        ("note", "doubled_rows", 10, [101, 102, 103]),
        ("note", "contradictions", 20, [11, 12, 13]),
    ]


def with_config(write_config, **data):
    return write_config({**CONFIG, "data": {**CONFIG["data"], "val": "v.csv", **data}})


def test_rows_in_training_and_in_validation_are_told(inspected, write_config):
    train, val = clean(), clean(200, seed=1)
    for name, cells in val.items():
        cells[50:80] = train[name][:30]
    write(train)
    write(val, "v.csv")
    (found,) = inspected(with_config(write_config))["findings"]
    assert (found["level"], found["code"], found["part"]) == ("warning", "shared_rows", "val")
    assert (found["rows"], found["first_rows"]) == (30, [51, 52, 53])
    assert found["config"] == ["data.val: 0.2"]


def test_rows_of_a_fractional_split_have_their_numbers_in_the_file(inspected, write_config):
    table = {name: cells[:300] * 2 for name, cells in clean().items()}
    write(table)
    found = inspected(write_config(CONFIG))["findings"]
    shared = next(each for each in found if each["code"] == "shared_rows")
    assert shared["rows"] > 60
    assert shared["config"] == ["data.group: COLUMN"]
    assert all(1 <= row <= 600 for row in shared["first_rows"])


def test_equal_rows_of_few_different_values_are_no_warning(inspected, write_config):
    rng = np.random.default_rng(3)
    write({"a": rng.integers(0, 3, N).tolist(), "b": rng.integers(0, 3, N).tolist(), "y": ["p", "q"] * (N // 2)})
    found = inspected(write_config(CONFIG))["findings"]
    assert {each["level"] for each in found} == {"note"}
    assert "by chance" in next(each for each in found if each["code"] == "shared_rows")["what"]


def test_drift_is_told_column_by_column(inspected, write_config):
    train, other = clean(), clean(300, seed=1)
    other["size"] = [f"{float(value) + 2:.6g}" for value in other["size"]]
    other["color"] = ["red" if k % 3 else "violet" for k in range(300)]
    write(train)
    write(other, "v.csv")
    found = {each["columns"][0]: each for each in inspected(with_config(write_config))["findings"]}
    assert set(found) == {"size", "color"}
    assert all(each["code"] == "drift" and each["part"] == "val" for each in found.values())
    assert "KS distance" in found["size"]["what"]
    assert "TV distance" in found["color"]["what"]
    assert found["color"]["rows"] == 100  # violet, which training lacks
    assert found["size"]["mend"] == {"data.exclude": ["size"]}


@pytest.mark.parametrize("form", ["file", "config"])
def test_a_given_test_file_is_compared_with_or_without_targets(inspected, write_config, form):
    other = clean(300, seed=1)
    other["age"] = [age // 2 for age in other["age"]]
    del other["y"]
    write(clean())
    write(other, "new.csv")
    call = ("t.csv", "--target", "y") if form == "file" else (write_config(CONFIG),)
    found = inspected(*call, "--test", "new.csv")
    assert [(each["code"], each["columns"], each["part"]) for each in found["findings"]] == [("drift", ["age"], "test")]
    assert found["rows"]["test"] == 300


def test_class_shares_and_missing_classes_of_a_part_are_told(inspected, write_config):
    train, other = clean(), clean(300, seed=1)
    train["y"] = [("a", "b", "c")[k % 3] for k in range(N)]
    other["y"] = ["a" if k % 10 else "b" for k in range(300)]
    write(train)
    write(other, "v.csv")
    found = inspected(with_config(write_config))
    assert [(each["level"], each["code"], each["part"]) for each in found["findings"]] == [
        ("warning", "class_shares", "val"),
        ("note", "missing_class", "val"),
    ]
    assert found["classes"]["val"] == {"a": 270, "b": 30}
    assert found["findings"][0]["mend"] == {"data.val": 0.2}


def test_a_split_in_order_that_parts_the_classes_is_told(inspected, write_config):
    table = clean()
    table["y"] = [("a" if k < 450 or k % 5 == 0 else "b") if k % 7 else "b" for k in range(N)]
    write(table)
    path = write_config({**CONFIG, "data": {**CONFIG["data"], "split": "in_order"}})
    (found,) = inspected(path)["findings"]
    assert (found["code"], found["part"]) == ("class_shares", "val")
    assert found["mend"] == {"data.split": "shuffled", "data.stratify": True}


def test_holes_in_the_target_and_in_inputs_are_mended_together(ok, inspected, write_config):
    """data.missing drops the rows without a target, and the columns say for themselves what fills them."""
    member = ["" if k % 50 == 9 else ("yes", "no")[k * 7 % 5 % 2] for k in range(N)]
    table = clean()
    table["y"] = ["" if k % 100 == 1 else cell for k, cell in enumerate(table["y"])]
    write({"dose": HOLES, "member": member, **table})
    merged = inspected("t.csv", "--target", "y")["config"]
    assert merged == {
        "data.missing": "drop",
        "data.columns": {
            "member": {"kind": "yes_no", "missing": "zeros"},
            "dose": {"kind": "number", "missing": "median"},
        },
    }
    data = {key.removeprefix("data."): value for key, value in merged.items()}
    path = write_config({**CONFIG, "data": {**CONFIG["data"], **data}})
    assert "left out 6 of 600 rows" in ok("validate", path).err


def test_a_target_of_numbers_that_moves_is_told(inspected, write_config):
    table = clean()
    table["y"] = [f"{k / 10 + float(size):.5g}" for k, size in enumerate(table["size"])]
    write(table)
    config = {**CONFIG, "loss": "mse", "data": {**CONFIG["data"], "split": "in_order"}}
    (found,) = inspected(write_config(config))["findings"]
    assert (found["code"], found["columns"], found["part"]) == ("target_drift", ["y"], "val")


def test_a_network_far_too_large_is_told(inspected, write_config):
    write(clean())
    data = {name: value for name, value in CONFIG["data"].items() if name != "val"}
    config = {**CONFIG, "data": data, "network": {"layers": ["auto", 1000, "auto"]}}
    (found,) = inspected(write_config(config))["findings"]
    assert (found["code"], found["mend"]) == ("parameters", {"data.val": 0.2})
    assert "for each of 600 rows" in found["what"]


def test_warnings_of_validate_are_among_the_findings(inspected, ok, write_config):
    write({**clean(), "income": [50_000 + 37 * k % 9000 for k in range(N)]})
    data = {name: value for name, value in CONFIG["data"].items() if name != "scale"}
    path = write_config({**CONFIG, "data": data})
    (found,) = [each for each in inspected(path)["findings"] if each["code"] == "config"]
    assert found["what"] in ok("validate", path).err


def test_the_merged_lines_train_without_a_further_warning(ok, inspected, write_config):
    """What is said of each column, as one config: training takes it, and nothing is left to warn of."""
    planted = {name: cells for name, cells, code, *_ in PLANTED.values() if code != "words_among_numbers"}
    write({**planted, **clean()})
    merged = inspected("t.csv", "--target", "y")["config"]
    data = {key.removeprefix("data."): value for key, value in merged.items()}
    path = write_config({**CONFIG, "data": {**CONFIG["data"], **data}})
    ok("train", path, "--quiet")
    assert [each for each in inspected(path)["findings"] if each["level"] == "warning"] == []


def test_excludes_of_the_config_stay_in_the_merged_line(inspected, write_config):
    write({"id": list(range(N)), "nothing": [""] * N, **clean()})
    path = write_config({**CONFIG, "data": {**CONFIG["data"], "exclude": ["nothing"]}})
    assert inspected(path)["config"] == {"data.exclude": ["nothing", "id"]}


def test_data_that_training_refuses_are_shown_with_its_error(cli, write_config):
    """The exit code and the message are those of validate."""
    write({"dose": HOLES, **clean()})
    path = write_config(CONFIG)
    result, validated = cli("data", path), cli("validate", path)
    assert (result.code, result.err) == (validated.code, validated.err)
    assert result.code == 3
    assert "! dose: 60 of 600 rows lack a value" in result.out
    assert json.loads(cli("data", path, "--json").out)["errors"] == [validated.err.removeprefix("error: ").strip()]


def test_a_table_without_a_target_to_predict_is_shown_with_the_reason(cli):
    write({"k": list(range(N)), "y": ["x"] * N})
    result = cli("data", "t.csv")
    assert result.code == 3
    assert 'the target "y" is "x" in every row that has a value' in result.err
    assert result.out.startswith("t.csv: 600 rows, 2 columns; target y\n")
    assert "! y: the target is" in result.out


def test_a_wrong_config_is_told_as_by_validate(cli, write_config):
    path = write_config({**CONFIG, "loss": "logliklihood"})
    result, validated = cli("data", path), cli("validate", path)
    assert (result.code, result.err, result.out) == (2, validated.err, "")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere.csv"], 3, "nowhere.csv: no such file"),
        (["t.csv", "--target", "yy"], 3, 'no column "yy" (did you mean "y"?), named in --target'),
        (
            ["t.csv", "--target", "y", "--test", "o.csv"],
            3,
            'o.csv: no column "color" (did you mean "colour"?), which t.csv',
        ),
        (["t.csv", "--set", "data.val=0.2"], 2, "is for a config"),
        (["c.yaml", "--target", "y"], 2, "--set data.target=COLUMN"),
        (["t.csv", "t.csv", "t.csv"], 2, "takes one data file, or two"),
        (["t.csv", "--test", "a", "--test", "b", "--test", "c"], 2, "takes one file, or two"),
        (["x.npz", "--target", "y"], 3, "has no named columns, which --target is for"),
    ],
)
def test_wrong_calls_are_told(cli, write_config, arguments, code, message):
    write(clean())
    write_config(CONFIG, "c.yaml")
    np.savez("x.npz", x=np.zeros((4, 2)), y=np.arange(4.0))
    write({"colour" if name == "color" else name: cells for name, cells in clean().items()}, "o.csv")
    result = cli("data", *arguments)
    assert result.code == code
    assert message in " ".join(result.err.split())
    assert "o.csv" in arguments or result.out == ""


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_the_terminal(ok, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    planted = {name: cells for name, cells, *_ in PLANTED.values()}
    write({**planted, **clean()})
    out = ok("data", "t.csv", "--target", "y").out
    assert max(map(len, out.splitlines())) <= width
    assert all(f"{name} " in out for name in planted)


def test_the_table_marks_the_columns_that_findings_are_about(ok):
    write({"id": list(range(N)), "same": [1] * N, **clean()})
    lines = ok("data", "t.csv", "--target", "y").out.splitlines()
    marks = {line[3:].split()[0]: line[0] for line in lines[3:9]}
    assert marks == {"id": "!", "same": "-", "size": " ", "age": " ", "color": " ", "y": " "}
    assert "! id: a running number" in "\n".join(lines)
    assert "    data.exclude: [id]" in lines
    assert lines[-1] == "  bpcli init --data t.csv --target y"


def test_of_many_columns_of_one_kind_the_others_are_named_together(ok):
    write({**{f"h{k}": ["" if row == k else row % 53 for row in range(N)] for k in range(8)}, **clean()})
    out = ok("data", "t.csv", "--target", "y").out
    assert out.count("rows lack a value") == 3
    assert "! the same of 5 more: h3, h4, h5, h6, h7" in out


def test_names_and_texts_that_move_the_cursor_are_escaped(ok):
    write({"a\x1b[2Jb": ["x\u202ey"] * N, "c\x07": [f"\x1b{k}" for k in range(N)], **clean()})
    out = ok("data", "t.csv", "--target", "y").out
    assert out.replace("\n", "").isprintable()
    assert "\\x1b[2J" in out


def images(n: int = 200, dtype: type = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 60, (n, 12, 10)), np.arange(n) % 4
    for k in range(n):
        x[k, 3 * y[k] : 3 * y[k] + 3] = 255
    return x.astype(dtype), y


def test_images_are_described_and_drawn(ok, inspected):
    x, y = images()
    np.savez("x.npz", x=x, y=y)
    out = ok("data", "x.npz").out
    assert "200 images of 12 x 10 in training, uint8, from 0 to 255" in out
    assert "█" * 10 in out
    assert max(map(len, out.splitlines())) <= 80
    found = inspected("x.npz")
    assert found["findings"] == []
    assert found["classes"]["train"] == {"0": 50, "1": 50, "2": 50, "3": 50}
    assert found["arrays"]["shape"] == [200, 12, 10]


def test_a_terminal_without_block_characters_gets_others(process):
    x, y = images()
    np.savez("x.npz", x=x, y=y)
    out = process("data", "x.npz", env={"PYTHONIOENCODING": "ascii"}).out
    assert "#" * 10 in out
    assert out.isascii()
    assert "\\u" not in out


def test_pairs_of_npy_files_and_a_config_of_images_are_taken(inspected, write_config):
    x, y = images()
    np.save("x.npy", x)
    np.save("y.npy", y)
    assert inspected("x.npy", "y.npy")["rows"] == {"train": 200}
    assert "findings" in inspected("x.npy")
    config = {**CONFIG, "data": {"train": {"x": "x.npy", "y": "y.npy"}, "val": 0.2}}
    network = {"layers": ["flatten", {"type": "dense", "units": 4}]}
    found = inspected(write_config(config, network=network))
    assert (found["rows"], found["findings"]) == ({"train": 160, "val": 40}, [])


def test_empty_unscaled_and_doubled_images_are_told(inspected):
    x, y = images(dtype=np.float32)
    x[[3, 60]] = [[[7]], [[9]]]
    x[100:140] = x[10:50]
    y[100:140] = y[10:50]
    np.savez("x.npz", x=x, y=y)
    found = {each["code"]: each for each in inspected("x.npz")["findings"]}
    assert set(found) == {"blank_images", "unscaled_images", "doubled_rows"}
    assert (found["blank_images"]["rows"], found["blank_images"]["first_rows"]) == (2, [4, 61])
    assert found["unscaled_images"]["mend"] == {"data.scale": {"x": "minmax"}}
    assert found["doubled_rows"]["rows"] == 40


def test_colours_are_drawn_by_their_mean_and_vectors_not_at_all(ok):
    x, y = images()
    np.savez("colour.npz", x=np.stack([x, x, x], axis=1), y=y)
    np.savez("vectors.npz", x=x.reshape(200, -1).astype(float), y=y)
    assert "█" * 10 in ok("data", "colour.npz").out
    assert "█" not in ok("data", "vectors.npz").out


def test_arrays_too_large_for_memory_are_read_in_blocks(inspected, monkeypatch):
    monkeypatch.setattr("bpcli.data.npz_file.LARGE_BYTES", 1000)
    monkeypatch.setattr("bpcli.data.large.BLOCK_BYTES", 3000)
    x, y = images()
    x[150] = x[20]
    y[150] = y[20]
    np.save("x.npy", x)
    np.save("y.npy", y)
    (found,) = inspected("x.npy", "y.npy")["findings"]
    assert (found["code"], found["first_rows"]) == ("doubled_rows", [151])


@pytest.mark.long
def test_a_table_of_100000_rows_and_100_columns_takes_10_seconds(ok):
    """Numbers, whole numbers, categories, yes or no, dates and holes; by processor time.

    A busy machine is slower, so that the limit is 6 times what it takes here and now to split the file into cells by
    Python's csv module and to read the numbers among them by float(): about 1.7 s on an idle one.
    """
    rng, n = np.random.default_rng(0), 100_000
    days = np.datetime64("2015-01-01") + rng.integers(0, 3000, (5, n))
    columns = {f"n{k}": [f"{value:.5g}" for value in rng.normal(size=n)] for k in range(60)}
    columns |= {f"i{k}": rng.integers(0, 1000, n).tolist() for k in range(10)}
    columns |= {f"c{k}": [f"level_{value}" for value in rng.integers(0, 5 + k, n)] for k in range(15)}
    columns |= {f"y{k}": np.where(rng.random(n) < 0.5, "yes", "no").tolist() for k in range(5)}
    columns |= {f"d{k}": days[k].astype(str).tolist() for k in range(5)}
    columns |= {f"h{k}": ["" if u < 0.1 else f"{u:.4g}" for u in rng.random(n)] for k in range(4)}
    path = write({**columns, "target": np.where(rng.random(n) < 0.5, "a", "b").tolist()})
    del columns
    start = time.process_time()
    with path.open(newline="") as file:
        for row in itertools.islice(csv.reader(file), 1, None):
            list(map(float, row[:70]))
    reading, start = time.process_time() - start, time.process_time()
    out = ok("data", path).out
    seconds = time.process_time() - start
    print(f"\n{seconds:.1f} s, {seconds / reading:.1f} times as long as reading its cells")
    assert "100,000 rows, 100 columns" in out
    assert seconds < 6 * reading
