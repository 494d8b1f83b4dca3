"""The matches of a query → a page to look at them, with thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gmixer
from gmixer.errors import ImageError
from gmixer.options import DEFAULT_STORAGE, Storage
from gmixer.search.match import Match
from gmixer.search.page import render_page, write_page
from gmixer.search.queries import QueryImage
from gmixer.search.thumbnails import Picture, Thumbnail, thumbnail_of, thumbnails

THUMBNAIL_PX = 240


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a search gave. index: its place. images, rows: the query. how: the way of searching, in words.

    where: the condition, or None. fitting: so many rows were searched.
    """

    index: str
    images: Sequence[QueryImage]
    rows: Sequence[str]
    where: str | None
    matches: Sequence[Match]
    fitting: int
    model: str
    how: str


def write_matches_page(found: Found, path: Path, *, storage: Storage = DEFAULT_STORAGE) -> None:
    """Writes the page, whole or not at all. Raises MissingExtraError, OSError."""
    write_page(path, matches_page(found, storage))


def matches_page(found: Found, storage: Storage = DEFAULT_STORAGE) -> str:
    queried = [(image.path, _of_query(image)) for image in found.images]
    queried += zip(found.rows, _small([Picture(row) for row in found.rows], storage), strict=True)
    pictures = _small([Picture(match.path, match.bytes) for match in found.matches], storage)
    return render_page(
        "matches",
        found=found,
        queried=queried,
        matches=list(zip(found.matches, pictures, strict=True)),
        version=gmixer.__version__,
    )


def _small(pictures: Sequence[Picture], storage: Storage) -> list[Thumbnail]:
    return thumbnails(pictures, px=THUMBNAIL_PX, storage=storage)


def _of_query(image: QueryImage) -> Thumbnail:
    """Of the very bytes that were embedded: standard input and a URL have no file."""
    try:
        return thumbnail_of(image.data, name=image.path, px=THUMBNAIL_PX)
    except ImageError as error:  # its own limits let it pass, the usual ones do not
        return Thumbnail(b"", missing=error.kind)
