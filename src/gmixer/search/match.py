"""Match: a row that a search found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gmixer.rows.facts import grid
from gmixer.rows.row import MAX_COLUMNS
from gmixer.rows.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

BAR_COLUMNS = 12


@dataclass(frozen=True, slots=True)
class Match:
    """rank: 1 is the nearest. similarity: the cosine, -1 … 1. label: the class that the source states.

    top_label, top_probability: the model's own answer. width, height: in pixels, as decoded. bytes: of the file.
    """

    rank: int
    similarity: float
    path: str
    label: str | None
    top_label: str | None
    top_probability: float | None
    width: int | None
    height: int | None
    bytes: int | None

    @property
    def answer(self) -> str:
        """ "tabby 83 %": the model's own answer; "" for a model without classes."""
        if self.top_label is None or self.top_probability is None:
            return ""
        return f"{self.top_label} {100 * self.top_probability:.0f} %"

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def cells(self) -> Sequence[str]:
        """The similarity, the path, the label, the model's own answer."""
        return [f"{self.similarity:.4f}", self.path, self.label or "", self.answer]

    def draw(self, columns: int) -> Iterable[RenderableType]:
        """The rank, the similarity with a bar, the path; below it the label and the model's own answer."""
        from rich.bar import Bar
        from rich.constrain import Constrain
        from rich.text import Text

        below = [(text, style) for text, style in ((self.label, "cyan"), (self.answer, "dim")) if text]
        about = Text(printable(self.path), "bold")
        for mark, (text, style) in zip(("\n", "  "), below, strict=False):
            about.append(mark).append(printable(text), f"not bold {style}")
        cells: list[tuple[RenderableType, int | None]] = [
            (Text(str(self.rank), "dim", justify="right"), 3),
            (Text(f"{self.similarity:.4f}", justify="right"), 7),
            (Bar(1.0, 0.0, max(self.similarity, 0.0), width=BAR_COLUMNS, color="cyan"), BAR_COLUMNS),
            (about, None),
        ]
        if columns < 60:  # the path needs the room of the bar
            del cells[2]
        yield Constrain(grid(cells, gap=1), min(columns, MAX_COLUMNS))
