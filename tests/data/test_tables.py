"""Tables with columns of several kinds, from the file to what the network gets, and in further files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from bpcli.data import datasets, encoding
from bpcli.data.datasets import Datasets, load_datasets, load_part
from bpcli.data.encoding import count_amounts, from_plain, input_groups, input_names, to_plain
from bpcli.data.kinds import Category, Date, Number, YesNo
from bpcli.data.types import DataPlan, Source
from bpcli.engine.training.state import random_streams
from bpcli.errors import DataError

PLAN = DataPlan(
    train=Source(Path("d.csv"), label="d.csv"),
    val=None,
    test=None,
    target="y",
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
TABLE = """\
id,age,sex,port,alone,born,fare,y
1,30,m,C,yes,1990-01-15,$7,0
2,20,f,Q,no,2000-07-01,"$1,100",1
3,,f,S,no,2000-07-02,$3,2
4,40,m,,yes,1970-01-01,$5,3
5,30,f,C,no,1980-06-30,$5,4
"""
KINDS = {
    "sex": Category(),
    "port": Category(missing="zeros"),
    "alone": YesNo(),
    "born": Date(parts=("year", "month")),
    "fare": Number(currency="$", thousands=","),
    "age": Number(missing="median", indicator=True),
}


def load(*, seed: int = 0, **changes) -> Datasets:
    return load_datasets(dataclasses.replace(PLAN, **changes), random_streams(seed)["split"])


def write(text: str, name: str = "d.csv") -> Source:
    Path(name).write_text(text)
    return Source(Path(name), label=name)


def test_each_column_becomes_the_inputs_of_its_kind() -> None:
    write(TABLE)
    data = load(columns=KINDS, exclude=("id",))
    columns = data.preparation.columns
    assert columns is not None
    assert input_names(columns) == (
        "age",
        "born year",
        "fare",
        "age is missing",
        "sex=m",
        "port=C",
        "port=Q",
        "port=S",
        "alone",
        "born month sine",
        "born month cosine",
    )
    assert count_amounts(columns) == 3
    assert input_groups(columns)["born"] == [1, 9, 10]
    x = np.asarray(data.parts["train"].x)
    np.testing.assert_array_equal(x[:, 0], [30, 20, 30, 40, 30])  # 30 is the median of the others
    np.testing.assert_array_equal(x[:, 1], [1990, 2000, 2000, 1970, 1980])
    np.testing.assert_array_equal(x[:, 2], [7, 1100, 3, 5, 5])
    np.testing.assert_array_equal(x[:, 3], [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(x[:, 4], [1, -1, -1, 1, -1])
    np.testing.assert_array_equal(x[:, 5:8], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]])
    np.testing.assert_array_equal(x[:, 8], [1, -1, -1, 1, -1])
    np.testing.assert_allclose(
        x[:, 9:], [[0, 1], [0, -1], [0, -1], [0, 1], [np.sin(5 / 6 * np.pi), np.cos(5 / 6 * np.pi)]], atol=1e-15
    )


@pytest.mark.parametrize("scale", ["standard", "minmax", "robust"])
def test_numbers_are_scaled_and_categories_are_not(scale) -> None:
    write("a,c,y\n1,u,0\n2,v,1\n3,w,2\n6,u,3\n")
    x = np.asarray(load(columns={"c": Category()}, x_scale=scale).parts["train"].x)
    a = np.array([1.0, 2, 3, 6])
    by_hand = {
        "standard": (a - a.mean()) / a.std(),
        "minmax": (a - 1) / 5,
        "robust": (a - 2.5) / 2 / np.sqrt(1 + ((a - 2.5) / 6) ** 2),
    }
    np.testing.assert_allclose(x[:, 0], by_hand[scale], rtol=1e-14)
    np.testing.assert_array_equal(x[:, 1:], [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]])


def test_a_column_can_be_scaled_otherwise_than_all() -> None:
    write("a,b,c,y\n1,5,u,0\n3,6,v,1\n")
    columns = {"a": Number(scale="none"), "c": Category(scale="standard")}
    x = np.asarray(load(columns=columns, x_scale="minmax").parts["train"].x)
    np.testing.assert_array_equal(x, [[1, 0, -1], [3, 1, 1]])


def test_robust_scaling_of_a_plain_table_needs_no_kinds() -> None:
    write("a,b,y\n1,0,0\n2,0,1\n3,0,2\n")
    data = load(x_scale="robust")
    np.testing.assert_allclose(np.asarray(data.parts["train"].x)[:, 0], [-1 / np.sqrt(10 / 9), 0, 1 / np.sqrt(10 / 9)])
    assert data.preparation.y_scaler is None


def test_missing_categories_may_be_a_category_of_their_own() -> None:
    write("c,y\nu,0\nv,1\n,2\n")
    data = load(columns={"c": Category(missing="category")})
    assert data.preparation.input_names == ("c=v", "c is missing")
    np.testing.assert_array_equal(data.parts["train"].x, [[-1, 0], [1, 0], [0, 1]])


def test_words_without_a_kind_are_categories_if_they_are_few_and_it_is_said() -> None:
    write("a,c,y\n" + "".join(f"{k},{'uvw'[k % 3]},{k}\n" for k in range(9)))
    data = load()
    assert data.preparation.input_names == ("a", "c=u", "c=v", "c=w")
    assert data.notes == ('d.csv: taken as categories: "c" (3 different); in the config: data.columns: {c: category}',)


def test_rows_with_a_gap_are_left_out_where_their_column_says_so() -> None:
    write("a,b,y\n1,1,0\n,2,1\n3,,2\n")
    data = load(columns={"a": Number(missing="drop"), "b": Number(missing="mean")})
    np.testing.assert_array_equal(data.parts["train"].x, [[1, 1], [3, 1]])
    assert "left out 1 of 3 rows" in data.notes[0]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a,y\n1,1\n,2\n", {"a": Number()}, 'd.csv:3: column "a": missing value; fill it or drop the row'),
        ("c,y\nu,1\n,2\n", {"c": Category()}, 'd.csv:3: column "c": missing value; fill it or drop the row'),
        ("a,y\nyes,1\nmaybe,2\n", {"a": YesNo()}, 'd.csv:3: column "a": got "maybe", expected yes or no (true/false'),
        ("a,y\n2024-01-01,1\n1/2/24,2\n", {"a": Date()}, 'd.csv:3: column "a": got "1/2/24", expected a date such as'),
        ("a,y\n5%,1\n5,2\n", {"a": Number(percent=True)}, 'd.csv:3: column "a": got "5", expected a number (percent:'),
        ("a,y\n1,1\n", {"b": Number()}, 'd.csv: no column "b", named in data.columns; it has "a", "y"'),
        (",y\n1,1\n", {"a": Number()}, "d.csv:1: column 1 has no name"),
        ("a,c,y\n1,,1\n2,,2\n", {"c": Category(missing="zeros")}, 'd.csv: "c" has no value at all in the training'),
    ],
)
def test_what_is_wrong_is_told_with_its_line_and_column(text: str, columns, message: str) -> None:
    write(text)
    with pytest.raises(DataError) as caught:
        load(columns=columns)
    assert str(caught.value).startswith(message)


def test_a_further_file_is_read_by_the_same_columns_in_any_order() -> None:
    write(TABLE)
    plan = dataclasses.replace(PLAN, columns=KINDS, exclude=("id",))
    data = load_datasets(plan, random_streams(0)["split"])
    lines = [line.split(",") for line in TABLE.replace('"$1,100"', "$1100").splitlines()]
    other = write("\n".join(",".join([*reversed(line), "x"]) for line in lines), "other.csv")
    part = load_part(data.preparation, other, plan)
    np.testing.assert_array_equal(part.x, data.parts["train"].x)


def test_a_category_that_training_has_not_seen_is_counted_and_told() -> None:
    write("c,y\nu,0\nv,1\nw,2\n")
    plan = dataclasses.replace(PLAN, columns={"c": Category()})
    data = load_datasets(plan, random_streams(0)["split"])
    part = load_part(data.preparation, write("c,y\nw,1\nz,2\nz,3\n", "new.csv"), plan)
    np.testing.assert_array_equal(part.x, [[0, 0, 1], [0, 0, 0], [0, 0, 0]])
    (note,) = part.notes
    assert note == (
        'new.csv: 2 of 3 rows have a category in column "c" that the network does not know: "z"; they are taken '
        "as none of the known ones"
    )


def test_a_number_of_minus_one_is_no_unknown_category() -> None:
    write("a,c,y\n-1,u,0\n2,v,1\n")
    assert load(columns={"c": Category()}).notes == ()


def test_a_category_that_training_has_not_seen_is_an_error_where_the_config_says_so() -> None:
    write("c,y\nu,0\nv,1\nw,2\n")
    plan = dataclasses.replace(PLAN, columns={"c": Category(unknown="error")})
    data = load_datasets(plan, random_streams(0)["split"])
    with pytest.raises(
        DataError, match=r'new.csv: sample 2 has "z" in column "c", a category that the network does not know'
    ):
        load_part(data.preparation, write("c,y\nw,1\nz,2\n", "new.csv"), plan)


def test_given_categories_keep_their_order() -> None:
    write("c,y\nu,0\nv,1\n")
    data = load(columns={"c": Category(categories=("x", "v", "u"))})
    assert data.preparation.input_names == ("c=x", "c=v", "c=u")


def test_a_column_survives_json_exactly() -> None:
    write(TABLE)
    columns = load(columns=KINDS, exclude=("id",), x_scale="robust").preparation.columns
    assert columns is not None
    assert tuple(from_plain(json.loads(json.dumps(to_plain(column)))) for column in columns) == columns


def test_targets_may_be_amounts_too() -> None:
    write('a,y\n1,"$1,000"\n2,$20\n')
    data = load(columns={"y": Number(currency="$", thousands=",")})
    np.testing.assert_array_equal(data.parts["train"].y, [[1000], [20]])


def test_the_rows_of_a_group_stay_together() -> None:
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 40, 400)
    write("g,a,y\n" + "".join(f"family {g},{k},{k}\n" for k, g in enumerate(groups)))
    data = load(group="g", val=0.2, test=0.1)
    owners = [set(groups[np.asarray(part.x)[:, 0].astype(int)]) for part in data.parts.values()]
    assert [len(part) for part in data.parts.values()] == pytest.approx([280, 80, 40], abs=12)
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]
    assert data.preparation.feature_names == ("a",)


def test_groups_in_order_are_the_last_ones() -> None:
    write("g,a,y\n" + "".join(f"{k // 5},{k},{k}\n" for k in range(50)))
    data = load(group="g", val=0.2, test=0.2, in_order=True)
    firsts = {name: np.asarray(part.x)[:, 0].min() for name, part in data.parts.items()}
    assert firsts == {"train": 0, "val": 30, "test": 40}


def test_too_few_groups_are_told() -> None:
    write("g,a,y\nu,1,1\nu,2,2\nv,3,3\n")
    with pytest.raises(DataError, match=r"2 groups in data\.group are too few"):
        load(group="g", val=0.2, test=0.2)


def test_a_file_without_names_has_no_such_columns() -> None:
    np.savez("d.npz", x=np.zeros((3, 2)), y=np.zeros(3))
    with pytest.raises(DataError, match=r"has no named columns, which data\.group is for"):
        load(train=Source(Path("d.npz"), label="d.npz"), target=None, group="g")


# --- nothing that is fitted has seen more than the training part ------------------------------------------------------

COLUMNS = {
    "mean": Number(missing="mean"),
    "median": Number(missing="median", indicator=True),
    "standard": Number(scale="standard"),
    "minmax": Number(scale="minmax"),
    "robust": Number(scale="robust"),
    "category": Category(),
    "scaled_category": Category(scale="standard"),
    "date": Date(parts=("year", "elapsed", "month"), scale="standard", missing="median"),
}
SPLITS = {
    "shuffled": {},
    "stratified": {"task": "classification", "loss_for_classes": True},
    "in_order": {"in_order": True},
    "group": {"group": "g"},
}


def leak_table(held_out: set[int]) -> str:
    """A table in which the rows held out have values that no other row has."""
    lines = ["g,mean,median,standard,minmax,robust,category,scaled_category,date,y"]
    for row in range(60):
        far = -1e6 if row in held_out else 1.0
        gap = "" if row % 7 == 3 else f"{row * far}"
        word = "only here" if row in held_out else "uvw"[row % 3]
        year = 2090 if row in held_out else 1990 + row % 9
        cells = [row // 5, gap, gap, row * far, row * far, row * far, word, word, f"{year}-03-04", row % 2]
        lines.append(",".join(map(str, cells)))
    return "\n".join(lines) + "\n"


def fitted(split: str, held_out: set[int]) -> tuple[list[object], set[int]]:
    """What is fitted on the table, and the rows that are not for training."""
    write(leak_table(held_out))
    plan = dataclasses.replace(
        PLAN, columns=COLUMNS, exclude=("g",), val=0.2, test=0.2, y_scale="standard", **SPLITS[split]
    )
    _, preparation, rows, _ = datasets._training_file(plan, random_streams(1)["split"])
    assert preparation.columns is not None
    found: list[object] = [to_plain(column) for column in preparation.columns]
    return found, {*rows.val.tolist(), *rows.test.tolist()}


@pytest.mark.parametrize("split", SPLITS)
def test_what_is_fitted_does_not_depend_on_the_rows_held_out(split: str) -> None:
    before, held_out = fitted(split, set())
    after, same = fitted(split, held_out)
    assert held_out == same
    assert len(held_out) > 15
    assert before == after


@pytest.mark.parametrize("split", SPLITS)
def test_a_leak_would_be_seen_in_every_column(split: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with all rows for fitting, as if by mistake."""
    honest = encoding.fit_columns
    monkeypatch.setattr(
        "bpcli.data.preparation.fit_columns", lambda raw, rows, *rest: honest(raw, np.arange(len(raw.x)), *rest)
    )
    before, held_out = fitted(split, set())
    after, _ = fitted(split, held_out)
    assert [one for one, other in zip(before, after, strict=True) if one == other] == []


