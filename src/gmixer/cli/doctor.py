"""gmixer doctor"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from gmixer.cli import flags

if TYPE_CHECKING:
    from gmixer.doctor import Finding

MARKS = {"ok": "✓", "warning": "!", "failed": "✗"}
STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line: name, status (ok, warning, failed), fact, remedy.")
    ] = False,
    debug: flags.Debug = False,
) -> None:
    """Check that gmixer is well on this machine, and say what to do where it is not.

    Looks at the installation, the native core, the embedded model, threads, free disk and the Hub's cache.

    Asks the Hub whether it can be reached, unless HF_HUB_OFFLINE=1; nothing else touches the network.

    Exit status: 0 all works (there may be warnings), 1 something is broken, 2 the command could not run.
    """
    from gmixer.doctor import CHECKS, examine

    in_terminal = sys.stdout.isatty() and not as_json
    show = _json_line if as_json else _table_row(list(CHECKS)) if in_terminal else _line
    findings = []
    for finding in examine(on_error=traceback.print_exception if debug else lambda error: None):
        show(finding)
        findings.append(finding)
    if in_terminal:
        typer.echo(_summary(findings))
    raise typer.Exit(any(finding.status == "failed" for finding in findings))


def _json_line(finding: Finding) -> None:
    print(json.dumps(finding.to_dict()), flush=True)


def _line(finding: Finding) -> None:
    """For pipes: name, status, fact, remedy, tab-separated."""
    from gmixer.rows.text import printable

    print("\t".join(map(printable, (finding.name, finding.status, finding.fact, finding.remedy))), flush=True)


def _table_row(names: Sequence[str]) -> Callable[[Finding], None]:
    """For people: a row of a table as soon as its check is done, the remedy below the fact.

    names: of all rows there will be, for the column's width.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from gmixer.rows.row import MAX_COLUMNS
    from gmixer.rows.text import printable

    console = Console(highlight=False)
    width = min(console.width, MAX_COLUMNS)
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
    parts = [f"{failed} of {len(findings)} checks failed" if failed else "All is well" if not warnings else "All works"]
    if warnings:
        parts.append(f"{warnings} warning{'s' * (warnings > 1)}")
    return ", ".join(parts)
