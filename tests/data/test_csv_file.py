"""CSV files: what is read, what is refused and in which words, and that the fast and the exact way agree."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bpcli.data.csv_cells import Table
from bpcli.data.csv_fast import read_fast
from bpcli.data.read import read
from bpcli.data.types import RawData, Source
from bpcli.errors import DataError

PLAIN = b"a,b,y\n1,2,0\n3.5,-4e-3,1\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes bytes as data.csv, or another name, into the current folder: messages then have short paths."""
    monkeypatch.chdir(tmp_path)

    def to_file(content: bytes, name: str = "data.csv") -> Source:
        Path(name).write_bytes(content)
        return Source(Path(name))

    return to_file


def assert_same(data: RawData, other: RawData) -> None:
    np.testing.assert_array_equal(data.x, other.x)
    np.testing.assert_array_equal(data.y, other.y)
    assert (data.feature_names, data.target_names) == (other.feature_names, other.target_names)


def test_last_column_is_the_target_by_default(write):
    data = read(write(PLAIN))
    np.testing.assert_array_equal(data.x, [[1, 2], [3.5, -4e-3]])
    np.testing.assert_array_equal(data.y, [0, 1])
    assert data.feature_names == ("a", "b")
    assert data.target_names == ("y",)
    assert data.files == (Path("data.csv"),)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + PLAIN, id="byte order mark"),
        pytest.param(PLAIN.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(PLAIN.replace(b"\n", b"\r"), id="CR"),
        pytest.param(PLAIN.rstrip(), id="no line end at the end"),
        pytest.param(PLAIN + b"\n\r\n  \n", id="blank lines at the end"),
        pytest.param(PLAIN.replace(b",", b";"), id="semicolons"),
        pytest.param(PLAIN.replace(b",", b"\t"), id="tabs"),
        pytest.param(PLAIN.replace(b",", b" , "), id="blanks around cells"),
        pytest.param(b'"a","b","y"\n"1","2","0"\n"3.5","-4e-3","1"\n', id="quotes"),
        pytest.param(b'a,b,y\n1,"2",0\n3.5,-4e-3,1\n', id="one quote"),
    ],
)
def test_the_way_it_is_written_does_not_change_the_table(write, content):
    assert_same(read(write(content)), read(write(PLAIN, "plain.csv")))


@pytest.mark.parametrize("name", ["d.csv", "d.CSV", "d.txt"])
def test_gzipped_file_holds_the_same_table(write, name):
    assert_same(read(write(gzip.compress(PLAIN), name + ".gz")), read(write(PLAIN, name)))


def test_tsv_is_split_at_tabs_alone(write):
    data = read(write(b"a;1\ty\n1\t2\n", "data.tsv"))
    assert data.feature_names == ("a;1",)


def test_semicolon_goes_before_comma(write):
    with pytest.raises(DataError, match=r'data.csv:1: column "c1": got "1,5".*decimal comma\? set data.decimal'):
        read(write(b"1,5;2,5\n2,5;3,5\n"))


def test_separator_that_stands_in_the_header_alone_is_not_one(write):
    assert read(write(b"temp;C,hum,y\n1,2,3\n")).feature_names == ("temp;C", "hum")


@pytest.mark.parametrize(
    ("content", "header", "names"),
    [
        pytest.param(b"1,2,3\n", None, ("c1", "c2"), id="numbers are no header"),
        pytest.param(b"a,,y\n1,2,3\n", False, None, id="told that there is none"),
        pytest.param(b"1,2,3\n4,5,6\n", True, ("1", "2"), id="told that there is one"),
        pytest.param(b"Na,K,y\n1,2,3\n", None, ("Na", "K"), id="sodium is a name"),
        pytest.param(b" a , b ,y\n1,2,3\n", None, ("a", "b"), id="blanks around names"),
        pytest.param(b'"a,1","b\n2",y\n1,2,3\n', None, ("a,1", "b\n2"), id="quoted names"),
    ],
)
def test_header_is_found(write, content, header, names):
    if names is None:
        with pytest.raises(DataError, match=r"data.csv:1: column"):
            read(write(content), header=header)
    else:
        assert read(write(content), header=header).feature_names == names


def test_row_of_other_minus_signs_is_not_taken_for_a_header(write):
    with pytest.raises(DataError, match=r'data.csv:1: column "c1": got "\u22121", expected a number \(the minus sign'):
        read(write("\u22121,\u22122\n3,4\n".encode()))