def test_weights_are_no_categories():
    write(TABLE)
    with pytest.raises(DataError, match='the weights are in column "sex", which holds categories, not numbers'):
        load(columns={**KINDS, "sex": Category()}, exclude=("id",), sample_weight="sex")


def test_rows_of_a_group_are_not_found_by_the_target():
    write(TABLE)
    with pytest.raises(
        DataError, match=r'd\.csv: data\.group names "y", the target: name the column whose rows belong'
    ):
        load(columns=KINDS, group="y", val=0.4)


def test_an_exclusion_of_all_inputs_is_named():
    write("a,b,y\n1,2,3\n2,3,4\n")
    with pytest.raises(DataError, match=r"data\.exclude leaves no column beside the target"):
        load(exclude=("a", "b"))


def test_only_the_missing_values_that_a_row_is_left_out_for_are_counted():
    write("a,b,y\n1,,1\n,2,2\n3,3,3\n4,4,4\n")
    kinds = {"a": Number(missing="drop"), "b": Number(missing="median")}
    from bpcli.data.content import content_of
    from bpcli.data.read import read

    raw = read(PLAN.train, columns=kinds, target="y", missing="median")
    assert content_of(raw, dataclasses.replace(PLAN, columns=kinds, missing="median")).notes == (
        'd.csv: left out 1 of 4 rows, for a missing value (missing in 4 rows: 1 in "a")',
    )
