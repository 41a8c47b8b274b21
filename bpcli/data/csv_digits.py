"""Decimal fractions, each read as a whole number and a power of ten: -0.0312 is -312 / 10^4.

The whole numbers, points left out, are for numpy.fromstring, several times faster than any exact reader of fractions.
Up to 2^53 / 10^22 both are exact in float64, and their quotient is the number rounded once: what float() gives.
A whole number beyond 2^53 (of 17 digits, say) is exact in the 64 bits of an x87 long double. The quotient is then the
number rounded to 64 bits, and rounding it on to 53 gives what rounding the number at once would give, unless the 64
bits end half-way between two float64. One cell in 2048 does, and is left to float(). So are all such cells where long
doubles are not x87's.
"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from bpcli.data.csv_cells import number

_FEWEST_BYTES = 14  # of a cell with its separator, on average: for shorter ones numpy.loadtxt does as well
_MOST_DECIMALS = 22  # 10^22 is the last power of ten that float64 holds exactly
_MOST_ODD_CELLS = 0.05
_POWERS = np.array([float(10**k) for k in range(_MOST_DECIMALS + 1)])
_EXACT = 1 << 53
_HALF_WAY, _BEYOND_53_BITS = np.uint64(0x400), np.uint64(0x7FF)
IS_X87 = np.finfo(np.longdouble).nmant == 63 and np.dtype(np.longdouble).itemsize == 16

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def read_digits(lines: bytes, separator: str, width: int) -> Floats | None:
    """The numbers in whole lines that have no end at the last, (rows, width), each as float() reads it.

    None if not every cell has one point, a row has not `width` cells, the cells are short, or too many are odd: have an
    exponent, or more than 22 decimals. The odd ones are read one by one.
    """
    codes = np.frombuffer(lines + b"\n", np.uint8)
    marks_table = bytes(chr(code) in f".{separator}\n" for code in range(256))
    marks = np.flatnonzero(np.frombuffer(codes.tobytes().translate(marks_table), np.bool_))
    points, ends = marks[::2], marks[1::2]
    if len(marks) % (2 * width) or len(lines) < _FEWEST_BYTES * len(ends):
        return None
    if not _is_even(codes[points], codes[ends], separator, width):
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


def _is_even(points: npt.NDArray[np.uint8], ends: npt.NDArray[np.uint8], separator: str, width: int) -> bool:
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
