"""PATHS… → images in order, each with its path as typed; what was skipped and what failed is counted on the way."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from gmixer.errors import ImageError

if TYPE_CHECKING:
    from gmixer.options import Limits
    from gmixer.predictor import Predictor
    from gmixer.results import Result
    from gmixer.sources.listing import Found

STDIN = "-"
Answer = TypeVar("Answer", bound="Result | ImageError")


class Inputs:
    """The pictures of a command line. Holds two batches at a time, whatever the number of files."""

    def __init__(self, paths: list[str], *, max_bytes: int) -> None:
        self._paths = paths
        self._max_bytes = max_bytes
        self.answered = 0  # rows given, good and bad
        self.failed = 0
        self.skipped = 0  # files in folders and archives that are no images
        self.on_progress: Callable[[int], None] = lambda files: None

    @cached_property
    def files(self) -> int | None:
        """How many files there are to look at: a walk over the folders that opens none of them. None with an archive,
        which would have to be read through for it.
        """
        from gmixer.sources.listing import is_archive

        if any(is_archive(path) for path in self._paths if path != STDIN):
            return None
        return sum(1 for _ in self._found())

    def results(
        self, predictor: Predictor, k: int, *, rollup_at: float | None = None
    ) -> Iterator[tuple[str, Result | ImageError]]:
        """(path as typed, its result or why there is none), in order, one for each input."""
        paths: deque[str] = deque()  # of those in flight

        def images() -> Iterator[str | bytes | ImageError]:
            for path, image in self._images(predictor.preprocess.limits):
                paths.append(path)
                yield image

        for result in predictor.stream(images(), k, rollup_at=rollup_at):
            yield paths.popleft(), self._counted(result)

    def summary(self) -> str:
        """One line on what did not get an answer; empty where every file named got one."""
        parts = []
        if self.failed:
            parts.append(f"{self.failed} of {self.answered} could not be read")
        if self.skipped:
            parts.append(f"{self.skipped} {'file is' if self.skipped == 1 else 'files are'} no image and left out")
        if not self.answered and not parts:
            parts.append("no pictures found")
        return "; ".join(parts)

    def _found(self) -> Iterator[Found]:
        from gmixer.sources.listing import Found, find_images

        for path in self._paths:
            if path == STDIN:  # even where a file or folder is called so: that is ./-
                yield Found(STDIN, named=True)
            else:
                yield from find_images(path)

    def _images(self, limits: Limits) -> Iterator[tuple[str, str | bytes | ImageError]]:
        """(path as typed, what to give to the predictor or why there is nothing), images only."""
        for found in self._found():
            if found.error is not None:
                yield found.path, found.error
            elif not found.named and not self._is_image(found):
                continue
            elif found.member is not None:  # read at once: it is gone when the next one is asked for
                try:
                    yield found.path, found.member.read(limits)
                except ImageError as error:
                    yield found.path, error
            else:
                yield found.path, self._stdin() if found.path == STDIN else found.path

    def _stdin(self) -> bytes:
        if sys.stdin is None:  # closed by the shell
            return b""
        return sys.stdin.buffer.read(self._max_bytes + 1)  # one byte too many is refused as too large

    def _is_image(self, found: Found) -> bool:
        from gmixer.sources.listing import is_image_file

        if found.member.is_image if found.member is not None else is_image_file(found.path):
            return True
        self.skipped += 1
        return False

    def _counted(self, result: Answer) -> Answer:
        self.answered += 1
        self.failed += isinstance(result, ImageError)
        self.on_progress(self.answered + self.skipped)
        return result
