"""Images → model inputs, or the reasons why there are none."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Generic, TypeAlias, TypeVar

from gmixer.data.preprocess import ModelInput
from gmixer.errors import ImageError
from gmixer.prefetch import batches, prefetch
from gmixer.runtimes import default_threads

T = TypeVar("T")
Prepared: TypeAlias = ModelInput | ImageError  # the tensor and a note; or why there is no tensor

MAX_DECODERS = 4  # threads; each may hold a decoded image, and the Python part of decoding runs in one at a time


class Preparer(Generic[T]):
    """transform: an image → its ModelInput; it may raise ImageError, and is called in several threads at once."""

    def __init__(self, transform: Callable[[T], ModelInput]) -> None:
        self.transform = transform

    def __call__(self, image: T | ImageError) -> Prepared:
        """The image's input, or its ImageError. An ImageError in place of an image is returned as it is."""
        if isinstance(image, ImageError):
            return image
        try:
            return self.transform(image)
        except ImageError as error:
            return error

    def batches(self, images: Iterable[T | ImageError], *, size: int) -> Generator[list[Prepared], None, None]:
        """Lists of `size` prepared images, in order; the last list is shorter.

        While the caller works on one batch, other threads prepare the next. `images` is advanced in the caller's
        thread only, by at most 2 * size more than were returned. An exception of `images`, or one that is no
        ImageError, is raised after the images before it. Close the iterator to leave early.
        """
        with closing(prefetch(self, images, threads=decoding_threads(), ahead=size)) as prepared:
            yield from batches(prepared, size)


def decoding_threads() -> int:
    return min(default_threads(), MAX_DECODERS)
