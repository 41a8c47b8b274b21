"""`TrainedModel.predict` takes tables by the names of their columns, and says what does not fit."""

from __future__ import annotations

import datetime
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import bpcli
from bpcli.errors import DataError

NAMES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 4.5, 1.5], [7.0, 3.0, 6.0, 2.2]]


class Frame:
    """What frames have in common: `columns`, a length, and a column by its name."""

    def __init__(self, columns: dict) -> None:
        self._data = {name: np.asarray(column) for name, column in columns.items()}
        self.columns = list(columns)

    def __len__(self) -> int:
        return len(next(iter(self._data.values()), ()))

    def __getitem__(self, name: str) -> np.ndarray:
        return self._data[name]


class Table(Frame):
    """As PyArrow's: the names are `column_names`, and `columns` are the columns themselves."""

    def __init__(self, columns: dict) -> None:
        super().__init__(columns)
        self.columns = list(self._data.values())

    @property
    def column_names(self) -> list[str]:
        return list(self._data)


def structured(columns: dict) -> np.ndarray:
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    rows = np.empty(len(next(iter(arrays.values()))), [(name, array.dtype) for name, array in arrays.items()])
    for name, array in arrays.items():
        rows[name] = array
    return rows


def pandas_frame(columns: dict) -> object:
    return pytest.importorskip("pandas", reason="pandas is not installed").DataFrame(columns)


def polars_frame(columns: dict) -> object:
    return pytest.importorskip("polars", reason="polars is not installed").DataFrame(columns)


FORMS = [dict, Frame, Table, structured, pandas_frame, polars_frame]


def columns(names: list[str] = NAMES) -> dict:
    return {name: [row[NAMES.index(name)] for row in ROWS] for name in names}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> bpcli.TrainedModel:
    run = tmp_path_factory.mktemp("library") / "iris"
    return bpcli.load(bpcli.train(Path(__file__).parents[2] / "configs" / "iris.yaml", out=run).folder)


@pytest.mark.parametrize("form", FORMS)
def test_columns_are_taken_by_name(model, form):
    expected = model.predict(ROWS)
    assert list(expected.labels) == ["setosa", "versicolor", "virginica"]
    table = form({"id": [1, 2, 3], **columns(NAMES[::-1]), "note": ["a", "b", "c"]})
    np.testing.assert_array_equal(model.predict(table).values, expected.values)


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_column_is_named_with_the_nearest(model, form):
    given = columns()
    given["petal_lenght"] = given.pop("petal_length")
    del given["sepal_width"]
    with pytest.raises(DataError) as caught:
        model.predict(form(given))
    message = str(caught.value)
    assert message.startswith('x: no column "sepal_width"')
    assert '"petal_length" (did you mean "petal_lenght"?), which the network was trained on; it has ' in message


@pytest.mark.parametrize("form", FORMS)
def test_text_in_a_column_is_named(model, form):
    with pytest.raises(DataError, match=r'x: column "sepal_width": sample 1 holds "3\.5", expected numbers'):
        model.predict(form({**columns(), "sepal_width": ["3.5", "3.0", "3.0"]}))


@pytest.mark.parametrize("form", [dict, Frame, Table, structured, pandas_frame])
@pytest.mark.parametrize("gap", [None, float("nan")])
def test_none_in_a_column_is_a_missing_value(model, form, gap):
    column = np.array([3.5, gap, 3.0], object)
    with pytest.raises(DataError, match='sample 2 has a missing value in column "sepal_width"'):
        model.predict(form({**columns(), "sepal_width": column}))


def test_missing_values_of_pandas_and_polars(model):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas_frame(columns()).astype("Float64")
    frame.loc[1, "sepal_width"] = pandas.NA
    with pytest.raises(DataError, match='sample 2 has a missing value in column "sepal_width"'):
        model.predict(frame)
    with pytest.raises(DataError, match='sample 2 has a missing value in column "sepal_width"'):
        model.predict(polars_frame({**columns(), "sepal_width": [3.5, None, 3.0]}))


