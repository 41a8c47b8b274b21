"""The fast way through a CSV file reads decimal fractions bit for bit as float() does, or leaves them alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpcli.data import csv_fast
from bpcli.data.csv_fast import read_digits

LONG = "3.14159265358979"  # makes the cells long on average


def read(*cells: str) -> list[float] | None:
    """A table of one column with these cells, and many plain ones below."""
    found = read_digits("\n".join([*cells, *[LONG] * 100]).encode(), ",", 1)
    return None if found is None else found[: len(cells), 0].tolist()


def bits(values: list[float]) -> list[int]:
    return np.array(values).view(np.uint64).tolist()


NUMBERS = """
0.1 -0.0 0.0 -.5 5. 007.250 1.5e-05 -2.5E3 0.30000000000000004 9007199254740993.0 9223372036854775807.0
9223372036854775808.0 123456789012345678901234567890.5 0.0000000000000000000000000000007 0.0001234567890123456
1.00000000000000011102230246251565404236316680908203125 -4503599627370497.5
"""
OTHERS = """
. - -. --1.5 1.5- 1.-5 1-.5 1.2.3 +1.5 1_0.5 1.5e e.5 1.5e999 nan inf 1,5 x.5 1.5x 7 1.5\N{ARABIC-INDIC DIGIT FIVE}
"""


@pytest.mark.parametrize("cell", NUMBERS.split())
def test_cell_is_read_as_float_reads_it(cell):
    assert bits(read(cell)) == bits([float(cell)])


@pytest.mark.parametrize("cell", ["", " 1.5", "1.5 2", *OTHERS.split()])
def test_anything_else_is_left_to_others(cell):
    assert read(cell) is None
    assert read_digits("\n".join([*[LONG] * 100, cell]).encode(), ",", 1) is None


@settings(max_examples=300)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_any_float_is_read_to_its_bits(values):
    cells = [repr(value) for value in values]
    found = read(*cells)
    if found is not None:
        assert bits(found) == bits(values)


@settings(max_examples=300)
@given(st.lists(st.from_regex(r"-?[0-9]{1,19}\.[0-9]{1,22}", fullmatch=True), min_size=1, max_size=5))
def test_any_decimal_fraction_is_rounded_as_float_rounds_it(cells):
    assert bits(read(*cells)) == bits([float(cell) for cell in cells])


@pytest.mark.parametrize("is_x87", [True, False])
def test_tables_of_17_digits(is_x87, monkeypatch):
    monkeypatch.setattr(csv_fast, "IS_X87", is_x87 and csv_fast.IS_X87)
    values = np.random.default_rng(0).normal(size=(5000, 4))
    for separator in ",;\t":
        text = "\n".join(separator.join(map(repr, row)) for row in values.tolist())
        found = read_digits(text.encode(), separator, 4)
        if csv_fast.IS_X87:
            np.testing.assert_array_equal(found, values)
        else:
            assert found is None


def test_half_way_cases_are_rounded_to_even():
    cells = [f"{2**52 + k}.5" for k in range(8)]
    assert read(*cells) == [float(cell) for cell in cells]


@pytest.mark.parametrize("text", ["1.5,2.5\n3.5", "1.5\n2.5,3.5", "1.5,2.5\n\n3.5,4.5", "1.5,2.5,3.5\n4.5"])
def test_ragged_rows_are_left_to_others(text):
    assert read_digits(text.replace("5", "5" * 12).encode(), ",", 2) is None
