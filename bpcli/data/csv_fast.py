"""The fast way through a CSV file: `read_digits` or numpy.loadtxt, block by block, where it reads what `csv_rows` does.

Whatever is not plainly a table of numbers (quotes, a blank line, a ragged row, an odd line end, a cell that
is no finite number) is left to `csv_rows`, which reads it or says what is wrong. Missing values are read here
too, where they are allowed.

`read_digits` takes a decimal fraction for a whole number and a power of ten: -0.0312 is -312 / 10^4. The whole numbers,
points left out, are for numpy.fromstring, several times faster than any exact reader of fractions. Up to 2^53 / 10^22
both are exact in float64, and their quotient is the number rounded once: what float() gives. A whole number beyond 2^53
(of 17 digits, say) is exact in the 64 bits of an x87 long double. The quotient is then the number rounded to 64 bits,
and rounding it on to 53 gives what rounding the number at once would give, unless the 64 bits end half-way between two
float64. One cell in 2048 does, and is left to float(). So are all such cells where long doubles are not x87's.
Without it a file of 17-digit numbers takes 2.7 times as long: python tests/tools/compare_csv.py --digits
"""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from bpcli.data.csv_cells import MISSING, Table, is_missing, is_plain_label, number
from bpcli.data.csv_lines import LineBlocks
from bpcli.data.stored import opened
from bpcli.data.types import Missing, Targets

