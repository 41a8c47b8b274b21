"""Tables in Parquet, Feather, Excel and zip files are read as the CSV file of the same table is."""

from __future__ import annotations

import builtins
import datetime as dt
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bpcli.data.kinds import Category, Date, YesNo
from bpcli.data.read import read
from bpcli.data.survey import survey
from bpcli.data.types import RawData, Source
from bpcli.errors import DataError

NAMES = ["a", "c", "when", "ok", "y"]
ROWS = [
    [0.1, "u, v", dt.date(2024, 5, 1), True, 1.0],
    [-1 / 3, 'w "x"', None, False, 2.0],
    [None, None, dt.date(1969, 1, 2), None, 1e300],
    [12345678901234567.0, "naïve", dt.date(2000, 2, 29), True, -5e-324],
]
CSV = (
    "a,c,when,ok,y\n"
    '0.1,"u, v",2024-05-01,true,1\n'
    '-0.3333333333333333,"w ""x""",,false,2\n'
    ",,1969-01-02,,1e300\n"
    "12345678901234567,naïve,2000-02-29,true,-5e-324\n"
)
COLUMNS = {"c": Category(missing="zeros"), "when": Date(missing="mean"), "ok": YesNo(missing="zeros")}


def write_parquet(path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({name: [row[k] for row in ROWS] for k, name in enumerate(NAMES)}), path)


def write_feather(path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import feather

    columns = {name: [row[k] for row in ROWS] for k, name in enumerate(NAMES)}
    columns["c"] = pa.array(columns["c"]).dictionary_encode()
    feather.write_feather(pa.table(columns), path)


def write_excel(path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [NAMES, *ROWS]:
        book.active.append([dt.datetime.combine(v, dt.time()) if isinstance(v, dt.date) else v for v in row])
    book.active.append([None] * 5)
    book.save(path)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/table.csv", CSV)
        archive.writestr("__MACOSX/folder/._table.csv", "x")


WRITERS = {"t.parquet": write_parquet, "t.feather": write_feather, "t.xlsx": write_excel, "t.zip": write_zip}


def read_all(path: Path) -> RawData:
    return read(Source(path, label=str(path)), missing="mean", columns=COLUMNS)


@pytest.mark.parametrize("name", WRITERS)
def test_it_is_read_as_its_csv_file_is(name: str) -> None:
    Path("t.csv").write_text(CSV, encoding="utf-8")
    path = Path(name)
    WRITERS[name](path)
    found, expected = read_all(path), read_all(Path("t.csv"))
    assert found.feature_names == expected.feature_names == ("a", "c", "when", "ok")
    rounding = 1e-15 if name == "t.xlsx" else 0.0  # openpyxl writes 16 digits
    np.testing.assert_allclose(found.read_x, expected.read_x, rtol=rounding)
    np.testing.assert_allclose(found.y, expected.y, rtol=rounding)
    assert found.texts == expected.texts


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("content", [b"", b"no table", b"PK\x03\x04", b"PAR1PAR1"])
def test_a_damaged_file_is_told(name: str, content: bytes) -> None:
    pytest.importorskip("pyarrow")
    pytest.importorskip("openpyxl")
    Path(name).write_bytes(content)
    with pytest.raises(DataError, match=rf"^{name}: "):
        read_all(Path(name))


@pytest.mark.parametrize("cut", range(10, 400, 39))
def test_a_cut_file_is_told(cut: int) -> None:
    write_parquet(Path("t.parquet"))
    content = Path("t.parquet").read_bytes()
    Path("t.parquet").write_bytes(content[:cut])
    with pytest.raises(DataError, match=r"^t\.parquet: damaged"):
        read_all(Path("t.parquet"))


@pytest.mark.parametrize(
    ("name", "package"), [("t.parquet", "pyarrow"), ("t.feather", "pyarrow"), ("t.xlsx", "openpyxl")]
)
def test_without_its_library_it_is_said_how_to_get_it(name: str, package: str, monkeypatch) -> None:
    Path(name).write_bytes(b"x")
    honest = builtins.__import__

    def without(module: str, *rest):
        if module.split(".")[0] == package:
            raise ImportError(module)
        return honest(module, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError) as caught:
        read_all(Path(name))
    assert str(caught.value) == f"{name}: .{name[2:]} files are read with {package}: pip install 'bpcli[tables]'"


def test_a_fault_names_the_row_as_a_line() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["a", "y"], [1, 1], ["x", 2], [3, 3], [4, 4]):
        book.active.append(row)
    book.save("t.xlsx")
    with pytest.raises(DataError, match=r't\.xlsx:3: column "a": got "x", expected a number'):
        read(Source(Path("t.xlsx"), label="t.xlsx"))


def test_a_zip_file_holds_one_table() -> None:
    with zipfile.ZipFile("t.zip", "w") as archive:
        for name in ("a.csv", "b.tsv"):
            archive.writestr(name, CSV)
    with pytest.raises(DataError, match=r't\.zip: expected one CSV file in the zip file, it holds "a\.csv", "b\.tsv"'):
        read_all(Path("t.zip"))


def test_a_zip_file_is_no_bomb() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", b"a,y\n" + b"1,2\n" * 30_000_000)
    Path("t.zip").write_bytes(out.getvalue())
    with pytest.raises(DataError, match="refused as a possible bomb"):
        read_all(Path("t.zip"))


def test_a_cell_of_several_parts_is_refused() -> None:
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [[1, 2]], "y": [1]}), "t.parquet")
    with pytest.raises(DataError, match=r't\.parquet:2: column "a": got "\[1, 2\]", a value of several parts'):
        read_all(Path("t.parquet"))


def test_a_zip_file_without_a_table_is_told_so() -> None:
    with zipfile.ZipFile("t.zip", "w") as archive:
        archive.writestr("a.bin", "x")
    with pytest.raises(DataError, match=r"t\.zip: holds no CSV file \(\.csv, \.tsv or \.txt\): unpack it"):
        survey(Path("t.zip"))


def test_a_workbook_of_the_older_kind_is_to_be_saved_as_the_newer() -> None:
    Path("t.xls").write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600))
    with pytest.raises(DataError, match=r"t\.xls: .*; save it as \.xlsx or CSV"):
        read_all(Path("t.xls"))


def test_a_title_above_the_names_in_a_workbook_is_named() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["Flowers"], [], ["a", "y"], [1, 2], [3, 4]):
        book.active.append(row)
    book.save("t.xlsx")
    with pytest.raises(
        DataError, match=r"t\.xlsx:1: a title, with the columns' names in line 3: delete what comes before"
    ):
        read_all(Path("t.xlsx"))


def test_dates_of_a_workbook_are_read_whatever_form_the_training_file_had() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["when", "y"], [dt.datetime(2024, 5, 1), 1], [dt.datetime(2000, 2, 29), 2]):
        book.active.append(row)
    book.save("t.xlsx")
    form = {"when": Date(format="%d/%m/%Y")}
    Path("t.csv").write_text("when,y\n01/05/2024,1\n29/02/2000,2\n")
    of_csv, of_excel = (read(Source(Path(name), label=name), columns=form) for name in ("t.csv", "t.xlsx"))
    assert np.array_equal(of_csv.x, of_excel.x)
