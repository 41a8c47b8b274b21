"""What a survey finds in the columns of a table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bpcli.data import survey as module
from bpcli.data.kinds import Date, Number, YesNo
from bpcli.data.survey import survey
from bpcli.errors import DataError


@pytest.fixture
def column(tmp_path):
    """The survey of one column of these cells, beside another one."""

    def of(*cells, separator=",", decimal=None):
        path = tmp_path / "t.csv"
        path.write_text("\n".join([f"a{separator}b", *(f"{cell}{separator}x" for cell in cells)]))
        return survey(path, decimal=decimal)["a"]

    return of


@pytest.fixture
def table(tmp_path):
    def of(**columns):
        path = tmp_path / "t.csv"
        rows = zip(*columns.values(), strict=True)
        path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]))
        return survey(path)

    return of


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (["1", "2.5", "-3e2"], Number(), [1, 2.5, -300]),
        (["12%", "3.5%"], Number(percent=True), [12, 3.5]),
        (["$5", "$1200"], Number(currency="$"), [5, 1200]),
        (['"$1,200"', "$3"], Number(currency="$", thousands=","), [1200, 3]),
        (['"1,200"', "3", "12"], Number(thousands=","), [1200, 3, 12]),
        (["1'200", "7"], Number(thousands="'"), [1200, 7]),
        (["5 EUR", "8 EUR"], Number(currency="EUR"), [5, 8]),
        (["yes", "no", "Yes"], YesNo(), [1, 0, 1]),
        (["True", "False", "True"], YesNo(), [1, 0, 1]),
        (["1970-01-02", "1970-02-01"], Date(), [1, 31]),
        (["1970-01-02 12:00", "1970-01-03T00:00:00Z"], Date(), [1.5, 2]),
        (["19700102", "19700201"], Date(), [1, 31]),
        (["02.01.1970", "13.01.1970"], Date(format="%d.%m.%Y"), [1, 12]),
        (["13/01/1970", "02/01/1970"], Date(format="%d/%m/%Y"), [12, 1]),
        (["01/13/1970", "01/02/1970"], Date(format="%m/%d/%Y"), [12, 1]),
        (["2 Jan 1970", "13 Jan 1970"], Date(format="%d %b %Y"), [1, 12]),
        (['"January 2, 1970"'], Date(format="%B %d, %Y"), [1]),
        (["1/2/1970 6:00 PM", "1/13/1970 12:00 AM"], Date(format="%m/%d/%Y %I:%M %p"), [1.75, 12]),
    ],
)
def test_a_kind_is_what_every_cell_can_be(column, cells, kind, values):
    found = column(*cells)
    assert found.kind == kind
    assert found.values.tolist() == values


@pytest.mark.parametrize(
    "cells", [["red", "green"], ["1970-01-02", "soon"], ["12%", "13"], ["$1", "£1"], ["2024-13-01"]]
)
def test_other_texts_have_no_kind(column, cells):
    assert column(*cells).kind is None


@pytest.mark.parametrize("word", ["", "NA", "?", "none", "-", "NaN"])
def test_missing_values_do_not_change_a_kind(column, word):
    found = column("1", word, "2", word)
    assert (found.kind, found.missing, found.present, found.wrong) == (Number(), 2, 2, 0)
    assert np.isnan(found.values).tolist() == [False, True, False, True]


def test_among_texts_fewer_words_mean_a_missing_value(column):
    found = column("red", "none", "NA", "")
    assert found.missing == 2
    assert found.texts == {"red": 1, "none": 1}


def test_words_that_texts_do_not_lack_are_missing_among_numbers_alone(column):
    found = column(*[1.5, "?"] * 3000, *["red", "?"] * 4000)
    assert (found.kind, found.missing) == (None, 0)
    assert found.texts == {"?": 7000, "red": 4000, "1.5": 3000}


def test_words_among_numbers_are_counted_and_the_first_one_is_named(column):
    found = column("1", "2", "many", "4", "few", "")
    assert (found.kind, found.wrong, found.first_wrong, found.missing) == (Number(), 2, (4, "many"), 1)


def test_mostly_words_are_texts(column):
    assert column("1", "many", "few").kind is None


def test_a_column_without_values_has_no_kind(column):
    found = column("", "NA", "")
    assert (found.kind, found.missing, found.present, found.different) == (None, 3, 0, 0)


def test_dates_that_may_have_day_or_month_first_say_so(column):
    found = column("01/02/2020", "12/01/2020", "03/04/2020")
    assert found.kind == Date(format="%d/%m/%Y")
    assert found.other_format == "%m/%d/%Y"


def test_dates_in_order_show_which_number_is_the_month(column):
    found = column("01/11/2020", "01/12/2020", "02/01/2020")  # 11 and 12 January, 1 February
    assert (found.kind, found.other_format) == (Date(format="%m/%d/%Y"), None)


def test_figures_of_numbers_are_numpys(column):
    numbers = np.round(np.random.default_rng(0).normal(size=500), 2)
    found = column(*numbers)
    assert found.quartiles == tuple(np.quantile(numbers, [0.25, 0.5, 0.75]))
    assert (found.minimum, found.maximum) == (numbers.min(), numbers.max())
    different, counts = np.unique(numbers, return_counts=True)
    assert (found.different, found.common_count) == (len(different), counts.max())
    assert float(found.common) == different[counts.argmax()]


def test_far_values_are_beyond_three_interquartile_ranges(column):
    assert column(*range(1, 100), 250).far == 1  # 75.25 + 3 * 49.5 = 223.75
    assert column(*range(1, 100), 220).far == 0


@pytest.mark.parametrize(
    ("cells", "order", "is_running"),
    [
        ([3, 4, 5], "rising", True),
        ([3, 4, 6, 6], "rising", False),
        ([3, 2, 1], "falling", False),
        ([1, 3, 2], "", False),
        ([1, "", 2], "", False),
        ([1, 1], "", False),
        (["2020-01-01", "2020-01-01", "2020-03-01"], "rising", False),
    ],
)
def test_order_and_running_numbers(column, cells, order, is_running):
    found = column(*cells)
    assert (found.order, found.is_running) == (order, is_running)


def test_order_is_seen_across_blocks(column):
    assert column(*range(10_000)).is_running
    assert column(*range(4096), *range(4094, 9000)).order == ""


def test_leading_zeros_are_seen(column):
    assert column("007", "012").has_leading_zeros
    assert not column("0", "12", "0.5").has_leading_zeros


def test_a_kind_is_given_up_when_a_late_cell_is_none_of_it(column):
    assert column(*["yes"] * 5000, "maybe").kind is None
    assert column(*range(5000), '"5,000"').kind == Number(thousands=",")
    found = column(*range(3000), *["A1"] * 4000)
    assert (found.kind, found.different) == (None, 3001)


def test_a_decimal_comma_is_found(column):
    found = column("1,5", "2", "3,25", separator=";")
    assert (found.kind, found.values.tolist()) == (Number(), [1.5, 2, 3.25])


def test_texts_beyond_a_thousand_are_not_counted_one_by_one(column):
    few, many = column(*(f"t{k}" for k in range(1000))), column(*(f"t{k}" for k in range(1001)))
    assert (len(few.texts), few.different, few.is_all_different) == (1000, 1000, True)
    assert (len(many.texts), many.different, many.is_all_different) == (0, 1001, True)


def test_copies_are_found_whatever_their_kind(table):
    found = table(a=[1, 2, 3], b=["x", "y", "x"], c=["1.0", "2", "3e0"], d=["x", "y", "x"], e=["y", "x", "y"])
    assert found.copies == {"c": "a", "d": "b"}


def test_a_large_table_is_counted_whole_and_kept_in_part(table, monkeypatch):
    monkeypatch.setattr(module, "MOST_KEPT", 4000)
    found = table(a=range(10_000), b=["even", "odd"] * 5000)
    assert (found.rows, found.step) == (10_000, 8)
    assert (found["a"].minimum, found["a"].maximum, found["a"].is_running) == (0, 9999, True)
    assert found["a"].values.tolist() == list(range(0, 10_000, 8))
    assert found["b"].texts == {"even": 5000, "odd": 5000}
    assert len(found["b"].values) == 1250


class TestTells:
    n = 200

    def test_a_copy_of_the_target_tells_it(self, table):
        y = ["a", "b", "c", "d"] * 50
        assert table(x=y, y=y).tells("x", "y", classes=True) == 1

    def test_chance_tells_nearly_nothing(self, table):
        rng = np.random.default_rng(1)
        y = rng.integers(2, size=1000)
        found = table(x=rng.normal(size=1000), c=rng.integers(5, size=1000), y=y)
        assert found.tells("x", "y", classes=True) < 0.3
        assert found.tells("c", "y", classes=True) < 0.1
        assert found.tells("x", "y", classes=False) < 0.02

    def test_a_threshold_tells_two_classes(self, table):
        x = np.random.default_rng(0).normal(size=self.n)
        assert table(x=x, y=np.where(x > 0.123, "yes", "no")).tells("x", "y", classes=True) == 1

    def test_ranges_tell_several_classes(self, table):
        x = np.random.default_rng(0).permutation(3000) / 1000
        assert table(x=x, y=np.floor(x).astype(int)).tells("x", "y", classes=True) > 0.98

    def test_that_a_value_is_missing_may_tell(self, table):
        x = [k if k % 2 else "" for k in range(self.n)]
        assert table(x=x, y=[k % 2 for k in range(self.n)]).tells("x", "y", classes=True) == 1

    @pytest.mark.parametrize("f", [lambda x: 3 * x + 7, lambda x: -(x**3), np.exp])
    def test_a_monotone_function_tells_a_number(self, table, f):
        x = np.random.default_rng(0).normal(size=self.n)
        assert table(x=f(x), y=x).tells("x", "y", classes=False) == pytest.approx(1)

    def test_a_mean_for_each_category_tells_a_number(self, table):
        x = ["low", "high", "middle"] * 50
        assert table(x=x, y=[1, 3, 2] * 50).tells("x", "y", classes=False) == 1

    def test_half_of_the_errors_avoided_is_one_half(self, table):
        x = [0] * 50 + [1] * 50
        y = [0] * 50 + [1] * 25 + [2] * 25  # the best constant guess errs on 50, a guess for each x on 25
        assert table(x=x, y=y).tells("x", "y", classes=True) == 0.5

    def test_texts_that_are_nearly_all_different_tell_nothing(self, table):
        assert table(x=[f"t{k}" for k in range(self.n)], y=[0, 1] * 100).tells("x", "y", classes=True) == 0

    def test_few_rows_tell_nothing(self, table):
        assert table(x=[0, 1] * 9, y=[0, 1] * 9).tells("x", "y", classes=True) == 0


def test_a_table_without_rows_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n")
    with pytest.raises(DataError, match="no rows of data under the header"):
        survey(tmp_path / "t.csv")


def test_a_ragged_table_is_refused_with_its_line(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(DataError, match=r"t.csv:3: got 1 cell, expected 2"):
        survey(tmp_path / "t.csv")


def test_figures_of_texts_are_nan(column):
    found = column("red", "green", "red")
    assert all(map(math.isnan, (found.minimum, *found.quartiles, found.maximum)))
    assert (found.common, found.common_count, found.example) == ("red", 2, "red")
