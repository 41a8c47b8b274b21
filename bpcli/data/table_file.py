"""Tables in Parquet and Feather files and in Excel workbooks, as the CSV text they would be.

So a table is read, split, checked and told of in one way, whatever it came in; row k of it is line k + 1. Numbers are
written so that they read back as the same float64; of a date and time the time is left out where it is midnight in the
whole column; true and false are words. Of a workbook the first sheet is read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any

from bpcli.errors import DataError
from bpcli.text import shown


def is_converted(path: Path) -> bool:
    """Whether it is read by its own reader, by its name."""
    return path.suffix.lower() in _READERS


def as_csv(path: Path) -> bytes:
    """The table as CSV text, UTF-8.

    Raises:
        DataError: the library that reads it is not installed; the file is damaged, or holds no table.
        OSError: the operating system refuses.
    """
    status = path.stat()
    return _as_csv(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1)  # a file is looked at before it is read
def _as_csv(path: Path, size: int, changed: int) -> bytes:
    return _READERS[path.suffix.lower()](path)


def _from_arrow(read: str) -> Callable[[Path], bytes]:
    """A reader by pyarrow. read: `parquet` or `feather`."""

    def as_text(path: Path) -> bytes:
        try:
            import pyarrow as pa
            import pyarrow.feather
            import pyarrow.parquet
        except ImportError as error:
            raise _missing(path, "pyarrow") from error
        try:
            table = (pyarrow.parquet if read == "parquet" else pyarrow.feather).read_table(path)
        except pa.ArrowException as error:
            raise DataError(f"{path}: damaged, or not a {path.suffix[1:]} file: {_one_line(error)}") from error
        columns = [_values(column) for column in table.columns]
        return _written(path, table.column_names, zip(*columns, strict=True), table.num_rows)

    return as_text


def _values(column: Any) -> list[Any]:
    """A column of pyarrow as Python's values; dictionaries as what they stand for."""
    values: list[Any] = column.to_pylist()
    return values


def _from_excel(path: Path) -> bytes:
    try:
        import openpyxl
    except ImportError as error:
        raise _missing(path, "openpyxl") from error
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # of zipfile, of XML, and openpyxl's own
        raise DataError(f"{path}: damaged, or not an Excel workbook: {_one_line(error)}") from error
    try:
        rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    finally:
        book.close()
    while rows and all(value is None for value in rows[-1]):
        rows.pop()
    width = max((k + 1 for row in rows for k, value in enumerate(row) if value is not None), default=0)
    if not width:
        raise DataError(f"{path}: the first sheet is empty")
    cells = [row[:width] + [None] * (width - len(row)) for row in rows]
    header = ["" if value is None else str(value) for value in cells[0]]
    return _written(path, header, cells[1:], len(cells) - 1)


def _written(path: Path, names: Iterable[str], rows: Iterable[Iterable[Any]], count: int) -> bytes:
    if not count:
        raise DataError(f"{path}: no rows of data")
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    names = list(names)
    writer.writerow(names)
    for line, row in enumerate(rows, start=2):
        writer.writerow([_cell(value, path, line, name) for value, name in zip(row, names, strict=True)])
    return out.getvalue().encode()


def _cell(value: Any, path: Path, line: int, column: str) -> str:
    """A value as a cell of a CSV file."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return "" if value != value else repr(value)
        case datetime():
            return value.date().isoformat() if value.time() == time() and value.tzinfo is None else value.isoformat()
        case date():
            return value.isoformat()
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case list() | dict() | tuple():
            raise DataError(
                f"{path}:{line}: column {shown(column)}: got {shown(str(value))}, a value of several parts; a cell "
                "must hold one: make columns of its parts, or save the table without this one"
            )
    return str(value)


def _missing(path: Path, package: str) -> DataError:
    return DataError(f"{path}: {path.suffix} files are read with {package}: pip install 'bpcli[tables]'")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


_READERS: dict[str, Callable[[Path], bytes]] = {
    ".parquet": _from_arrow("parquet"),
    ".feather": _from_arrow("feather"),
    ".arrow": _from_arrow("feather"),
    ".xlsx": _from_excel,
}
