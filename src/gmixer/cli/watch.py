"""What a person sees of a run: one line that moves in a terminal, a line now and then in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gmixer.rows.text import printable
from gmixer.rows.view import terminal

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from gmixer.train import Trained
    from gmixer.train.log import Progress, Validation

LINE_EVERY_S = 30.0  # in a pipe


@contextmanager
def listener(*, speaks: bool) -> Iterator[Watch]:
    """speaks: False for all processes of a run but the first."""
    if not speaks or not sys.stderr.isatty():
        yield Watch(None, speaks=speaks)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal(sys.stderr), transient=True) as bar:
        yield Watch(bar, speaks=True)


class Watch:
    """A gmixer.train.Listener on stderr; what was trained, on stdout."""

    def __init__(self, bar: Bar | None, *, speaks: bool) -> None:
        self._bar, self._speaks = bar, speaks
        self._task: TaskID | None = None
        self._last_line = -LINE_EVERY_S
        self._steps = 1
        self._began = time.monotonic()
        self._first_step = 0

    def begins(self, *, step: int, steps: int) -> None:
        self._steps, self._first_step, self._began = steps, step, time.monotonic()
        if step:
            self.message(f"goes on at step {step} of {steps}")
        if self._bar:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task("", total=steps, completed=step)

    def progress(self, row: Progress) -> None:
        text = f"epoch {row.epoch:.2f}  loss {row.loss:.3f}  top-1 {row.top1:.1%}  {row.images_per_s:.0f} images/s"
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=row.step, description=text)
        elif time.monotonic() - self._last_line >= LINE_EVERY_S or row.step == self._steps:
            self._last_line = time.monotonic()
            self.message(f"step {row.step}/{self._steps}  {text}  {self._left(row.step)}")

    def validated(self, row: Validation) -> None:
        measured = f"loss {row.loss:.3f}, top-1 {row.top1:.1%}"
        if row.top5 is not None:
            measured += f", top-5 {row.top5:.1%}"
        self.message(f"epoch {row.epoch:.2f}  on {row.n} held out: {measured}")

    def embedded(self, pictures: int) -> None:
        if self._bar and self._task is not None:
            self._bar.update(
                self._task, completed=pictures, description=f"{pictures} of {self._steps} pictures embedded"
            )

    def message(self, text: str) -> None:
        if not self._speaks:
            return
        if self._bar:
            self._bar.console.print(printable(text), markup=False)
        else:
            print(printable(text), file=sys.stderr, flush=True)

    def ends(self, trained: Trained) -> None:
        if not self._speaks:
            return
        import shlex

        from gmixer.evaluate import top

        share = top(trained.outcomes, 1)
        low, high = share.interval
        measured = f"{share.value:.1%} of {share.n:,} pictures held out; 95 % interval {low:.1%} … {high:.1%}"
        print(f"top-1   {measured if share.n else 'not measured: no picture held out could be read'}")
        print(f"model   {printable(str(trained.model_folder))}")
        if trained.report:
            print(f"report  {printable(str(trained.report))}")
        print(f"try     gmixer classify PHOTO --model {printable(shlex.quote(str(trained.model_folder)))}")

    def _left(self, step: int) -> str:
        done = max(step - self._first_step, 1)
        seconds = (time.monotonic() - self._began) / done * (self._steps - step)
        minutes, hours = round(seconds / 60), seconds / 3600
        return (
            f"{hours:.1f} h left" if hours >= 2 else f"{minutes} min left" if minutes > 1 else f"{seconds:.0f} s left"
        )
