"""The paths of a command line → images in order, each with its path as typed. Skipped files and errors are counted."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeAlias, TypeVar

from gmixer.errors import ImageError
from gmixer.options import Limits, Reading
from gmixer.sources.entry import Entry, may_be_image, read
from gmixer.sources.left_out import LeftOut, no_files
from gmixer.sources.listing import Listing
from gmixer.sources.local import STDIN, StandardInput

Image: TypeAlias = str | bytes | ImageError
Answer = TypeVar("Answer")

_EMPTY_TAR_BYTES = 2**16  # at most, with the padding: 10,240 as a rule


class Inputs:
    """The images of a command line; `-` is one image on standard input. Memory holds the images in flight.

    A folder or an archive without an image gets a row of its own, with an error.
    """

    def __init__(self, paths: Sequence[str], reading: Reading) -> None:
        # "-" is standard input even if a file or folder has this name: that is ./-
        self._listing = Listing([StandardInput() if path == STDIN else path for path in paths])
        self._reading = reading
        self.answered = 0  # rows given, with a result or an error
        self.failed = 0
        self._left_out = LeftOut()
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
            self.on_progress(self.answered + len(self._left_out))
            yield in_flight.popleft(), result

    def summary(self) -> str:
        """One line on the files without a result; empty if every file has one. It holds names of files as they are."""
        parts = [f"{self.failed} of {self.answered} could not be read"] if self.failed else []
        return "; ".join(parts + self._left_out.parts())

    def _images(self) -> Iterator[tuple[str, Image]]:
        """(path as typed, the path again, bytes or an error). Files that are no images are left out."""
        for path, entries in self._listing:
            is_folder = isinstance(path, str) and os.path.isdir(path)
            search = self._left_out.search(str(path), "folder" if is_folder else "archive")
            for entry in entries:
                if isinstance(entry, ImageError):
                    search.found()
                    yield entry.source, entry
                elif not entry.named and not may_be_image(entry):
                    search.leave_out(entry, entry.key)
                else:
                    search.found()
                    yield (entry.key, no_files("archive", entry.key)) if is_empty_tar(entry) else self._image(entry)
            if error := search.without_image():  # a named file is always found
                yield error.source, error

    def _image(self, entry: Entry) -> tuple[str, Image]:
        if not entry.read_at_once:
            return entry.key, entry.key
        try:
            return entry.key, read(entry, self._reading.limits)
        except ImageError as error:
            return entry.key, error


def is_empty_tar(entry: Entry) -> bool:
    """Whether the user named a tar without members: nothing but zeros. Under another name, it is no tar."""
    if not entry.named or not entry.key.lower().endswith(".tar") or not 0 < (entry.size or 0) <= _EMPTY_TAR_BYTES:
        return False
    try:
        return not any(read(entry, Limits(max_bytes=_EMPTY_TAR_BYTES)))
    except ImageError:
        return False
