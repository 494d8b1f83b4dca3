"""Where rows are shown on stdout: a terminal, a pipe, JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TextIO, TypeVar

from gmixer.rows.jsonl import JsonlWriter
from gmixer.rows.row import Row
from gmixer.rows.text import printable
from gmixer.rows.writer import RowWriter

if TYPE_CHECKING:
    from rich.console import Console

ShownRow = TypeVar("ShownRow", bound=Row)
ShownRow_contra = TypeVar("ShownRow_contra", bound=Row, contravariant=True)


class View(Protocol[ShownRow_contra]):
    @property
    def console(self) -> Console | None:
        """The terminal, where a progress bar can share it; None in a pipe and in a file."""
        ...

    def row(self, row: ShownRow_contra) -> None: ...

    def remark(self, text: str, style: str = "") -> None:
        """A line beside the rows. Only a terminal shows it. style: of rich."""
        ...


def open_view(*, as_json: bool = False) -> View[Row]:
    """JSON lines on request. Otherwise a drawing in a terminal, and plain lines in a pipe."""
    if as_json:
        return WriterView(JsonlWriter(sys.stdout), lambda row: row.to_dict())
    return TerminalView(terminal(sys.stdout)) if sys.stdout.isatty() else LineView()


def terminal(stream: TextIO) -> Console:
    """rich takes time to import, so only a terminal pays for it."""
    from rich.console import Console

    return Console(file=stream, highlight=False)


class WriterView(Generic[ShownRow]):
    """Each row goes to a writer at once. form: the row as the writer takes it."""

    console = None

    def __init__(self, writer: RowWriter, form: Callable[[ShownRow], Mapping[str, Any]]) -> None:
        self._writer = writer
        self._form = form

    def row(self, row: ShownRow) -> None:
        self._writer.write([self._form(row)])

    def remark(self, text: str, style: str = "") -> None:
        pass


class LineView:
    """For pipes: one line for each row, cells separated by tabs, control characters escaped."""

    console = None

    def row(self, row: Row) -> None:
        print("\t".join(map(printable, row.cells())), flush=True)

    def remark(self, text: str, style: str = "") -> None:
        pass


class TerminalView:
    def __init__(self, console: Console) -> None:
        self.console = console

    def row(self, row: Row) -> None:
        for drawing in row.draw(self.console.width):
            self.console.print(drawing)

    def remark(self, text: str, style: str = "") -> None:
        from rich.text import Text

        self.console.print(Text(text, style))
