"""Missing values: which cells count as such, and what becomes of them by the user's word."""

from __future__ import annotations

import dataclasses
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpcli.data.csv_cells import Table
from bpcli.data.csv_fast import read_fast
from bpcli.data.csv_rows import read_exactly
from bpcli.data.datasets import Datasets, load_datasets, load_part
from bpcli.data.read import read
from bpcli.data.types import DataPlan, Source
from bpcli.engine.training.state import random_streams
from bpcli.errors import DataError

NAN = float("nan")
PLAN = DataPlan(
    train=Source(Path("d.csv")),
    val=None,
    test=None,
    target=None,
    features=None,
    header=None,
    task="auto",
    loss_for_classes=False,
    stratify=True,
    in_order=False,
    x_scale="none",
    y_scale="none",
    dtype="float64",
)


def csv(name: str, *lines: str) -> Source:
    Path(name).write_text("\n".join(lines) + "\n")
    return Source(Path(name))


def load(**changes) -> Datasets:
    return load_datasets(dataclasses.replace(PLAN, **changes), random_streams(0)["split"])


# --- reading ----------------------------------------------------------------------------------------------------------

WORDS = ["", " ", "NA", "n/a", "#N/A", "<NA>", "NaN", "-nan", "NULL", "None", "missing", "?", "-", ".", '""', '"NA"']


@pytest.mark.parametrize("missing", ["drop", "mean", "median"])
@pytest.mark.parametrize("word", WORDS)
def test_a_missing_number_is_nan(word, missing):
    data = read(csv("d.csv", "a,b,y", f"1,{word},2", f"{word},3,4"), missing=missing)
    np.testing.assert_array_equal(data.x, [[1, NAN], [NAN, 3]])
    assert data.y.tolist() == [2, 4]


@pytest.mark.parametrize("word", WORDS)
def test_a_missing_number_is_an_error_that_counts_them_by_column(word):
    with pytest.raises(DataError) as caught:
        read(csv("d.csv", "a,b,y", "1,2,3", f"1,{word},2", f"{word},{word},4"))
    message = str(caught.value)
    assert message.startswith('d.csv:3: column "b": ')
    assert "fill it or drop the row, or set data.missing: drop | mean | median" in message
    assert message.endswith('(missing in 3 rows: 1 in "a", 2 in "b")')


@pytest.mark.parametrize("missing", ["error", "drop", "mean", "median"])
@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999", "1_000", "x"])
def test_infinity_and_text_are_never_missing(cell, missing):
    with pytest.raises(DataError, match=rf'd.csv:3: column "a": got "{cell}"'):
        read(csv("d.csv", "a,b,y", "1,2,3", f"{cell},,2"), missing=missing)


def test_drop_reads_missing_targets():
    data = read(csv("d.csv", "a,t,u", "1,,2", "2,3,NA"), target=["t", "u"], missing="drop")
    np.testing.assert_array_equal(data.y, [[NAN, 2], [3, NAN]])


@pytest.mark.parametrize("missing", ["mean", "median"])
@pytest.mark.parametrize(("cell", "other"), [("", "3"), ("NA", "3"), ("", "red"), ("NA", "red")])
def test_a_target_is_never_filled_in(cell, other, missing):
    with pytest.raises(DataError, match=r'd.csv:3: column "y".*a target is never filled in.*data.missing: drop'):
        read(csv("d.csv", "a,y", f",{other}", f"1,{cell}"), missing=missing)


def test_among_labels_fewer_words_are_missing():
    lines = [f"1,{word}" for word in ("red", "", "NA", "n/a", "nan", "none", "-", "?", "Null")]
    data = read(csv("d.csv", "a,y", *lines), missing="drop")
    assert data.y.tolist() == ["red", "", "", "", "", "none", "-", "?", "Null"]


def test_without_a_word_from_the_user_na_is_a_label():
    assert read(csv("d.csv", "a,y", "1,red", "2,NA")).y.tolist() == ["red", "NA"]


CELL = st.sampled_from(
    ["1", "-2.5", "3e4", " 7 ", "", "NA", " na ", "nan", "-", ".", "?", "-nan", "N A", "inf", "x", "--"]
)


