"""gmixer doctor"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from rich.console import RenderableType

    from gmixer.doctor import Check, Finding

MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
STATUS_COLUMNS = max(len(f"{mark} {status}") for status, mark in MARKS.items())
STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print one JSON object per check: name, status (ok, warning, failed), fact, remedy."
        ),
    ] = False,
    debug: flags.Debug = False,
) -> None:
    """Check that gmixer works on this machine, and show how to fix it.

    Checks the installation, the native core, the embedded model, threads, free disk and the Hub's cache.

    One check asks the Hub for a model, unless HF_HUB_OFFLINE=1. No other check uses the network.

    Exit status: 0 gmixer works (perhaps with warnings), 1 a check failed, 2 the command could not run.
    """
    from gmixer.doctor import CHECKS

    raise typer.Exit(show_checks(CHECKS, as_json=as_json, debug=debug))


def show_checks(checks: Mapping[str, Check], *, as_json: bool, debug: bool) -> int:
    """Runs the checks, and prints each finding at once. Returns the exit status: 1 if a check failed.

    debug: print the traceback of a check that raises.
    """
    from gmixer.doctor import examine
    from gmixer.rows.view import open_view

    view = open_view(as_json=as_json)
    with_marks = view.console is not None and not view.console.options.ascii_only
    name_columns = max(map(len, checks))
    findings = []
    for finding in examine(checks, on_error=traceback.print_exception if debug else lambda error: None):
        view.row(FindingRow(finding, name_columns, with_marks))
        findings.append(finding)
    view.remark(_summary(findings))
    return int(any(finding.status == "failed" for finding in findings))


class FindingRow(NamedTuple):
    """name_columns: the width of the names of all checks. with_marks: whether the terminal shows ✓ and →."""

    finding: Finding
    name_columns: int
    with_marks: bool

    def to_dict(self) -> dict[str, Any]:
        return self.finding.to_dict()

    def cells(self) -> Sequence[str]:
        return [self.finding.name, self.finding.status, self.finding.fact, self.finding.remedy]

    def draw(self, columns: int) -> Iterable[RenderableType]:
        """The status, the name and the fact, with the remedy below the fact."""
        from rich.constrain import Constrain
        from rich.text import Text

        from gmixer.rows.facts import grid
        from gmixer.rows.row import MAX_COLUMNS
        from gmixer.rows.text import printable

        name, status, fact, remedy = self.finding.name, self.finding.status, self.finding.fact, self.finding.remedy
        text = Text(printable(fact))
        if remedy:
            arrow = "→" if self.with_marks else "->"
            text.append(f"\n{arrow} {printable(remedy)}", "dim" if status == "ok" else STYLES[status])
        shown = f"{MARKS[status]} {status}" if self.with_marks else status
        cells = [
            (Text(shown, STYLES[status]), STATUS_COLUMNS),
            (Text(name, "bold"), self.name_columns),
            (text, None),
        ]
        yield Constrain(grid(cells, gap=1), min(columns, MAX_COLUMNS))


def _summary(findings: Sequence[Finding]) -> str:
    failed, warnings = (sum(finding.status == status for finding in findings) for status in ("failed", "warning"))
    parts = [f"{failed} of {len(findings)} checks failed" if failed else "All checks passed"]
    if warnings:
        parts.append(f"{warnings} warning{'s' * (warnings > 1)}")
    return ", ".join(parts)
