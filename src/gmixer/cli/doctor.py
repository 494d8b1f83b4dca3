"""gmixer doctor"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import options

if TYPE_CHECKING:
    from gmixer.doctor import Check, Finding

MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON, one object a line: name, status (ok, warning, failed), fact, remedy."),
    ] = False,
    debug: options.Debug = False,
) -> None:
    """Check that gmixer works on this machine, and say how to repair it.

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

    in_terminal = sys.stdout.isatty() and not as_json
    show = _json_line if as_json else _table_row(list(checks)) if in_terminal else _line
    findings = []
    for finding in examine(checks, on_error=traceback.print_exception if debug else lambda error: None):
        show(finding)
        findings.append(finding)
    if in_terminal:
        typer.echo(_summary(findings))
    return int(any(finding.status == "failed" for finding in findings))


def _json_line(finding: Finding) -> None:
    print(json.dumps(finding.to_dict()), flush=True)


def _line(finding: Finding) -> None:
    """For pipes: name, status, fact and remedy, tab-separated."""
    from gmixer.cli.report import printable

    print("\t".join(map(printable, (finding.name, finding.status, finding.fact, finding.remedy))), flush=True)


def _table_row(names: Sequence[str]) -> Callable[[Finding], None]:
    """For terminals: prints a row of a table, with the remedy below the fact.

    names: of all rows. They determine the width of the column.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from gmixer.cli.report import WIDEST_COLUMNS, printable

    console = Console(highlight=False)
    width = min(console.width, WIDEST_COLUMNS)
    marks = {} if console.options.ascii_only else MARKS

    def show(finding: Finding) -> None:
        style = STYLES[finding.status]
        text = Text(printable(finding.fact))
        if finding.remedy:
            text.append(
                f"\n{'→' if marks else '->'} {printable(finding.remedy)}", "dim" if finding.status == "ok" else style
            )
        row = Table.grid(padding=(0, 1))
        row.add_column(width=max(map(len, (f"{MARKS[status]} {status}" for status in MARKS))), no_wrap=True)
        row.add_column(width=max(map(len, names)), no_wrap=True)
        row.add_column(overflow="fold")
        row.add_row(
            Text(f"{marks.get(finding.status, '')} {finding.status}".strip(), style), Text(finding.name, "bold"), text
        )
        console.print(row, width=width)

    return show


def _summary(findings: Sequence[Finding]) -> str:
    failed, warnings = (sum(finding.status == status for finding in findings) for status in ("failed", "warning"))
    parts = [f"{failed} of {len(findings)} checks failed" if failed else "All checks passed"]
    if warnings:
        parts.append(f"{warnings} warning{'s' * (warnings > 1)}")
    return ", ".join(parts)
