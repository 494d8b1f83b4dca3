"""Prints each row as soon as it is measured: as tables in a terminal, tab-separated in a pipe, or as JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from gmixer.bench.row import Step, TableRow
from gmixer.bench.target import Target
from gmixer.rows.progress import progress_bar
from gmixer.rows.table import fitted
from gmixer.rows.view import terminal

if TYPE_CHECKING:
    from rich.console import Console

    from gmixer.bench.machine import Machine

WIDEST_COLUMNS = 120


def open_report(*, as_json: bool) -> Report:
    """as_json: JSON lines. Otherwise tables, if stdout is a terminal; else tab-separated lines."""
    if as_json:
        return JsonLines()
    return Tables(terminal(sys.stdout)) if sys.stdout.isatty() else Lines()


def measure(steps: Sequence[Step], report: Report) -> list[TableRow]:
    """Runs the steps, reports each row, and returns all rows. A terminal also shows which step runs."""
    rows = []
    console = report.console if isinstance(report, Tables) else None
    with progress_bar("", len(steps), console=console, bar_columns=24) as bar:
        for number, step in enumerate(steps):
            bar.update(number, text=step.what)
            for row in step.run():
                report.row(row)
                rows.append(row)
    return rows


class Report(Protocol):
    def begin(self, machine: Machine, target: Target) -> None: ...
    def row(self, row: TableRow) -> None: ...


class JsonLines:
    """One object a line; its "row" is the kind. The first line is the machine."""

    def begin(self, machine: Machine, target: Target) -> None:
        of_model = {"model": target.name, "gmacs": target.config.macs / 1e9, "drawn_weights": target.drawn}
        of_model["precision"] = target.precision
        print(json.dumps({"row": "machine", **machine.to_dict(), **of_model}), flush=True)

    def row(self, row: TableRow) -> None:
        print(json.dumps(row.to_dict()), flush=True)


class Lines:
    """For pipes."""

    def __init__(self) -> None:
        self._title = ""

    def begin(self, machine: Machine, target: Target) -> None:
        for line in (*_target_lines(target), *_machine_lines(machine)):
            print(line, flush=True)

    def row(self, row: TableRow) -> None:
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

    def row(self, row: TableRow) -> None:
        if row.title != self._title:
            self._title = row.title
            self.console.print()
            self._print(row.title, "bold")
            self._print(fitted(row.columns, [column.heading for column in row.columns], self._width), "dim")
        self._print(fitted(row.columns, row.cells(), self._width), row.style)

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self.console.print(Text(text, style), width=self._width, overflow="fold")


def _target_lines(target: Target) -> list[str]:
    config = target.config
    weights = f"{'drawn weights' if target.drawn else 'its own weights'}, in {target.precision}"
    size = f"{config.parameters / 1e6:.1f} M parameters, {config.macs / 1e9:.4g} GMACs an image in the products"
    return [target.name, f"{size}, {weights}"]


def _machine_lines(machine: Machine) -> list[str]:
    code = machine.gmixer + (f" ({machine.commit})" if machine.commit else "")
    versions = ", ".join(f"{name} {version}" for name, version in machine.packages.items())
    processors = f"{machine.processors} processor{'s' * (machine.processors > 1)}"
    return [
        f"{machine.cpu}, {processors}, {', '.join(machine.isas)}; load {machine.load:.1f} before the start",
        f"gmixer {code}, Python {machine.python}, {versions}; {machine.date}",
    ]
