"""The progress of `gmixer train` on stderr: a bar in a terminal, a line from time to time in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gmixer.rows.progress import Bar, progress_bar
from gmixer.rows.text import printable

if TYPE_CHECKING:
    from gmixer.train import Trained
    from gmixer.train.log import Progress, Validation

LINE_EVERY_S = 30.0  # in a pipe


@contextmanager
def listener(*, is_shown: bool) -> Iterator[Watch]:
    """is_shown: False for all processes of a run but the first."""
    if is_shown:
        with progress_bar(figure="percent") as bar:
            yield Watch(bar, is_shown=True)
    else:
        yield Watch(Bar(), is_shown=False)


class Watch:
    """A gmixer.train.Listener that writes to stderr; the result goes to stdout."""

    def __init__(self, bar: Bar, *, is_shown: bool) -> None:
        self._bar, self._is_shown = bar, is_shown
        self._last_line = -LINE_EVERY_S
        self._steps = 1
        self._began = time.monotonic()
        self._first_step = 0

    def begins(self, *, step: int, steps: int) -> None:
        self._steps, self._first_step, self._began = steps, step, time.monotonic()
        if step:
            self.message(f"continues at step {step} of {steps}")
        self._bar.restart(steps, done=step)

    def progress(self, row: Progress) -> None:
        text = f"epoch {row.epoch:.2f}  loss {row.loss:.3f}  top-1 {row.top1:.1%}  {row.images_per_s:.0f} images/s"
        if self._bar.shown:
            self._bar.update(row.step, text=text)
        elif time.monotonic() - self._last_line >= LINE_EVERY_S or row.step == self._steps:
            self._last_line = time.monotonic()
            self.message(f"step {row.step}/{self._steps}  {text}  {self._left(row.step)}")

    def validated(self, row: Validation) -> None:
        measured = f"loss {row.loss:.3f}, top-1 {row.top1:.1%}"
        if row.top5 is not None:
            measured += f", top-5 {row.top5:.1%}"
        self.message(f"epoch {row.epoch:.2f}  on {row.n} held out: {measured}")

    def embedded(self, images: int) -> None:
        self._bar.update(images, text=f"{images} of {self._steps} images embedded")

    def message(self, text: str) -> None:
        if not self._is_shown:
            return
        if self._bar.shown:
            self._bar.line(text)
        else:
            print(printable(text), file=sys.stderr, flush=True)

    def ends(self, trained: Trained) -> None:
        if not self._is_shown:
            return
        import shlex

        from gmixer.evaluate import top

        if lost := len(trained.unreadable):
            images = "1 image" if lost == 1 else f"{lost:,} images"
            where = "the report lists such images" if trained.report else "named above"
            print(f"{images} could not be read and did not count: {where}", file=sys.stderr)

        share = top(trained.outcomes, 1)
        low, high = share.interval
        measured = f"{share.value:.1%} of {share.n:,} held-out images; 95 % interval {low:.1%} … {high:.1%}"
        print(f"top-1   {measured if share.n else 'not measured: no held-out image could be read'}")
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
