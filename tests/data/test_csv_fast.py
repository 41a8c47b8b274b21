"""The fast way through a CSV file: it reads bit for bit what the exact way and float() read, or leaves it to them."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpcli.data import csv_fast
from bpcli.data.csv_cells import Table
from bpcli.data.csv_fast import read_digits, read_fast
from bpcli.data.csv_rows import read_exactly
from bpcli.errors import DataError

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


# --- both ways --------------------------------------------------------------------------------------------------------

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64).map(repr)
NUMBER = st.one_of(
    FINITE,
    st.integers(-(10**25), 10**25).map(str),
    st.sampled_from(["+1", "-0.0", ".5", "5.", "1E5", " 7 ", "\t8", "9\x0b", "1e-320", "0.1e+01", "\uff17"]),
    st.from_regex(r"[+-]?[0-9]{0,20}\.[0-9]{1,22}(e[+-]?[0-9]{1,2})?", fullmatch=True),
)
BROKEN = st.sampled_from(
    [
        "nan",
        "inf",
        "-Infinity",
        "1_000",
        "",
        " ",
        "#",
        "1#",
        "0x1p3",
        "1e999",
        "1 2",
        "x",
        "--1",
        "1\r",
        "\n",
        '"',
    ]
)
SEPARATOR = st.sampled_from(",;\t")
LINE_END = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\r\n"])


@st.composite
def tables(draw, cells, line_ends):
    """(content, separator, number of columns) of a table of `cells`, some of them quoted."""
    separator, width = draw(SEPARATOR), draw(st.integers(1, 4))
    quote = draw(st.sampled_from([0.0, 0.0, 0.2]))
    line_end = draw(line_ends)
    text = "\ufeff" if draw(st.booleans()) else ""
    for _ in range(draw(st.integers(1, 5))):
        row = [draw(cells) for _ in range(width)]
        row = [f'"{cell}"' if quote and draw(st.booleans()) else cell for cell in row]
        text += separator.join(row) + line_end
    return text.encode(), separator, width


def both_ways(folder: Path, content: bytes, separator: str, width: int, columns: list[int]):
    """What the fast and what the exact way make of a file; None where they refuse it."""
    path = folder / "data.csv"
    path.write_bytes(content)
    table = Table(path, separator, tuple(string.ascii_lowercase[:width]), False)
    fast = read_fast(table, columns, [])
    try:
        exact = read_exactly(table, columns, []).x
    except DataError:
        exact = None
    return None if fast is None else fast[0], exact


@settings(derandomize=True, max_examples=300)
@given(tables(NUMBER, st.sampled_from(["\n", "\r\n", "\r"])))
def test_both_ways_read_the_same_numbers(tmp_path_factory, table):
    content, separator, width = table
    fast, exact = both_ways(tmp_path_factory.getbasetemp(), content, separator, width, list(range(width)))
    if fast is not None:
        assert fast.tobytes() == exact.tobytes()


@settings(derandomize=True, max_examples=300)
@given(tables(FINITE, st.sampled_from(["\n", "\r\n"])), st.data())
def test_fast_way_takes_every_plain_table(tmp_path_factory, table, data):
    content, separator, width = table
    content = content.replace(b'"', b"")
    columns = data.draw(st.permutations(range(width))).copy()[: data.draw(st.integers(1, width))]
    fast, exact = both_ways(tmp_path_factory.getbasetemp(), content, separator, width, columns)
    assert fast.tobytes() == exact.tobytes()


@settings(derandomize=True, max_examples=600)
@given(tables(st.one_of(NUMBER, NUMBER, NUMBER, BROKEN), LINE_END), st.data())
def test_fast_way_never_takes_what_the_exact_way_refuses(tmp_path_factory, table, data):
    content, separator, width = table
    place = data.draw(st.integers(0, len(content)))
    extra = data.draw(st.sampled_from([b"", b"", b"\n", separator.encode(), b"\xef\xbb\xbf", b"\0", b"\xe4", b" "]))
    content = content[:place] + extra + content[place:]
    columns = list(range(data.draw(st.integers(1, width))))
    fast, exact = both_ways(tmp_path_factory.getbasetemp(), content, separator, width, columns)
    if fast is not None:
        assert exact is not None
        assert fast.tobytes() == exact.tobytes()
