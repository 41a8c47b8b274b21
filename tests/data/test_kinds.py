"""The kinds of columns: each cell as a number, NaN where a value is missing, None where the cell is of another kind."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import pytest

from bpcli.data.kinds import Category, Date, Number, YesNo, kinds, missing_rule
from bpcli.data.types import ColumnKind

DAY_2024 = 19_844.0  # 2024-05-01: (datetime(2024, 5, 1) - datetime(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        (Number(), "1.5", 1.5),
        (Number(), " -1e3 ", -1000.0),
        (Number(), "12%", None),
        (Number(), "1,200", None),
        (Number(), "x", None),
        (Number(percent=True), "12%", 12.0),
        (Number(percent=True), "-12.5 %", -12.5),
        (Number(percent=True), "12", None),
        (Number(currency="$"), "$12.50", 12.5),
        (Number(currency="$"), "-$12.50", -12.5),
        (Number(currency="$"), "$-12.50", -12.5),
        (Number(currency="€"), "12.50 €", 12.5),
        (Number(currency="EUR"), "EUR 3", 3.0),
        (Number(currency="$"), "12", 12.0),
        (Number(currency="$"), "€12", None),
        (Number(thousands=","), "1,234,567.5", 1234567.5),
        (Number(thousands=","), "-1,234", -1234.0),
        (Number(thousands=","), "1234", 1234.0),
        (Number(thousands=","), "1,23", None),
        (Number(thousands=","), "12,3456", None),
        (Number(thousands=","), "1.234,5", None),
        (Number(thousands=" "), "1 234\u00a0567", 1234567.0),
        (Number(thousands="'"), "1'234\u2019567", 1234567.0),
        (Number(currency="$", thousands=","), "$1,250", 1250.0),
        (YesNo(), "True", 1.0),
        (YesNo(), "NO", 0.0),
        (YesNo(), " y ", 1.0),
        (YesNo(), "0", 0.0),
        (YesNo(), "2", None),
        (YesNo(), "maybe", None),
        (Date(), "2024-05-01", DAY_2024),
        (Date(), "2024-05-01 12:00", DAY_2024 + 0.5),
        (Date(), "2024-05-01T06:00:00+06:00", DAY_2024),
        (Date(), "20240501", DAY_2024),
        (Date(), "01/05/2024", None),
        (Date(format="%d/%m/%Y"), "01/05/2024", DAY_2024),
        (Date(format="%d/%m/%Y"), "2024-05-01", None),
        (Date(), "2024-02-30", None),
    ],
)
def test_a_cell_is_the_number_that_it_says(kind: ColumnKind, cell: str, value: float | None) -> None:
    assert kind.value(cell, ".") == value


def test_a_decimal_comma_goes_with_points_between_thousands() -> None:
    assert Number(thousands=".").value("1.234.567,5", ",") == 1234567.5


@pytest.mark.parametrize("kind", [Number(), Number(percent=True), Category(), YesNo(), Date()])
@pytest.mark.parametrize("cell", ["", "NA", "nan", " "])
def test_a_missing_value_is_nan_in_every_kind(kind: ColumnKind, cell: str) -> None:
    value = kind.value(cell, ".")
    assert value is not None
    assert math.isnan(value)


def test_a_category_may_be_called_none() -> None:
    assert Category().value("none", ".") is None


def test_days_are_counted_as_python_counts_them() -> None:
    start = datetime(1969, 12, 25)
    for day in range(0, 40_000, 97):
        moment = start + timedelta(days=day)
        assert Date().value(moment.date().isoformat(), ".") == (moment - datetime(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("kind", "of_all", "rule"),
    [
        (Number(), "median", "median"),
        (Number(missing="drop"), "median", "drop"),
        (Category(), "error", "error"),
        (Category(), "drop", "drop"),
        (Category(), "mean", "zeros"),
        (Category(missing="category"), "error", "category"),
        (YesNo(), "median", "zeros"),
        (Date(), "mean", "mean"),
    ],
)
def test_a_missing_value_goes_by_the_column_and_else_by_all(kind: ColumnKind, of_all, rule: str) -> None:
    assert missing_rule(kind, of_all) == rule


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("category", {"categories": ("a", "a")}, "categories: a category twice"),
        ("category", {"categories": ()}, "categories: expected a list of categories, got none"),
        ("date", {"parts": ("year", "year")}, "parts: a part twice"),
        ("date", {"parts": ()}, "parts: expected a list of parts, got none"),
    ],
)
def test_keys_that_say_nothing_are_refused(name: str, keys: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kinds.get(name)(**keys)


@pytest.mark.parametrize("form", ["dd/mm/yyyy", "DD.MM.YYYY", " ", "%Q", "%", "100%%"])
def test_a_format_without_a_directive_of_strptime_is_refused(form):
    with pytest.raises(ValueError, match=r"^format: expected directives as in %d/%m/%Y \(day/month/year\)"):
        Date(format=form)


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m-%d-%y", "%d %B %Y", "%H:%M", "%Y%m%d", "%d.%m."])
def test_formats_of_strptime_are_taken(form):
    assert Date(format=form).format == form


def test_iso_dates_are_read_beside_a_format_that_cannot_mean_them():
    day = Date(format="%d/%m/%Y")
    assert day.stored_value("2024-05-01") == day.value("01/05/2024", ".") == DAY_2024
    assert day.stored_value("2024-05-01T12:00:00") == DAY_2024 + 0.5
    assert day.stored_value("20240501") is None
    assert Date(format="%Y-%d-%m").stored_value("2024-01-31") is None