def test_row_of_nan_is_not_taken_for_a_header(write):
    with pytest.raises(DataError, match=r'data.csv:1: column "c1": got "nan"'):
        read(write(b"nan,nan\n1,2\n"))


def test_columns_come_in_the_order_asked_for(write):
    data = read(write(b"a,b,y\n1,2,3\n"), features=["y", "a"], target="b")
    np.testing.assert_array_equal(data.x, [[3, 1]])
    np.testing.assert_array_equal(data.y, [2])


def test_several_targets_make_a_table(write):
    data = read(write(b"a,b,c\n1,2,3\n4,5,6\n"), target=["c", "b"])
    np.testing.assert_array_equal(data.y, [[3, 2], [6, 5]])
    assert data.feature_names == ("a",)


def test_text_target_is_labels_as_written(write):
    data = read(write('a,y\n1,rot\n2,"grün, hell"\n3,7\n'.encode()))
    assert data.y.tolist() == ["rot", "grün, hell", "7"]
    assert data.y.dtype.kind == "U"


@pytest.mark.parametrize(
    ("cell", "label"),
    [(" rot", "rot"), ("rot ", "rot"), ("\u00a0rot\u00a0", "rot"), ('" rot "', " rot "), (' "rot, hell"', "rot, hell")],
)
def test_blanks_around_a_label_do_not_count_but_in_quotes(write, cell, label):
    data = read(write(f'a,y,b\n"1",{cell},2\n3,gelb,4\n'.encode()), target="y")
    assert data.y.tolist() == [label, "gelb"]


def test_blanks_do_not_make_two_classes(write):
    data = read(write(b"a,y\n1, setosa\n2,setosa\n3,setosa\t\n"))
    assert set(data.y.tolist()) == {"setosa"}


def test_line_of_empty_quotes_is_no_blank_line(write):
    with pytest.raises(DataError, match=r'data.csv:2: column "a": missing value'):
        read(write(b'a\n""\n1\n'), features="a", need_target=False)


# --- decimal commas ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_are_read_where_the_config_says_so(write, separator, line_end):
    lines = ["a;b;y", "1,5;2;-,5", "+3,25e1; 4 ;0,125"]
    data = read(write(line_end.join(lines).replace(";", separator).encode()), decimal=",")
    np.testing.assert_array_equal(data.x, [[1.5, 2], [32.5, 4]])
    np.testing.assert_array_equal(data.y, [-0.5, 0.125])


def test_decimal_commas_beside_text_labels(write):
    data = read(write(b"a;y\n1,5;rot, 1.0\n2;gelb\n"), decimal=",")
    assert (data.x.tolist(), data.y.tolist()) == ([[1.5], [2]], ["rot, 1.0", "gelb"])


def test_without_a_header_decimal_commas_separate_nothing(write):
    np.testing.assert_array_equal(read(write(b"1,5;2,5\n3,5;4\n"), decimal=",").x, [[1.5], [3.5]])


@pytest.mark.parametrize(
    ("cell", "decimal", "advice"),
    [
        ("1.5", ",", 'data.decimal is ",": write 1,5'),
        ("1.234,5", ",", "thousands separators are not read"),
        ("1.234", ",", 'data.decimal is ",": write 1,234; thousands separators are not read'),
        ("1.234.567", ",", "thousands separators are not read"),
        ("1,234,567", ",", "thousands separators are not read"),
        ("1 234,5", ",", "thousands separators are not read"),
        ("1,234.5", ".", "thousands separators are not read"),
        ("1,234", ".", 'decimal comma? set data.decimal: ",", or write 1.234; thousands separators are not read'),
        ("1'234.5", ".", "thousands separators are not read"),
        ("\u22121.5", ".", "the minus sign U+2212 is not read, write -1.5)"),
        ("\u22121,5", ",", "the minus sign U+2212 is not read, write -1,5)"),
        ("\u22121,5", ".", "the minus sign U+2212 is not read, write -1,5; decimal comma?"),
    ],
)
@pytest.mark.parametrize("column", ["a", "y"])
def test_number_written_otherwise_is_refused(write, cell, decimal, advice, column):
    one = "1,5" if decimal == "," else "1.5"
    row = f"{cell};{one}" if column == "a" else f"{one};{cell}"
    with pytest.raises(DataError) as caught:
        read(write(f"a;y\n{one};{one}\n{row}\n".encode()), decimal=decimal)
    assert str(caught.value).startswith(f'data.csv:3: column "{column}": got "{cell}", expected a number ({advice}')


