"""The paths of a command line → images in order, each with its path as typed. Skipped files and errors are counted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeAlias, TypeVar

from gmixer.errors import ImageError
from gmixer.options import Reading
from gmixer.sources.entry import may_be_image, read
from gmixer.sources.listing import Listing
from gmixer.sources.local import STDIN, StandardInput

Image: TypeAlias = str | bytes | ImageError
Answer = TypeVar("Answer")


class Inputs:
    """The images of a command line; `-` is one image on standard input. Memory holds the images in flight."""

    def __init__(self, paths: Sequence[str], reading: Reading) -> None:
        # "-" is standard input even if a file or folder has this name: that is ./-
        self._listing = Listing([StandardInput() if path == STDIN else path for path in paths])
        self._reading = reading
        self.answered = 0  # rows given, with a result or an error
        self.failed = 0
        self.skipped = 0  # files in folders and archives that are no images
        self.on_progress: Callable[[int], None] = lambda files: None

    @cached_property
    def files(self) -> int | None:
        """How many files there are to look at; none is opened for this. None with an archive."""
        return self._listing.count()

    def results(
        self, stream: Callable[[Iterator[Image]], Iterable[Answer | ImageError]]
    ) -> Iterator[tuple[str, Answer | ImageError]]:
        """(path as typed, its result or its error), in order, one for each image.

        stream: takes images, and gives a result or an error for each, in order, such as Predictor.stream.
        """
        in_flight: deque[str] = deque()

        def images() -> Iterator[Image]:
            for path, image in self._images():
                in_flight.append(path)
                yield image

        for result in stream(images()):
            self.answered += 1
            self.failed += isinstance(result, ImageError)
            self.on_progress(self.answered + self.skipped)
            yield in_flight.popleft(), result

    def summary(self) -> str:
        """One line on the files without a result; empty if every file has one."""
        parts = []
        if self.failed:
            parts.append(f"{self.failed} of {self.answered} could not be read")
        if self.skipped:
            parts.append(f"{self.skipped} {'file is' if self.skipped == 1 else 'files are'} no image and left out")
        if not self.answered and not parts:
            parts.append("no images found")
        return "; ".join(parts)

    def _images(self) -> Iterator[tuple[str, Image]]:
        """(path as typed, the path again, bytes or an error); files that are no images are left out."""
        for entry in self._listing:
            if isinstance(entry, ImageError):
                yield entry.source, entry
            elif not entry.named and not may_be_image(entry):
                self.skipped += 1
            elif entry.read_at_once:
                try:
                    yield entry.key, read(entry, self._reading.limits)
                except ImageError as error:
                    yield entry.key, error
            else:
                yield entry.key, entry.key