def test_the_rows_of_a_frame_keep_their_order_whatever_its_index(model):
    frame = pandas_frame(columns()).sort_index(ascending=False)
    assert list(model.predict(frame).labels) == ["virginica", "versicolor", "setosa"]


def test_columns_without_names_are_refused(model):
    with pytest.raises(DataError, match=r"no column .*; it has \"0\", \"1\", \"2\", \"3\".*an array"):
        model.predict(Frame(dict(enumerate(zip(*ROWS, strict=True)))))


def test_a_column_that_is_there_twice_is_refused(model):
    frame = Frame(columns())
    frame.columns.append("sepal_width")
    with pytest.raises(DataError, match='x: has 2 columns "sepal_width"'):
        model.predict(frame)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sepal_width": [3.5, 3.0]}, 'column "sepal_width" has 2 values, column "sepal_length" 3'),
        ({"sepal_width": 3.5}, 'column "sepal_width": expected a list of numbers, one for each sample, got float'),
        ({"sepal_width": [[3.5], [3.0], [3.0]]}, 'column "sepal_width": .*one for each sample, got the shape (3, 1)'),
        ({"sepal_width": [3.5, [3.0], 3.0]}, 'column "sepal_width": .*not all of one length'),
        ({"sepal_width": [3.5, float("inf"), 3.0]}, 'sample 2 holds inf in column "sepal_width", expected a finite'),
        ({"sepal_width": np.zeros(3, "M8[ns]")}, 'column "sepal_width": holds datetime64[ns], expected numbers'),
        ({"sepal_width": np.zeros(3, "m8[ns]")}, 'column "sepal_width": holds timedelta64[ns], expected numbers'),
        ({"sepal_width": [1j, 1j, 1j]}, 'column "sepal_width": holds complex128, expected numbers'),
        ({"sepal_width": [datetime.date(2026, 1, 1)] * 3}, "sample 1 holds a date, expected numbers"),
    ],
)
def test_columns_that_do_not_fit(model, change, message):
    with pytest.raises(DataError, match=message.replace("(3, 1)", r"\(3, 1\)").replace("[ns]", r"\[ns\]")):
        model.predict({**columns(), **change})


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (None, "x: expected samples, numbers of shape (N, 4), got NoneType"),
        ("new.csv", "got str; for a file there is predict_file"),
        (Path("new.csv"), "Path; for a file there is predict_file"),
        (3, "got int"),
        ({5.1, 3.5}, "got set"),
        (iter(ROWS), "got list_iterator"),
        ([], "x: has the shape (0,), expected (N, 4)"),
        ([[]], "x: has the shape (1, 0), expected (N, 4)"),
        ([[1.0, 2.0]], 'expected (N, 4): the columns "sepal_length", "sepal_width", "petal_length", "petal_width"'),
        ([[1.0] * 5], "x: has the shape (1, 5)"),
        (np.zeros((2, 2, 2)), "x: has the shape (2, 2, 2)"),
        ([5.1, 3.5, 1.4, 0.2], "x: is one sample; give a list of samples, also for one: [x]"),
        ([[1, 2, 3, 4], [1]], "x: the samples are not all of one length"),
        ([["5.1", "3.5", "1.4", "0.2"]], 'x: sample 1 holds "5.1", expected numbers'),
        ([[1, 2, 3, 4], [1, 2, 3, "red"]], 'x: sample 2 holds "red", expected numbers'),
        ([[1, 2, 3, {}]], "x: sample 1 holds a dict, expected numbers"),
        ([dict(zip(NAMES, ROWS[0], strict=True))], "x: sample 1 holds a dict, expected numbers"),
        ([[1, 2, 3, None]], 'sample 1 has a missing value in column "petal_width"'),
        ([[1, 2, 3, float("nan")]], 'sample 1 has a missing value in column "petal_width"'),
        (np.ma.masked_array([[1, 2, 3, 4]], [[0, 0, 0, 1]]), 'sample 1 has a missing value in column "petal_width"'),
        ([[1, 2, -float("inf"), 4]], 'x: sample 1 holds -inf in column "petal_length", expected a finite number'),
        ([[1, 2, 10**400, 4]], 'x: sample 1 holds an int, too large for a number'),
        (np.zeros((1, 4), complex), "x: holds complex128, expected numbers"),
        (np.zeros((1, 4), "M8[ns]"), "x: holds datetime64[ns], expected numbers"),
    ],
)  # fmt: skip
def test_samples_that_do_not_fit(model, x, message):
    with pytest.raises(DataError) as caught:
        model.predict(x)
    assert message in str(caught.value)


