"""The notes on many images (gmixer.images): counted, and a few of them named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice

NAMED = 3


class NotedImages:
    """Counts the images that have a note. An image that comes again, as in training, counts once."""

    def __init__(self) -> None:
        self._names: set[int] = set()  # their hashes, which need little memory

    def __len__(self) -> int:
        return len(self._names)

    def add(self, notes: Iterable[tuple[str, str]]) -> list[str]:
        """notes: (name of an image, its note). Returns a line for each of the first NAMED images of all."""
        lines = []
        for name, note in notes:
            if len(self) < NAMED and hash(name) not in self._names:
                lines.append(_line(name, note))
            self._names.add(hash(name))
        return lines


def in_words(notes: Mapping[str, str]) -> list[str]:
    """notes: name of an image → its note. A line with their number, then a line for each of the first NAMED."""
    if not notes:
        return []
    return [number_in_words(len(notes)), *(_line(name, note) for name, note in islice(notes.items(), NAMED))]


def number_in_words(images: int) -> str:
    return f"{images:,} {'image has' if images == 1 else 'images have'} a note"


def _line(name: str, note: str) -> str:
    return f"note on {name}: {note}"
