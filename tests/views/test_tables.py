"""Plain text tables."""

from __future__ import annotations

from bpcli.views.tables import table


def test_cells_are_printable_and_their_columns_straight() -> None:
    rows = [["class", "samples"], ["a\x1b[31mb", "5"], ["\u202ec", "12"]]
    assert table(rows).splitlines() == [
        "class       samples",
        "a\\x1b[31mb        5",
        "\\u202ec          12",
    ]