@settings(derandomize=True, max_examples=300)
@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=4), st.sampled_from(",;\t"), st.booleans())
def test_the_fast_way_reads_gaps_as_the_exact_one(tmp_path_factory, table, separator, every):
    path = tmp_path_factory.getbasetemp() / "gaps.csv"
    path.write_text("\n".join(separator.join(row) for row in table))
    layout, columns = Table(path, separator, tuple(string.ascii_lowercase[:3]), False), [0, 1] if every else [1]
    fast = read_fast(layout, columns, [2], "drop")
    try:
        found = read_exactly(layout, columns, [2], "drop")
        exact = found.x, found.y
    except DataError:
        exact = None
    if fast is not None:
        assert exact is not None
        for one, other in zip(fast, exact, strict=True):
            np.testing.assert_array_equal(one, other)
    elif exact is not None:
        assert exact[1].dtype.kind == "U"  # a table of numbers and gaps is taken


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_a_lone_decimal_comma_is_no_missing_value(missing):
    source = csv("d.csv", "a;b;y", "1,5;,;2", "2,5;3;4")
    with pytest.raises(DataError, match=r'd.csv:2: column "b": got ",", expected a number'):
        read(source, decimal=",", missing=missing)


@pytest.mark.parametrize("decimal", [".", ","])
def test_the_fast_way_takes_gaps(decimal):
    source = csv("d.csv", f"1{decimal}5;;3", "NA;2;-")
    fast = read_fast(Table(source.x, ";", ("a", "b", "c"), False, decimal), [0, 1], [2], "drop")
    np.testing.assert_array_equal(np.hstack(fast), [[1.5, NAN, 3], [NAN, 2, NAN]])


@pytest.mark.parametrize("name", ["d.npz", "d.npy"])
def test_nan_in_arrays_is_a_missing_value(name):
    x, y = np.array([[1.0, NAN], [NAN, 2.0], [3.0, NAN]]), np.array([1.0, NAN, 2.0])
    source = Source(Path(name), None if name == "d.npz" else Path("y.npy"))
    if name == "d.npz":
        np.savez(name, x=x, y=y)
    else:
        np.save(name, x)
        np.save("y.npy", y)
    data = read(source, missing="drop")
    np.testing.assert_array_equal(data.x, x)
    np.testing.assert_array_equal(data.y, y)
    with pytest.raises(DataError, match=r"row 0, index \[1\].*data.missing.*3 rows: 1 in column 0, 2 in column 1"):
        read(source)
    with pytest.raises(DataError, match=r"row 1 \(from 0\).*a target is never filled in.*missing: 1 of 3 numbers"):
        read(source, missing="mean")


def test_infinity_in_an_array_is_never_missing():
    np.savez("d.npz", x=np.array([[NAN], [np.inf]]), y=np.ones(2))
    with pytest.raises(DataError, match=r"row 1, index \[0\].*got inf"):
        read(Source(Path("d.npz")), missing="drop")


def test_an_empty_label_of_an_array_is_missing():
    np.savez("d.npz", x=np.ones((2, 1)), y=np.array(["a", ""]))
    assert read(Source(Path("d.npz")), missing="drop").y.tolist() == ["a", ""]
    with pytest.raises(DataError, match=r"row 1 .*no label.*data.missing: drop"):
        read(Source(Path("d.npz")))


# --- drop -------------------------------------------------------------------------------------------------------------


def test_drop_leaves_out_incomplete_rows_and_says_how_many():
    csv("d.csv", "a,b,w,y", "1,,1,1", "2,2,,2", "3,3,1,NA", "4,4,2,4", "5,5,1,5")
    datasets = load(missing="drop", sample_weight="w")
    part = datasets.parts["train"]
    assert (part.x.tolist(), part.y.tolist(), part.weights.tolist()) == ([[4, 4], [5, 5]], [[4], [5]], [[2], [1]])
    counts = '1 in "b", 1 in "y", 1 in "w"'
    assert datasets.notes == (f"d.csv: left out 3 of 5 rows, for a missing value (missing in 5 rows: {counts})",)


def test_drop_looks_at_the_columns_in_use_alone():
    csv("d.csv", "a,b,y", "1,,1", "2,,2")
    datasets = load(missing="drop", features=("a",))
    assert (len(datasets.parts["train"]), datasets.notes) == (2, ())