def test_numbers_of_any_kind_are_taken(model):
    expected = model.predict([[5, 3, 1, 0]]).values
    for row in ([Decimal(5), 3, True, False], np.array([5, 3, 1, 0], np.uint8), np.array([5, 3, 1, 0], object)):
        np.testing.assert_array_equal(model.predict([row]).values, expected)


def test_a_table_for_a_network_that_knows_no_names_is_refused(write_config):
    rng = np.random.default_rng(0)
    np.savez("d.npz", x=rng.normal(size=(20, 2)), y=rng.normal(size=20))
    config = write_config({"data": {"train": "d.npz"}, "network": {"layers": [2, 1]}, "training": {"epochs": 1}})
    model = bpcli.load(bpcli.train(config, out="run").folder)
    assert model.predict([[1, 2]]).values.shape == (1, 1)
    with pytest.raises(DataError, match=r"trained on data without names.*an array of shape \(N, 2\)"):
        model.predict({"a": [1], "b": [2]})


def test_no_samples_give_no_predictions(model):
    assert model.predict(np.zeros((0, 4))).values.shape == (0, 3)
    assert model.predict({name: [] for name in NAMES}).values.shape == (0, 3)


def test_a_network_trained_on_bytes(write_config):
    rng = np.random.default_rng(0)
    np.savez("d.npz", x=rng.integers(0, 256, (20, 2), np.uint8), y=rng.normal(size=20))
    config = write_config({"data": {"train": "d.npz"}, "network": {"layers": [2, 1]}, "training": {"epochs": 1}})
    model = bpcli.load(bpcli.train(config, out="run").folder)
    expected = model.predict(np.array([[1, 255]], np.uint8)).values
    np.testing.assert_array_equal(model.predict([[1, 255]]).values, expected)
    assert model.predict(np.zeros((0, 2), int)).values.shape == (0, 1)
    for x in ([[1, 256]], [[0.5, 1.0]], [[None, 1]]):
        with pytest.raises(DataError, match="trained on bytes"):
            model.predict(x)


@pytest.mark.parametrize("form", FORMS)
def test_missing_values_of_a_table_are_treated_as_those_of_a_file(write_config, form):
    Path("d.csv").write_text("a,b,y\n" + "".join(f"{i % 5},{i % 3},{i}\n" for i in range(20)) + ",1,3\n")
    config = write_config({"data": {"train": "d.csv"}, "network": {"layers": [2, 1]}, "training": {"epochs": 1}})
    table = form({"b": [1.0, 2.0], "a": [np.nan, 2.0]})
    dropping = bpcli.load(bpcli.train(config, ["data.missing=drop"], out="drop").folder).predict(table)
    assert list(dropping.missing) == [True, False]
    assert dropping.notes == (
        "x: 1 of 2 rows have a missing value and no prediction: their lines are left empty (row 1)",
    )
    filling = bpcli.load(bpcli.train(config, ["data.missing=mean"], out="mean").folder)
    assert 'missing in 2 rows: 1 in "a"' in filling.predict(table).notes[0]
    np.testing.assert_array_equal(filling.predict(table).values, filling.predict([[2.0, 1.0], [2.0, 2.0]]).values)


def test_predict_needs_no_library_of_frames(model, monkeypatch):
    for name in ("pandas", "polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it is an ImportError
    assert list(model.predict(Frame(columns())).labels) == ["setosa", "versicolor", "virginica"]
