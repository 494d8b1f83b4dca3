"""PATHS… → images in order, each with its path as typed; what was skipped and what failed is counted on the way."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from gmixer.errors import ImageError

if TYPE_CHECKING:
    from gmixer.images import Found
    from gmixer.predictor import Predictor
    from gmixer.results import Result

STDIN = "-"


class Inputs:
    """The pictures of a command line. Holds a batch at a time, whatever the number of files."""

    def __init__(self, paths: list[str], *, max_bytes: int) -> None:
        self._paths = paths
        self._max_bytes = max_bytes
        self.answered = 0  # rows given, good and bad
        self.failed = 0
        self.skipped = 0  # files in folders that are no images
        self.on_progress: Callable[[int], None] = lambda files: None

    @cached_property
    def files(self) -> int:
        """How many files there are to look at: a walk over the folders that opens none of them."""
        return sum(1 for _ in self._found())

    def results(self, predictor: Predictor, k: int) -> Iterator[tuple[str, Result | ImageError]]:
        """(path as typed, its result or why there is none), in order, one for each input."""
        waiting: deque[str | tuple[str, ImageError]] = deque()  # ahead of the stream by a batch at most

        def images() -> Iterator[str | bytes]:
            for found in self._found():
                if found.error is not None:
                    waiting.append((found.path, found.error))
                elif found.path == STDIN and found.named:
                    waiting.append(STDIN)
                    yield sys.stdin.buffer.read(self._max_bytes + 1)  # one byte too many is refused as too large
                elif found.named or self._is_image(found.path):
                    waiting.append(found.path)
                    yield found.path

        def next_path() -> Iterator[tuple[str, ImageError]]:
            """Folders that could not be read, which stand before the next picture."""
            while waiting and isinstance(waiting[0], tuple):
                yield self._count(*waiting.popleft())  # type: ignore[misc]

        for result in predictor.stream(images(), k):
            yield from next_path()
            path = waiting.popleft()
            assert isinstance(path, str)
            yield self._count(path, result)
        yield from next_path()

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
        from gmixer.images import find_images

        return find_images(self._paths)

    def _is_image(self, path: str) -> bool:
        from gmixer.images import is_image_file

        if is_image_file(path):
            return True
        self.skipped += 1
        return False

    def _count(self, path: str, result: Result | ImageError) -> tuple[str, Result | ImageError]:
        self.answered += 1
        self.failed += isinstance(result, ImageError)
        self.on_progress(self.answered + self.skipped)
        return path, result