def test_a_table_separated_by_commas_has_no_decimal_commas(write):
    with pytest.raises(DataError, match=r'data.csv:1: data.decimal is ",", but the cells are separated by commas'):
        read(write(PLAIN), decimal=",")


def test_decimal_comma_in_a_table_separated_by_commas_is_not_answered_with_the_key(write):
    with pytest.raises(DataError, match=r"decimal comma\? write 1.5\)"):
        read(write(b'a,y\n"1,5",2\n'))


# --- text and headers in the wrong place ------------------------------------------------------------------------------


def test_text_column_is_answered_with_a_line_to_paste(write):
    with pytest.raises(DataError) as caught:
        read(write(b"a,sex,b c,true,y\n1,m,3,x,5\n2,f,1,x,1\n3,,2,y,2\n4,f,2,x,2\n"))
    assert len(caught.value.problems) == 2
    sex, other = caught.value.problems
    assert sex.startswith(
        'data.csv:2: column "sex" holds text, such as "m", expected numbers; it has 2 different texts'
    )
    assert sex.endswith("leave it out with data.exclude: [sex], or set data.columns: {sex: category}")
    assert other.endswith('leave it out with data.exclude: ["true"], or set data.columns: {"true": category}')


def test_mostly_empty_text_column_is_known_as_one(write):
    with pytest.raises(DataError, match=r"holds text.*data.exclude: \[cabin\]"):
        read(write(b"a,cabin,y\n1,,0\n2,C85,1\n2,,1\n4,,1\n5,E4,0\n"))


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("12%", "write 12, without the percent sign"),
        ("12.5 %", "write 12.5, without the percent sign"),
        ("$12.50", "write 12.50, without the sign of the currency"),
        ("12.50 €", "write 12.50, without the sign of the currency"),
        ("inf", "a number must be finite: correct the cell or drop the row"),
        ("-Infinity", "a number must be finite: correct the cell or drop the row"),
        ("True", "write 1 for True"),
        ("false", "write 0 for false"),
        ("yes", "write 1 for yes"),
    ],
)
def test_cell_that_is_meant_as_a_number_is_answered_with_the_number(write, cell, advice):
    """Among inputs and among targets."""
    with pytest.raises(DataError) as caught:
        read(write(f"a,b,y\n1,1,2\n{cell},1,4\n3,3,5\n".encode()))
    assert str(caught.value) == f'data.csv:3: column "a": got "{cell}", expected a number ({advice})'
    with pytest.raises(DataError, match=rf"\({re.escape(advice)}\)$"):
        read(write(f"b,y\n1,1\n2,2\n3,{cell}\n".encode()), targets="numbers")


@pytest.mark.parametrize(
    ("cells", "words", "kind"),
    [
        (("12%", "12.5 %"), "percentages", "{kind: number, percent: true}"),
        (("$12.50", "-$1"), "amounts of $", '{kind: number, currency: "$"}'),
        (("12.50 €", "3 €"), "amounts of €", '{kind: number, currency: "€"}'),
        (('"$1,250"', "$3"), "amounts of $", '{kind: number, currency: "$", thousands: ","}'),
        (("True", "false"), "yes or no", "yes_no"),
        (("yes", "yes"), "yes or no", "yes_no"),
        (("2024-05-31", "2024-06-01"), "dates", "date"),
    ],
)
def test_column_of_another_kind_is_answered_with_its_line(write, cells, words, kind):
    """Such a column is never taken so without being asked, though it has few different texts."""
    rows = "".join(f"{cell},1,2\n" for cell in cells * 4)
    with pytest.raises(DataError) as caught:
        read(write(f"a,b,y\n{rows}".encode()))
    assert str(caught.value).endswith(f"expected numbers: to take it as {words}, set data.columns: {{a: {kind}}}")


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        (b"a|b|species\n1|2|x\n3|4|y\n", '"|"'),
        (b"1|2|x\n3|4|y\n", '"|"'),
        (b"a b species\n1 2 x\n3 4 y\n", "blanks"),
        (b"  a    b species\n 10    2 x\n  3    4 y\n", "blanks"),
        (b"a:b:species\n1:2:x\n", '":"'),
        (b"a|b|species\n1,5|2,5|x\n3,5|4|y\n", '"|"'),
    ],
)
def test_another_separator_is_named(write, content, separator):
    with pytest.raises(DataError, match=r"data\.csv") as caught:
        read(write(content), target="species")
    assert str(caught.value) == (
        f"data.csv:1: the cells are separated by {separator}, and commas, semicolons or tabs are expected: "
        "save the file with one of these between them"
    )


