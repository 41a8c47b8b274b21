"""Plain text tables and numbers."""

from __future__ import annotations

from collections.abc import Sequence

from bpcli.text import printable


def table(rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """Columns of equal width, two spaces apart; the first `left` are left-aligned, the others right-aligned.

    Cells may be names from a file or a config, so unprintable characters are escaped.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = (
        "  ".join(
            cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def number(value: float | None) -> str:
    """Five significant digits; empty for None."""
    return "" if value is None else f"{value:.5g}"


def duration(seconds: float) -> str:
    """0.53 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plural(count: int, noun: str) -> str:
    """1 epoch, 2 epochs."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