def test_every_file_is_told_of():
    csv("d.csv", "a,y", ",1", "2,2", "3,3", "4,4", "5,5")
    csv("t.csv", "a,y", "1,", "2,2")
    datasets = load(missing="drop", val=0.25, test=Source(Path("t.csv")))
    assert {name: len(part) for name, part in datasets.parts.items()} == {"train": 3, "val": 1, "test": 1}
    assert [note[:30] for note in datasets.notes] == [
        "d.csv: left out 1 of 5 rows, f",
        "t.csv: left out 1 of 2 rows, f",
    ]


def test_rows_left_out_do_not_move_the_numbers_in_messages():
    csv("d.csv", "a,y", ",1", "2,1", "1e39,3")
    with pytest.raises(DataError, match=r"d\.csv: sample 3 holds 1e\+39"):
        load(missing="drop", dtype="float32")
    csv("d.csv", "a,y", "1,x", "2,y")
    csv("v.csv", "a,y", ",x", "1,x", "2,z")
    with pytest.raises(DataError, match=r'v\.csv: sample 3 has the class "z"'):
        load(missing="drop", val=Source(Path("v.csv")))


def test_nothing_left_is_an_error():
    csv("d.csv", "a,y", ",1", "2,")
    with pytest.raises(DataError, match=r'd\.csv: every row has a missing value.*1 in "a", 1 in "y"'):
        load(missing="drop")


# --- mean and median --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "fill"), [("mean", [4.0, 20.0]), ("median", [2.0, 20.0])])
def test_gaps_are_filled_in_from_the_training_part_alone(kind, fill):
    lines = ["1,10,0", "2,,1", "9,30,2", ",1000,3", "7,,4"]
    csv("d.csv", "a,b,y", *lines)
    datasets = load(missing=kind, val=0.4, in_order=True)
    assert datasets.preparation.fill.tolist() == fill
    assert datasets.parts["train"].x.tolist() == [[1, 10], [2, fill[1]], [9, 30]]
    assert datasets.parts["val"].x.tolist() == [[fill[0], 1000], [7, fill[1]]]
    assert datasets.notes[0] == (
        f"d.csv, train: filled in 1 missing value with the column's {kind} over the training part "
        '(missing in 3 rows: 1 in "b")'
    )
    assert datasets.notes[1].startswith("d.csv, val: filled in 2 missing values")


def test_a_further_file_is_filled_in_alike():
    csv("d.csv", "a,b,y", "1,10,0", "3,30,2")
    csv("t.csv", "b,a,y", ",NA,1")
    plan = dataclasses.replace(PLAN, missing="mean")
    part = load_part(load(missing="mean").preparation, Source(Path("t.csv")), plan)
    assert part.x.tolist() == [[2, 20]]


def test_scaling_comes_after_filling_in():
    csv("d.csv", "a,y", "0,1", "10,2", ",3")
    datasets = load(missing="mean", x_scale="minmax")
    assert datasets.parts["train"].x.tolist() == [[0], [1], [0.5]]


def test_a_column_without_any_value_in_training_is_named():
    csv("d.csv", "a,b,y", "1,,0", "2,,1", "3,5,2")
    with pytest.raises(DataError, match=r'd\.csv: "b" has no value at all in the training part'):
        load(missing="median", val=0.3, in_order=True)


def test_a_weight_is_never_filled_in():
    csv("d.csv", "a,w,y", "1,1,0", "2,,1")
    with pytest.raises(DataError, match=r'd\.csv: sample 2 has no weight in column "w".*never filled in'):
        load(missing="mean", sample_weight="w")


def test_images_are_not_filled_in_but_may_be_dropped():
    x = np.arange(24.0).reshape(4, 2, 3)
    x[2, 0, 1] = NAN
    np.savez("d.npz", x=x, y=np.arange(4.0))
    source = Source(Path("d.npz"))
    with pytest.raises(DataError, match=r"sample 3 has a missing value: an image is not filled in"):
        load(train=source, missing="mean", x_scale="standard")
    assert len(load(train=source, missing="drop").parts["train"]) == 3


@pytest.mark.parametrize("kind", ["drop", "mean", "median"])
def test_without_gaps_the_word_changes_nothing(kind):
    csv("d.csv", "a,b,y", *(f"{i},{i * i % 7},{i % 3}" for i in range(30)))
    plain, other = (load(missing=word, val=0.2, x_scale="standard") for word in ("error", kind))
    for name, part in plain.parts.items():
        assert part.x.tobytes() == other.parts[name].x.tobytes()
        assert part.y.tobytes() == other.parts[name].y.tobytes()
    assert other.notes == ()
