"""Columns that fit the width of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    heading: str
    width: int
    left: bool = False


def fitted(columns: Sequence[Column], cells: Sequence[str], width: int) -> str:
    """One line of a table: as many whole columns as fit into `width`, and the first one in any case."""
    line = ""
    for column, cell in zip(columns, cells, strict=True):
        cell = cell.ljust(column.width) if column.left else cell.rjust(column.width)
        longer = f"{line}{GAP}{cell}" if line else cell
        if line and len(longer) > width:
            break
        line = longer
    return line.rstrip()
