"""A CSV file's lines as rows of cells: quotes, blanks, separators, and what breaks a table.

Cells without quotes lose the blanks around them; quoted ones lose the quotes alone.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bpcli.data.stored import opened
from bpcli.errors import DataError

LONGEST_LINE = 16 << 20
_ZIP = "PK\x03\x04"
_UTF_16_MARKS = ("\udcff\udcfe", "\udcfe\udcff", "\0\0\udcfe\udcff")  # as surrogateescape reads the bytes


@dataclass(frozen=True, slots=True)
class Table:
    """How a CSV file is laid out."""

    path: Path
    separator: str
    names: tuple[str, ...]  # one for each column
    has_header: bool  # line 1 holds the names
    decimal: str = "."  # or a comma
    is_argument: bool = False  # of eval or predict, where messages may name no key of a config


def rows(path: Path, separator: str, width: int = 0) -> Iterator[tuple[int, list[str]]]:
    """Each row as (its first line, from 1; its cells: `width`, or as many as the first row has).

    Cells without quotes lose the blanks around them, quoted ones the quotes alone. Blank lines at the end are left out.

    Raises:
        DataError: a row with more or fewer cells, a blank line between rows, an open quote,
            NUL, a line that is not UTF-8 or is too long.
    """
    with opened(path) as file, io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="") as text:
        taken: list[str] = []
        reader = csv.reader(_lines(text, path, taken), delimiter=separator, strict=True, skipinitialspace=True)
        blank = 0
        while True:
            line = reader.line_num + 1
            taken.clear()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise DataError(f"{path}:{line}: {_quoting_fault(error)}") from error
            quoted = any('"' in part for part in taken)
            if not row or (len(row) == 1 and not quoted and not row[0].strip()):
                blank = blank or line
                continue
            if blank:
                raise DataError(f"{path}:{blank}: blank line between rows; delete it")
            width = width or len(row)
            if len(row) != width:
                raise DataError(
                    f"{path}:{line}: got {_cells(len(row))}, expected {width} as in line 1; "
                    "a separator is missing or one too many"
                )
            yield line, _trimmed(row, "".join(taken), separator) if quoted else [cell.strip() for cell in row]


def _trimmed(row: list[str], text: str, separator: str) -> list[str]:
    """The cells of a row with quotes in its text: those without quotes lose the blanks around them."""
    quoted = (found[1] is not None for found in _cell_pattern(separator).finditer(text))
    return [cell if is_quoted else cell.strip() for cell, is_quoted in zip(row, quoted, strict=False)]


@functools.cache
def _cell_pattern(separator: str) -> re.Pattern[str]:
    """A cell and the separator after it; group 1 is what stands in quotes. The end of the text counts as a last one."""
    return re.compile(rf' *("(?:[^"]|"")*")?[^{separator}]*(?:{separator}|\Z)')


def _lines(text: io.TextIOWrapper, path: Path, taken: list[str]) -> Iterator[str]:
    """The physical lines, line ends and all, without the byte order mark; each also goes to the end of `taken`."""
    count = 0
    while line := text.readline(LONGEST_LINE):
        count += 1
        if count == 1 and line.startswith(_ZIP):
            raise DataError(
                f"{path}:1: a zip archive or an Excel workbook, not a CSV text file; unpack it, or save the sheet "
                "as CSV"
            )
        if count == 1 and _is_utf_16(line):
            raise DataError(
                f"{path}:1: saved as UTF-16 or UTF-32; save the file as UTF-8 (in Excel: CSV UTF-8), or convert it: "
                "iconv -f UTF-16 -t UTF-8 OLD.csv > NEW.csv"
            )
        if "\0" in line:
            raise DataError(f"{path}:{count}: holds a NUL byte; not a CSV text file, or not saved as UTF-8")
        if len(line) == LONGEST_LINE:
            raise DataError(f"{path}:{count}: the line is longer than {LONGEST_LINE} characters")
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError as error:  # surrogateescape let the wrong byte through until here
                byte = ord(line[error.start]) - 0xDC00
                raise DataError(
                    f"{path}:{count}: not UTF-8 (byte 0x{byte:02x}, as in Latin-1); save the file as UTF-8"
                ) from error
        taken.append(line.removeprefix("\ufeff") if count == 1 else line)
        yield taken[-1]


def _is_utf_16(line: str) -> bool:
    """Whether line 1, read as UTF-8, starts with a byte order mark of UTF-16 or 32, or has every other byte 0."""
    return line.startswith(_UTF_16_MARKS) or line.count("\0") >= len(line) // 2 > 1


def _quoting_fault(error: csv.Error) -> str:
    match str(error):
        case "unexpected end of data":
            return 'a quote opens here and is never closed; close it, or write "" for a quote inside quotes'
        case text if "field larger" in text:
            return "a cell is longer than 131072 characters; is a quote left open?"
        case text if "expected after" in text:
            return 'something follows a closing quote; write "" for a quote inside quotes'
        case text:
            return text


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"
