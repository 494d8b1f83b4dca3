"""table.py: whole columns, as many as fit."""

from __future__ import annotations

import pytest

from gmixer.rows.table import Column, fitted

COLUMNS = [Column("model", 8, left=True), Column("GMACs", 6), Column("trained by", 10, left=True)]
CELLS = ["mixer", "5.28", "timm"]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "mixer       5.28  timm"),
        (28, "mixer       5.28  timm"),
        (27, "mixer       5.28"),
        (16, "mixer       5.28"),
        (15, "mixer"),
        (1, "mixer"),
    ],
)
def test_a_narrow_terminal_loses_the_last_columns(width: int, line: str) -> None:
    assert fitted(COLUMNS, CELLS, width) == line


def test_every_row_has_every_column() -> None:
    with pytest.raises(ValueError, match="zip"):
        fitted(COLUMNS, CELLS[:2], 80)
