"""The paths of a command line → images in order, each with its path as typed. Skipped files and errors are counted."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias, TypeVar

from gmixer.errors import ImageError
from gmixer.options import Limits, Reading
from gmixer.sources.entry import MEMBER_MARK, Entry, NoFile, may_be_image, read
from gmixer.sources.listing import Listing
from gmixer.sources.local import STDIN, StandardInput

Image: TypeAlias = str | bytes | ImageError
Answer = TypeVar("Answer")

_EMPTY_TAR_BYTES = 2**16  # at most, with the padding: 10,240 as a rule
NAMED = 3  # of the files without a row
_ARCHIVE_ENDINGS = (".tar", ".zip", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".cbz")


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
        self._in_rows = 0  # files left out that the row of their folder names
        self._others = _LeftOut("file is no image and left out", "files are no image and left out")
        self._archives = _LeftOut(
            "archive is left out, because it was not named itself",
            "archives are left out, because they were not named themselves",
        )
        self._no_files = _LeftOut("link or pipe is left out", "links or pipes are left out")
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
            self.on_progress(self.answered + self._in_rows + sum(left_out.count for left_out in self._all_left_out))
            yield in_flight.popleft(), result

    def summary(self) -> str:
        """One line on the files without a result; empty if every file has one. It holds names of files as they are."""
        parts = [f"{self.failed} of {self.answered} could not be read"] if self.failed else []
        return "; ".join(parts + [str(left_out) for left_out in self._all_left_out if left_out.count])

    @property
    def _all_left_out(self) -> tuple[_LeftOut, ...]:
        return self._others, self._archives, self._no_files

    def _images(self) -> Iterator[tuple[str, Image]]:
        """(path as typed, the path again, bytes or an error)."""
        for _, entry in self.entries():
            yield (entry.source, entry) if isinstance(entry, ImageError) else self._image(entry)

    def entries(self) -> Iterator[tuple[str, Entry | ImageError]]:
        """(path as typed, what is there), in order, one for each image. Files that are no images are left out."""
        for typed, entries in self._listing:
            path = (
                typed if isinstance(typed, str) else os.fspath(typed) if isinstance(typed, os.PathLike) else typed.key
            )
            found, left_out, unsaid = False, _LeftOut("", ""), list[Entry]()
            for entry in entries:
                if isinstance(entry, ImageError):
                    found = True
                    yield path, entry
                elif not entry.named and not may_be_image(entry):
                    left_out.add(os.path.basename(entry.key).rpartition(MEMBER_MARK)[2])
                    unsaid.append(entry)
                else:
                    found = True
                    yield path, _no_files("archive", entry.key) if _is_empty_tar(entry) else entry
                if found or left_out.count > NAMED:  # otherwise the row of the path names them
                    for other in unsaid:
                        self._leave_out(other)
                    unsaid.clear()
            if not found:  # a named file is always found
                self._in_rows += len(unsaid)
                yield path, _without_image(path, left_out)

    def _image(self, entry: Entry) -> tuple[str, Image]:
        if not entry.read_at_once:
            return entry.key, entry.key
        try:
            return entry.key, read(entry, self._reading.limits)
        except ImageError as error:
            return entry.key, error

    def _leave_out(self, entry: Entry) -> None:
        if isinstance(entry, NoFile):
            self._no_files.add(entry.key)
        elif entry.key.lower().endswith(_ARCHIVE_ENDINGS):
            self._archives.add(entry.key)
        else:
            self._others.add(entry.key)


@dataclass(slots=True)
class _LeftOut:
    """How many files are left out, and the first of their names. one, several: the words after the number."""

    one: str
    several: str
    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if self.count <= NAMED:
            self.names.append(name)

    def __str__(self) -> str:
        return f"{self.count} {self.one if self.count == 1 else self.several} ({self.named})"

    @property
    def named(self) -> str:
        return ", ".join(self.names) + (" …" if self.count > NAMED else "")


def _no_files(what: str, path: str) -> ImageError:
    return ImageError("empty", f"the {what} holds no files; hidden files (.name) do not count", path)


def _is_empty_tar(entry: Entry) -> bool:
    """Whether the user named a tar without members: nothing but zeros. Under another name, it is no tar."""
    if not entry.named or not entry.key.lower().endswith(".tar") or not 0 < (entry.size or 0) <= _EMPTY_TAR_BYTES:
        return False
    try:
        return not any(read(entry, Limits(max_bytes=_EMPTY_TAR_BYTES)))
    except ImageError:
        return False


def _without_image(path: str, left_out: _LeftOut) -> ImageError:
    """left_out: the files in it, by their names alone."""
    what = "folder" if os.path.isdir(path) else "archive"
    if not left_out.count:
        return _no_files(what, path)
    return ImageError("not_image", f"the {what} holds no image, only {left_out.named}", path)
