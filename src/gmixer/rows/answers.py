"""The row of one classified image: its path, and its classes or why it has none."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gmixer.errors import ImageError
from gmixer.rows.row import MAX_COLUMNS
from gmixer.rows.text import printable
from gmixer.rows.view import View, WriterView, open_view

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from gmixer.results import Ancestor, Class, Prediction

BAR_COLUMNS = 24
PERCENT_COLUMNS = 8


def open_answers(*, as_json: bool, as_csv: bool, k: int, rollup: bool) -> View[Answer]:
    """k, rollup: what the predictions hold. CSV writes its header before the first row."""
    if not as_csv:
        return open_view(as_json=as_json)
    from gmixer.rows.csv_file import CsvWriter

    return WriterView(CsvWriter(sys.stdout, csv_columns(k, rollup=rollup)), Answer.to_csv)


def csv_columns(k: int, *, rollup: bool) -> list[str]:
    names = [f"{name}_{i}" for i in range(1, k + 1) for name in ("index", "synset", "label", "probability")]
    return ["path", "error_kind", "error_message", *names, *(["rollup"] if rollup else []), "note"]


class Answer(NamedTuple):
    path: str
    found: Prediction | ImageError

    def to_dict(self) -> dict[str, Any]:
        """{"path", "model", "precision", "predictions": […]} or {"path", "error": {"kind", "message"}}.

        With a roll-up also "rollup": [{"label", "probability"}], most specific first. With a note also "note".
        """
        if isinstance(self.found, ImageError):
            return {"path": self.path, "error": {"kind": self.found.kind, "message": self.found.reason}}
        return {"path": self.path} | self.found.to_dict()

    def to_csv(self) -> dict[str, object]:
        """By csv_columns, without the columns that have nothing to hold.

        rollup is one cell, "0.545000 structure; 0.944000 artifact", most specific first.
        """
        if isinstance(self.found, ImageError):
            return {"path": self.path, "error_kind": self.found.kind, "error_message": self.found.reason}
        cells: dict[str, object] = {"path": self.path}
        for i, c in enumerate(self.found, start=1):
            cells |= {f"index_{i}": c.index, f"synset_{i}": c.synset, f"label_{i}": c.label}
            cells[f"probability_{i}"] = f"{c.probability:.6f}"
        if self.found.rollup:
            cells["rollup"] = "; ".join(f"{a.probability:.6f} {a.label}" for a in self.found.rollup)
        if self.found.note:
            cells["note"] = self.found.note
        return cells

    def cells(self) -> Sequence[str]:
        """The path, each class, then `rollup` and each parent category; or the path, `error` and the reason."""
        if isinstance(self.found, ImageError):
            return [self.path, "error", self.found.reason]
        cells = [self.path, *(f"{c.probability:.4f} {c.label}" for c in self.found)]
        if self.found.rollup:
            cells += ["rollup", *(f"{a.probability:.4f} {a.label}" for a in self.found.rollup)]
        return cells

    def draw(self, columns: int) -> Iterable[RenderableType]:
        """The path, then a bar for each class, then the parent categories."""
        from rich.constrain import Constrain
        from rich.text import Text

        columns = min(columns, MAX_COLUMNS)
        yield Text(printable(self.path), style="bold", overflow="fold")
        if isinstance(self.found, ImageError):
            yield Constrain(Text(f"  {printable(self.found.reason)}", style="red"), columns)
            return
        if not len(self.found):
            yield Text("  no class is that probable", style="dim")
        for c in self.found:
            yield _bar(c, columns)
        if self.found.rollup:
            yield _parents(self.found.rollup, columns)


def _bar(c: Class, columns: int) -> RenderableType:
    from rich.bar import Bar
    from rich.table import Table
    from rich.text import Text

    bar_columns = min(BAR_COLUMNS, columns // 4)
    label = Text(printable(c.label))
    label.truncate(columns - PERCENT_COLUMNS - bar_columns - 2, overflow="ellipsis")
    line = Table.grid(padding=(0, 1))
    line.add_row(
        f"{c.probability:{PERCENT_COLUMNS}.1%}", Bar(1.0, 0.0, c.probability, width=bar_columns, color="cyan"), label
    )
    return line


def _parents(ancestors: Sequence[Ancestor], columns: int) -> Text:
    """The most specific one stands where a class has its percentage. Lines break only between two categories."""
    import textwrap

    from rich.text import Text

    first, *others = ancestors
    percent = f"{first.probability:{PERCENT_COLUMNS}.1%} "
    items = [first.label, *(f"{a.probability:.1%} {a.label}" for a in others)]
    lines = textwrap.fill(
        "\xa0· ".join(item.replace(" ", "\xa0") for item in items),
        width=columns,
        initial_indent=percent,
        subsequent_indent=" " * len(percent),
        break_on_hyphens=False,
    )
    text = Text(lines.replace("\xa0", " "), style="dim")
    text.stylize("bold not dim", 0, len(percent) + len(first.label))
    return text