@pytest.mark.parametrize("content", [b"a\n1\n2\n", b"a b\n1\n2\n", b"1\n2\n"])
def test_a_single_column_has_no_separator(write, content):
    assert read(write(content), need_target=False).x.shape == (2, 1)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("text", ["a,b,y\n1,2,3\n", "größe,y\r\n1,2\r\n"])
def test_utf_16_is_named(write, encoding, text):
    with pytest.raises(
        DataError, match=r"^data\.csv:1: saved as UTF-16 or UTF-32; save the file as UTF-8.* OLD\.csv > NEW\.csv$"
    ):
        read(write(text.encode(encoding)))


def test_a_workbook_under_the_name_of_a_csv_file_is_named(write):
    with pytest.raises(DataError, match=r"^data\.csv:1: a zip archive or an Excel workbook, not a CSV text file"):
        read(write(b"PK\x03\x04\x14\0\x06\0\x08\0[Content_Types].xml"))


@pytest.mark.parametrize("header", [None, True])
def test_file_without_the_header_that_columns_are_found_by(write, header):
    with pytest.raises(DataError) as caught:
        read(write(b"1;2\n3;4\n"), features=["width", "height"], header=header, need_target=False)
    assert str(caught.value).startswith("data.csv:1: holds numbers where the columns' names are expected")
    assert str(caught.value).endswith("such as width;height")


def test_header_where_columns_are_found_by_number(write):
    with pytest.raises(DataError, match=r'data.csv:1: holds names, "a", "b", .* delete line 1'):
        read(write(b"a,b\n3,4\n"), features=["c1", "c2"], need_target=False)


def test_other_columns_may_hold_anything(write):
    data = read(write("id,a,y\n#1,2,3\nnan,4,5\n,6,ä\n7,8,9\n".encode()), features="a", need_target=False)
    np.testing.assert_array_equal(data.x, [[2], [4], [6], [8]])
    assert data.y is None


def test_prediction_without_names_takes_every_column(write):
    data = read(write(b"a,b\n1,2\n"), need_target=False)
    assert data.feature_names == ("a", "b")
    assert data.target_names is None


