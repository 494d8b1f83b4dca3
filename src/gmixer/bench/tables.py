"""Prints each row as soon as it is measured: as tables in a terminal, tab-separated in a pipe, or as JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from gmixer.bench.row import Column, Row, Step
from gmixer.bench.target import Target

if TYPE_CHECKING:
    from rich.console import Console

    from gmixer.bench.machine import Machine

GAP = "  "
WIDEST_COLUMNS = 120


def open_report(*, as_json: bool) -> Report:
    """as_json: JSON lines. Otherwise tables, if stdout is a terminal; else tab-separated lines."""
    if as_json:
        return JsonLines()
    return Tables(_console(sys.stdout)) if sys.stdout.isatty() else Lines()


def measure(steps: Sequence[Step], report: Report) -> list[Row]:
    """Runs the steps, reports each row, and returns all rows. A terminal also shows which step runs."""
    console = report.console if isinstance(report, Tables) else _console(sys.stderr) if sys.stderr.isatty() else None
    rows = []
    with _progress(console, len(steps)) as show:
        for number, step in enumerate(steps):
            show(number, step.what)
            for row in step.run():
                report.row(row)
                rows.append(row)
    return rows


@contextmanager
def _progress(console: Console | None, steps: int) -> Iterator[Callable[[int, str], None]]:
    if console is None:
        yield lambda number, what: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=steps)
        yield lambda number, what: bar.update(task, completed=number, description=what)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    return Console(file=stream, highlight=False)


class Report(Protocol):
    def begin(self, machine: Machine, target: Target) -> None: ...
    def row(self, row: Row) -> None: ...


class JsonLines:
    """One object a line; its "row" is the kind. The first line is the machine."""

    def begin(self, machine: Machine, target: Target) -> None:
        of_model = {"model": target.name, "gmacs": target.config.macs / 1e9, "drawn_weights": target.drawn}
        print(json.dumps({"row": "machine", **machine.to_dict(), **of_model}), flush=True)

    def row(self, row: Row) -> None:
        print(json.dumps(row.to_dict()), flush=True)


class Lines:
    """For pipes."""

    def __init__(self) -> None:
        self._title = ""

    def begin(self, machine: Machine, target: Target) -> None:
        for line in (*_target_lines(target), *_machine_lines(machine)):
            print(line, flush=True)

    def row(self, row: Row) -> None:
        if row.title != self._title:
            self._title = row.title
            print("", row.title, "\t".join(column.heading for column in row.columns), sep="\n")
        print("\t".join(row.cells()), flush=True)


class Tables:
    """For terminals. A narrow terminal shows fewer columns."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._width = min(console.width, WIDEST_COLUMNS)
        self._title = ""

    def begin(self, machine: Machine, target: Target) -> None:
        name, *rest = (*_target_lines(target), *_machine_lines(machine))
        self._print(name, "bold")
        for line in rest:
            self._print(line, "dim")

    def row(self, row: Row) -> None:
        if row.title != self._title:
            self._title = row.title
            self.console.print()
            self._print(row.title, "bold")
            self._print(self._line(row.columns, [column.heading for column in row.columns]), "dim")
        self._print(self._line(row.columns, row.cells()), row.style)

    def _line(self, columns: Sequence[Column], cells: Sequence[str]) -> str:
        line = ""
        for column, cell in zip(columns, cells, strict=True):
            cell = cell.ljust(column.width) if column.left else cell.rjust(column.width)
            longer = f"{line}{GAP}{cell}" if line else cell
            if line and len(longer) > self._width:
                break
            line = longer
        return line.rstrip()

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self.console.print(Text(text, style), width=self._width, overflow="fold")


def _target_lines(target: Target) -> list[str]:
    config = target.config
    size = f"{config.parameters / 1e6:.1f} M parameters, {config.macs / 1e9:.4g} GMACs an image in the products"
    return [target.name, f"{size}, {'drawn weights' if target.drawn else 'its own weights'}"]


def _machine_lines(machine: Machine) -> list[str]:
    code = machine.gmixer + (f" ({machine.commit})" if machine.commit else "")
    versions = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    processors = f"{machine.processors} processor{'s' * (machine.processors > 1)}"
    return [
        f"{machine.cpu}, {processors}, {', '.join(machine.isas)}; load {machine.load:.1f} before the start",
        f"gmixer {code}, Python {machine.python}, {versions}; {machine.date}",
    ]
