"""The row of one named fact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gmixer.rows.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class Fact:
    """name_columns: the width of the names of all facts, so that the facts line up."""

    name: str
    fact: str
    name_columns: int

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "fact": self.fact}

    def cells(self) -> Sequence[str]:
        return [self.name, self.fact]

    def draw(self, columns: int) -> Iterable[RenderableType]:
        """The name, then the fact; a long fact goes on below its beginning."""
        from rich.text import Text

        yield grid([(Text(self.name, "bold"), self.name_columns), (Text(printable(self.fact)), None)], gap=2)


def grid(cells: Sequence[tuple[RenderableType, int | None]], *, gap: int) -> RenderableType:
    """One line of cells, each with its width; None folds the cell into the columns that are left."""
    from rich.table import Table

    table = Table.grid(padding=(0, gap))
    for _, width in cells:
        if width is None:
            table.add_column(overflow="fold")
        else:
            table.add_column(width=width, no_wrap=True)
    table.add_row(*(cell for cell, _ in cells))
    return table