@pytest.mark.parametrize(("target", "y"), [("b", [2]), ("z", None)])
def test_prediction_reads_the_target_if_it_is_there(write, target, y):
    data = read(write(b"a,b\n1,2\n"), features="a", target=target, need_target=False)
    assert (data.y if data.y is None else data.y.tolist()) == y


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "data.csv: the file is empty"),
        (b"\n\n", "data.csv: the file is empty"),
        (b"a,y\n", "data.csv: no rows of data under the header"),
        (b"a,b,a\n1,2,3\n", 'data.csv:1: columns 1 and 3 are both "a"; rename one'),
        (b"a,,y\n1,2,3\n", "data.csv:1: column 2 has no name; give it one"),
        (
            b"a,y,\n1,2,\n",
            "data.csv:1: column 3 has no name and is empty in line 2: delete the separators at the ends of",
        ),
        (b"Flowers,,\na,b,y\n1,2,3\n", "data.csv:1: a title, with the columns' names in line 2: delete line 1"),
        (b"Flowers\na,b,y\n1,2,3\n", "data.csv:1: a title, with the columns' names in line 2: delete line 1"),
        (
            b"Flowers\n\na,b,y\n1,2,3\n",
            "data.csv:1: a title, with the columns' names in line 3: delete what comes before line 3",
        ),
        (
            b"Flowers,,\n,,\na,b,y\n1,2,3\n",
            "data.csv:1: a title, with the columns' names in line 3: delete what comes before line 3",
        ),
        (b"# by me\na;b;y\n1;2;3\n", "data.csv:1: a title, with the columns' names in line 2: delete line 1"),
        (b"sep=;\na;b;y\n1;2;3\n", "data.csv:1: a title, with the columns' names in line 2: delete line 1"),
        (b"sep=,\na,b,y\n1,2,3\n", "data.csv:1: a title, with the columns' names in line 2: delete line 1"),
        (b"a,y\n1,2\n3\n", "data.csv:3: got 1 cell, expected 2 as in line 1"),
        (b"a,y\n1,2\n3,4,5\n", "data.csv:3: got 3 cells, expected 2 as in line 1"),
        (b"a,y\n1,2\n\n3,4\n", "data.csv:3: blank line between rows; delete it"),
        (b"\na,y\n1,2\n", "data.csv:1: blank line between rows"),
        (b"a,y\n1,2\n,4\n", 'data.csv:3: column "a": missing value; fill it or drop the row'),
        (b"a,y\n1,2\n3, \n", 'data.csv:3: column "y": missing value'),
        (b"a,y\n1,2\nnan,4\n", 'data.csv:3: column "a": got "nan", expected a number'),
        (b"a,y\n1,2\n3,-inf\n", 'data.csv:3: column "y": got "-inf", expected a number'),
        (b"a,y\n1,2\n1e999,4\n", 'data.csv:3: column "a": got "1e999", expected a number'),
        (b"a,y\n1,2\n1_000,4\n", 'data.csv:3: column "a": got "1_000", expected a number (write 1000)'),
        (
            b"a;y\n1;2\n1,5;4\n",
            'data.csv:3: column "a": got "1,5", expected a number (decimal comma? set data.decimal: ",", or write 1.5)',
        ),
        (
            b"a;y\n1;2\n3;1,5\n",
            'data.csv:3: column "y": got "1,5", expected a number (decimal comma? set data.decimal: ",", or write 1.5)',
        ),
        (b"a,y\n1,2\n0x10,4\n", 'data.csv:3: column "a": got "0x10", expected a number'),
        (b"a,y\n1,2\n#3,4\n", 'data.csv:3: column "a": got "#3", expected a number (correct the cell or drop'),
        (
            b"a,y\n1,2\n3,NA\n",
            'data.csv:3: column "y": got "NA", expected a number; fill it or drop the row, or set data.missing: drop (',
        ),
        (b"a,y\n1,2\n3,4#\n#5,6\n", 'data.csv:4: column "a": got "#5"'),
        (
            b"a,y\nred,2\nblue,4\n",
            'data.csv:2: column "a" holds text, such as "red", expected numbers; it has 2',
        ),
        (b"a,1\n1,2\n3,4\n", 'data.csv:1: column "c1": got "a", expected a number'),
        (b'a,y\n1,2\n"3,4\n5,6\n', "data.csv:3: a quote opens here and is never closed"),
        (b'a,y\n1,2\n"3"4,4\n', "data.csv:3: something follows a closing quote"),
        (b"a,y\n1,2\n3,\0\n", "data.csv:3: holds a NUL byte"),
        (
            "a,y\n1,2\n3,ü\n".encode("latin-1"),
            "data.csv:3: not UTF-8 (byte 0xfc, as in Latin-1); save the file as",
        ),
        ("ä,y\n1,2\n".encode("utf-16"), "data.csv:1: "),
        (b"a,y\n1,rot\n2,\n", 'data.csv:3: column "y": missing value; fill it or drop the row, or set data.missing'),
        (b"a,y\n1,rot\n2," + b"x" * 201, 'data.csv:3: column "y": a label of 201 characters'),
        (b'a,y\n1,"x\ny"\n,z\n', 'data.csv:4: column "a": missing value'),
        (b"a,y\n1,2\n\xef\xbb\xbf,4\n", 'data.csv:3: column "a": got "\\ufeff", expected a number'),
        (b"a,y\n1,2\n\xe2\x80\xae3,4\n", 'data.csv:3: column "a": got "\\u202e3", expected a number'),
        (b"a\n1\n2\n", 'data.csv: has only the column "a"; no feature is left beside the target'),
        (b"a,y\n1,2\n3," + b"9" * 200_000 + b"x\n", "data.csv:3: a cell is longer than 131072 characters"),
    ],
)
def test_broken_file_is_refused_with_its_line(write, content, message):
    with pytest.raises(DataError) as caught:
        read(write(content))
    assert str(caught.value).startswith(message)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            {"features": ["a", "widht"]},
            'no column "widht" (did you mean "width"?), named in data.features; it has',
        ),
        ({"target": "z"}, 'no column "z", named in data.target; it has "a", "width", "y"'),
        ({"features": ["a", "a"]}, "data.features names a column twice"),
        ({"features": []}, "data.features names no column"),
        ({"features": ["a", "y"]}, 'column "y" is both a feature and the target'),
        ({"target": ["a", "width", "y"]}, "no feature is left beside the target"),
        ({"features": "width", "need_target": False}, None),
    ],
)
def test_columns_that_cannot_be_chosen_are_named(write, wanted, message):
    source = write(b"a,width,y\n1,2,3\n")
    if message is None:
        assert read(source, **wanted).feature_names == ("width",)
    else:
        with pytest.raises(DataError) as caught:
            read(source, **wanted)
        assert message in str(caught.value)


