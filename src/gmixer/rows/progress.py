"""A bar on stderr that counts while somebody looks, and is gone when the work is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console


@contextmanager
def counting(
    what: str, total: int | None = None, *, console: Console | None = None
) -> Iterator[Callable[[int, int | None], None]]:
    """The function takes how many are done, and of how many, once that is known; where nobody looks it does nothing.

    total: of how many, where that is known before.
    console: the terminal that gets other lines too, which then scroll above the bar.
    """
    if console is None and not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(what), TimeRemainingColumn())
    with Progress(*columns, console=console or terminal(sys.stderr), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def terminal(stream: TextIO) -> Console:
    """rich takes a while to import: only where somebody looks."""
    from rich.console import Console

    return Console(file=stream, highlight=False)
