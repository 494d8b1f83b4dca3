"""A progress bar on stderr. It is shown only in a terminal, and is removed when the work is done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from gmixer.rows.text import printable
from gmixer.rows.view import terminal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, TaskID

Figure = Literal["count", "percent"]


class Bar:
    """Without a terminal, every method does nothing, and `shown` is False."""

    def __init__(self, progress: Progress | None = None, task: TaskID | None = None) -> None:
        self._progress, self._task = progress, task

    @property
    def shown(self) -> bool:
        return self._progress is not None

    def update(self, done: int, total: int | None = None, text: str | None = None) -> None:
        """total, text: None leaves them as they are."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total, description=text)

    def restart(self, total: int | None, *, done: int = 0) -> None:
        """Counts again, with a new estimate of the time that is left."""
        if self._progress is not None and self._task is not None:
            self._progress.remove_task(self._task)
            self._task = self._progress.add_task("", total=total, completed=done)

    def line(self, text: str) -> None:
        """A line that stays, above the bar."""
        if self._progress is not None:
            self._progress.console.print(printable(text), markup=False)


@contextmanager
def progress_bar(
    text: str = "",
    total: int | None = None,
    *,
    console: Console | None = None,
    figure: Figure = "count",
    bar_columns: int | None = 40,
) -> Iterator[Bar]:
    """text: stands after the figure, such as "files". total: None where it is not known before.

    console: a terminal that gets other lines too. Those lines then scroll above the bar.
    """
    if console is None and not sys.stderr.isatty():
        yield Bar()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    figures: dict[Figure, ProgressColumn] = {
        "count": MofNCompleteColumn(),
        "percent": TextColumn("{task.percentage:3.0f} %"),
    }
    columns = (BarColumn(bar_columns), figures[figure], TextColumn("{task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console or terminal(sys.stderr), transient=True) as progress:
        yield Bar(progress, progress.add_task(text, total=total))