def test_text_in_one_of_several_targets_is_refused(write):
    with pytest.raises(DataError, match=r'data.csv:2: column "c": got "red".*several targets must all be numbers'):
        read(write(b"a,b,c\n1,2,red\n"), target=["b", "c"])


@pytest.mark.parametrize("x", [b"1", b'"1"'])
def test_labels_stay_as_written_where_they_are_told_to_be_labels(write, x):
    source = write(b"a,y\n%s,01\n2,1\n3,none\n" % x)
    assert read(source, targets="labels").y.tolist() == ["01", "1", "none"]


@pytest.mark.parametrize("cell", ["4x", "setosa"])
def test_text_among_the_targets_of_a_regression_is_named_with_its_line(write, cell):
    with pytest.raises(DataError) as caught:
        read(write(f"a,y\n1,3\n2,{cell}\n".encode()), targets="numbers")
    assert read(write(f"a,y\n1,3\n2,{cell}\n3,u\n".encode()), targets="numbers").y.tolist() == ["3", cell, "u"]
    place = f'data.csv:3: column "y": got "{cell}", expected a number'
    assert str(caught.value) == f"{place} (a regression's targets must all be numbers)"


@pytest.mark.parametrize("content", [b"+,1\n-,2\n+,3\n", b"?,1\nx,2\n1,3\n"])
def test_marks_beside_true_labels_are_labels(write, content):
    assert read(write(content), target="c1", header=False).y.dtype.kind == "U"


def test_ragged_row_is_found_though_its_columns_are_not_used(write):
    with pytest.raises(DataError, match=r"data.csv:3: got 3 cells"):
        read(write(b"a,b,c,d\n1,2,3,4\n1,2,3\n1,2,3,4,5\n"), features="a", target="b")


def test_hundred_thousand_columns_are_read(write):
    names = ",".join(f"n{i}" for i in range(100_000)).encode()
    data = read(write(names + b"\n" + b"1," * 99_999 + b"2\n"))
    assert data.x.shape == (1, 99_999)


@pytest.mark.parametrize("damage", [lambda packed: packed[:-9], lambda packed: packed[:12] + b"xx" + packed[14:]])
def test_damaged_gzip_is_refused(write, damage):
    with pytest.raises(DataError, match="damaged or cut gzip file"):
        read(write(damage(gzip.compress(PLAIN * 50)), "data.csv.gz"))


def test_rows_beyond_one_block_are_all_read(write):
    rng = np.random.default_rng(3)
    table = rng.normal(size=(70_000, 3))
    lines = "\n".join(",".join(map(repr, row)) for row in table.tolist())
    source = write(f"a,b,y\n{lines}\n".encode())
    assert read_fast(Table(source.x, ",", ("a", "b", "y"), True), [0, 1], [2]) is not None
    data = read(source)
    np.testing.assert_array_equal(np.column_stack([data.x, data.y]), table)


def test_fault_beyond_the_first_block_has_its_line(write):
    with pytest.raises(DataError, match=r'data.csv:300002: column "y": missing value'):
        read(write(b"a,y\n" + b"1.25,2\n" * 300_000 + b"3,\n"))


@settings(derandomize=True, max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text('01,;\t\n\r" aé.-_#\0', max_size=60).map(str.encode),
        st.tuples(st.integers(0, len(PLAIN)), st.binary(max_size=2)).map(
            lambda m: PLAIN[: m[0]] + m[1] + PLAIN[m[0] :]
        ),
    ),
    st.booleans(),
)
def test_only_data_errors_leave_for_any_bytes(tmp_path_factory, content, need_target):
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(content)
    try:
        data = read(Source(path), need_target=need_target)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert np.isfinite(data.x).all()


def test_numbers_without_names_are_answered_with_a_whole_line_of_names(write):
    with pytest.raises(DataError, match=r"put them into a line above the first, such as x1,x2,label$"):
        read(write(b"1,2,u\n3,4,v\n"), target="label")


def test_names_for_more_columns_than_are_wanted_are_not_guessed(write):
    # x1,a,b would take the first column for none of the two
    with pytest.raises(DataError, match=r"a line above the first, one for each of the 3 columns, in their order$"):
        read(write(b"1,2,u\n3,4,v\n"), target="u2", features=("a", "b"))
