"""Reports the progress of a run: to the log in its folder, and to the listener."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from gmixer.errors import ImageError, words_of
from gmixer.evaluate import Outcomes, top
from gmixer.evaluate.noted_images import NotedImages, number_in_words
from gmixer.train.log import Log, Progress, Validation, Window
from gmixer.train.run_context import RunContext
from gmixer.train.state import RunLength, TrainState

PROGRESS_EVERY_S = 5.0


class Monitor:
    """Writes a row of progress from time to time, a row for each validation, and names each unreadable image once."""

    def __init__(self, context: RunContext, state: TrainState, length: RunLength, batch_size: int) -> None:
        self._state, self._length, self._batch_size = state, length, batch_size
        self._listener = context.listener
        self._log = Log(context.folder, from_step=state.step) if context.world.first else None
        self._window = Window()
        self._noted = NotedImages()
        self._listener.begins(step=state.step, steps=length.steps)

    def add(self, sums: Tensor) -> None:
        """sums: (loss, right, weight) of a step."""
        self._window.add(sums)

    @property
    def is_due(self) -> bool:
        """Whether the last row of progress is long ago."""
        return self._window.seconds > PROGRESS_EVERY_S

    def restart_clock(self) -> None:
        """The time since the last row counts no longer: a validation has taken it."""
        self._window = Window()

    def progress(self) -> None:
        """A row of the mean over the steps since the last one."""
        window = self._window
        loss, right, weight = window.sums.tolist()
        row = Progress(
            step=self._state.step,
            epoch=self._state.step / self._length.steps_per_epoch,
            lr=self._state.lr,
            loss=loss / max(weight, 1),
            top1=right / max(weight, 1),
            images_per_s=window.steps * self._batch_size / window.seconds,
        )
        self._window = Window()
        if self._write(row):
            self._listener.progress(row)

    def validation(self, outcomes: Outcomes) -> None:
        if not len(outcomes.label):
            self._listener.message(
                "nothing is measured: no held-out image has both a label and a file that can be read"
            )
            return
        num_classes = self._state.model.num_classes
        row = Validation(
            step=self._state.step,
            epoch=self._state.step / self._length.steps_per_epoch,
            loss=outcomes.loss,
            top1=top(outcomes, 1).value,
            top5=top(outcomes, 5).value if num_classes > 5 else None,
            n=len(outcomes.label),
        )
        if self._write(row):
            self._listener.validated(row)

    def unreadable(self, errors: Iterable[ImageError]) -> None:
        """Adds them to the state, and names those that are new."""
        for error in errors:
            if error.source not in self._state.unreadable:
                self._state.unreadable[error.source] = error.reason
                self._listener.message(f"left out, since it cannot be read: {error}")

    def notes(self, notes: Mapping[str, str]) -> None:
        """notes: name of an image → its note. Names the first few images; `count_notes` counts all of them."""
        for line in self._noted.add(notes.items()):
            self._listener.message(line)

    def count_notes(self) -> None:
        if self._noted:
            self._listener.message(number_in_words(len(self._noted)))

    def close(self) -> None:
        if self._log:
            self._log.close()

    def _write(self, row: Progress | Validation) -> bool:
        """Whether this process is the one that reports."""
        if self._log is None:
            return False
        try:
            self._log.write(row)
        except OSError as error:
            self._listener.message(
                f"this row of the log could not be written: {words_of(error, 'the disk refused it')}"
            )
        return True