_NEWLINE = ord("\n")
_FEWEST_BYTES = 14  # of a cell with its separator, on average: for shorter ones numpy.loadtxt does as well
_MOST_DECIMALS = 22  # 10^22 is the last power of ten that float64 holds exactly
_MOST_ODD_CELLS = 0.05
_POWERS = np.array([float(10**k) for k in range(_MOST_DECIMALS + 1)])
_EXACT = 1 << 53
_HALF_WAY, _BEYOND_53_BITS = np.uint64(0x400), np.uint64(0x7FF)
IS_X87 = np.finfo(np.longdouble).nmant == 63 and np.dtype(np.longdouble).itemsize == 16

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def read_fast(
    table: Table,
    x_columns: Sequence[int],
    y_columns: Sequence[int],
    missing: Missing = "error",
    targets: Targets = "any",
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """x (N, D) and y (N, M), float64, or None if the file needs `read_exactly`.

    A missing value, where `missing` allows it, is NaN. Takes twice the arrays' memory.

    Raises:
        DataError: the gzip file is damaged.
    """
    columns, width = [*x_columns, *y_columns], len(x_columns)
    x_blocks, y_blocks = [], []
    as_classes = targets == "classes" and len(y_columns) == 1
    with opened(table.path) as file:
        for text in _plain_blocks(LineBlocks(file), has_header=table.has_header):
            block = None if text is None else plain_numbers(text, table, columns, gaps=missing != "error")
            if text is None or block is None or (missing in ("mean", "median") and np.isnan(block[:, width:]).any()):
                return None
            if as_classes and not _are_plain_labels(text, table, y_columns[0]):
                return None
            x_blocks.append(block[:, :width])
            y_blocks.append(block[:, width:])
    return (np.concatenate(x_blocks), np.concatenate(y_blocks)) if x_blocks else None


def header_size(block: bytes) -> int:
    """Bytes in line 1; 0 if it is not plainly one row: a quote may hold a line end, a lone CR is one."""
    line = block[: block.find(b"\n") + 1]
    return 0 if b'"' in line or b"\r" in line.replace(b"\r\n", b"\n") else len(line)


def _plain_blocks(blocks: LineBlocks, *, has_header: bool) -> Iterator[bytes | None]:
    """The rows in blocks as of `plain_lines`; None once a block is not plain."""
    while block := blocks.read():
        if has_header:
            block, size = block[header_size(block) :], len(block)
            has_header = False
            if len(block) == size:
                yield None
                return
            if not block:
                continue
        lines = plain_lines(block, is_last=blocks.is_at_end)
        yield lines
        if lines is None:
            return


def plain_lines(block: bytes, *, is_last: bool) -> bytes | None:
    """Whole lines with `\n` between and none at the end; None if the block is not plainly a row on each line."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    lines = block.rstrip(b"\n")
    if not lines or any(odd in lines for odd in (b'"', b"\r", b"\0")):
        return None
    return lines if is_last or len(block) - len(lines) == 1 else None  # else blank lines lie between rows


def plain_numbers(lines: bytes, table: Table, columns: list[int], *, gaps: bool) -> np.ndarray[Any, Any] | None:
    """The cells of `columns`, float64 (rows, len(columns)); None if a row is ragged or a cell no number.

    gaps: a cell may also say that its number is missing, and is NaN then.
    """
    width = len(table.names)
    if table.decimal == "." and sorted(columns) == list(range(width)):
        numbers = read_digits(lines, table.separator, width)
        if numbers is not None:
            return numbers[:, columns]
    every = columns == list(range(width))
    if not every and not _is_even(lines, table):  # with usecols, loadtxt does not mind ragged rows
        return None
    if table.decimal == "," and b"." in lines:
        return None
    try:
        text = lines.decode()
    except UnicodeDecodeError:
        return None
    used = None if every else columns
    block = _loaded(text, table, used)
    if block is None and gaps and len(table.names) > 1:  # in a single column a gap looks like a blank line
        text = _gap_pattern(table.separator).sub(r"\1nan", "\n" + text)[1:]
        block = _loaded(text, table, used)
    if block is None:
        return None
    return None if (np.isinf(block) if gaps else ~np.isfinite(block)).any() else block


def _loaded(text: str, table: Table, used: list[int] | None) -> np.ndarray[Any, Any] | None:
    """A row for each line; None if a cell is no number."""
    lines = (text.replace(",", ".") if table.decimal == "," else text).split("\n")
    try:
        block = np.loadtxt(lines, delimiter=table.separator, comments=None, usecols=used, ndmin=2)
    except ValueError:
        return None
    return block if block.shape == (len(lines), len(used or table.names)) else None  # loadtxt skips blank lines


def _are_plain_labels(lines: bytes, table: Table, column: int) -> bool:
    """Whether the number of each label, missing ones aside, gives the label back as it is written; see `csv_cells`."""
    codes = np.frombuffer(lines + b"\n", np.uint8)
    ends = np.flatnonzero((codes == ord(table.separator)) | (codes == _NEWLINE)).reshape(-1, len(table.names))
    starts = ends[:, column - 1] + 1 if column else np.concatenate([[0], ends[:-1, -1] + 1])
    cells = {lines[start:end] for start, end in zip(starts.tolist(), ends[:, column].tolist(), strict=True)}
    return all(is_plain_label(cell, table.decimal) or is_missing(cell) for cell in map(bytes.decode, cells))


@functools.cache
def _gap_pattern(separator: str) -> re.Pattern[str]:
    """Group 1: what stands before a cell that says that its number is missing; a separator or line end follows it."""
    words = "|".join(re.escape(word) for word in sorted(MISSING))
    return re.compile(rf"([{separator}\n]) *(?:{words}) *(?=[{separator}\n]|\Z)", re.IGNORECASE | re.ASCII)


def _is_even(lines: bytes, table: Table) -> bool:
    """Whether each row has a cell for each column: then each row's last cell, and no other, ends a line."""
    codes = np.frombuffer(lines + b"\n", np.uint8)
    ends_line = codes[(codes == ord(table.separator)) | (codes == _NEWLINE)] == _NEWLINE
    rows = np.count_nonzero(ends_line)
    if ends_line.size != rows * len(table.names):
        return False
    return bool(ends_line.reshape(rows, -1)[:, -1].all())


def read_digits(lines: bytes, separator: str, width: int) -> Floats | None:
    """The numbers in whole lines that have no end at the last, (rows, width), each as float() reads it.

    None if not every cell has one point, a row has not `width` cells, the cells are short, or too many are odd: have an
    exponent, or more than 22 decimals. The odd ones are read one by one.
    """
    if len(lines) < _FEWEST_BYTES * width * (lines.count(b"\n") + 1):
        return None
    codes = np.frombuffer(lines + b"\n", np.uint8)
    marks_table = bytes(chr(code) in f".{separator}\n" for code in range(256))
    marks = np.flatnonzero(np.frombuffer(codes.tobytes().translate(marks_table), np.bool_))
    points, ends = marks[::2], marks[1::2]
    if len(marks) % (2 * width) or not _is_table(codes[points], codes[ends], separator, width):
        return None
    beside = lines.translate(None, b"0123456789-." + f"{separator}\n".encode())
    if beside.strip(b"eE"):
        return None
    decimals = ends - points - 1
    odd = decimals > _MOST_DECIMALS
    if beside:
        odd[np.searchsorted(ends, np.flatnonzero(codes >= ord("E")))] = True
    starts = np.concatenate([[0], ends[:-1] + 1])
    negative = codes[starts] == ord("-")
    if (ends - starts - negative < 2).any():  # no digit: fromstring takes a lone minus sign for 0
        return None
    whole = _whole_numbers(codes, starts, ends, odd, separator)
    if whole is None:
        return None
    values = whole / _POWERS[np.minimum(decimals, _MOST_DECIMALS)]
    long = np.flatnonzero((whole > _EXACT) | (whole < -_EXACT))
    if len(long):
        values[long], unsure = _rounded_once(whole[long], decimals[long])
        odd[long] |= unsure
    values[(whole == 0) & negative] = -0.0
    return values.reshape(-1, width) if _read_one_by_one(values, odd, lines, starts, ends) else None


def _is_table(points: npt.NDArray[np.uint8], ends: npt.NDArray[np.uint8], separator: str, width: int) -> bool:
    """Whether all of `points` are such, and each `width` ends are those of a row."""
    row = np.array([ord(separator)] * (width - 1) + [ord("\n")], np.uint8)
    return bool((points == ord(".")).all() and (ends.reshape(-1, width) == row).all())


def _whole_numbers(
    codes: npt.NDArray[np.uint8], starts: Places, ends: Places, odd: npt.NDArray[np.bool_], separator: str
) -> Places | None:
    """The cells without their points (cells,), 0 for odd ones; None if one is no number, or too many are odd."""
    if odd.sum() > _MOST_ODD_CELLS * len(odd):
        return None
    if odd.any():
        codes = codes.copy()
        for start, end in zip(starts[odd].tolist(), ends[odd].tolist(), strict=True):
            codes[start:end] = ord("0")
    text = codes.tobytes().translate(bytes.maketrans(f"{separator}\n".encode(), b",,"), b".")
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how older versions say what newer ones raise
        try:
            whole = np.fromstring(text, np.int64, sep=",")
        except (ValueError, DeprecationWarning):
            return None
    return whole if len(whole) == len(ends) else None


def _rounded_once(whole: Places, decimals: Places) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """whole / 10^decimals in float64, and where that may be wrong."""
    limits = np.iinfo(np.int64)
    unsure = (whole == limits.max) | (whole == limits.min)  # what does not fit is cut to these
    exact = whole.astype(np.longdouble) / _POWERS.astype(np.longdouble)[np.minimum(decimals, _MOST_DECIMALS)]
    if not IS_X87:
        return exact.astype(np.float64), np.ones_like(unsure)
    bits = exact.view(np.uint64)[::2]
    return exact.astype(np.float64), unsure | ((bits & _BEYOND_53_BITS) == _HALF_WAY)


def _read_one_by_one(values: Floats, odd: npt.NDArray[np.bool_], lines: bytes, starts: Places, ends: Places) -> bool:
    """Fills in the odd cells; False if there are too many, or one is no finite number."""
    cells = np.flatnonzero(odd)
    if len(cells) > 2 * _MOST_ODD_CELLS * len(odd):
        return False
    for cell in cells.tolist():
        value = number(lines[starts[cell] : ends[cell]].decode(errors="replace"))
        if value is None:
            return False
        values[cell] = value
    return True
