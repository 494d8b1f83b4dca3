"""The boxes that a HEIF or JPEG XL file is made of. Source: ISO/IEC 14496-12, and 18181-2 for JPEG XL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gmixer.errors import ImageError

MAX_BOXES = 100_000  # guessed: a HEIF of a phone has about 1,000


class Box(NamedTuple):
    """kind: four letters. start: of its header. body … end: what it holds."""

    kind: bytes
    start: int
    body: int
    end: int


def boxes(data: bytes, start: int, end: int, *, source: str) -> Iterator[Box]:
    """The boxes between two places of a file. One that claims more ends there: the decoder will say so.

    Raises ImageError "too_large" for very many, and IndexError for one that is smaller than its header.
    """
    count = 0
    while start + 8 <= end:
        count += 1
        check_count(count, "boxes", source)
        size, kind, body = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], start + 8
        if size == 1:
            size, body = int.from_bytes(data[start + 8 : start + 16], "big"), start + 16
        last = start + size if size else end
        if last < body:
            raise IndexError
        yield Box(kind, start, body, min(last, end))
        start = last


def check_count(count: int, what: str, source: str) -> None:
    """Raises ImageError "too_large"."""
    if count > MAX_BOXES:
        raise ImageError("too_large", f"holds more than {MAX_BOXES:,} {what}, far more than an image needs", source)
