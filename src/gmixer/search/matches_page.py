"""The matches of a query as one self-contained HTML page: no network, no script, images inside.

Paths and labels may come from untrusted files. So every text is escaped and kept on one line, and the page's own policy
forbids it to load or run anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from gmixer.errors import ImageError, require
from gmixer.files import atomic_write
from gmixer.images.decode import decode
from gmixer.models.model_card import one_line
from gmixer.options import DEFAULT_STORAGE, Storage
from gmixer.search.match import Match
from gmixer.search.queries import QueryImage
from gmixer.search.thumbnails import QUALITY, Picture, Thumbnail, thumbnails

TEMPLATE = "matches.html.jinja"
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


def write_page(found: Found, path: Path, *, storage: Storage = DEFAULT_STORAGE) -> None:
    """Writes the page, complete or not at all. Raises MissingExtraError, OSError."""
    page = render(found, storage)
    with atomic_write(path, shared=True) as unfinished:
        unfinished.write_text(page, encoding="utf-8", errors="backslashreplace")


def render(found: Found, storage: Storage = DEFAULT_STORAGE) -> str:
    with require("--html", "search", ["jinja2"]):
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_on_one_line,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    queried = [(image.path, _of_query(image)) for image in found.images]
    queried += zip(found.rows, _small([Picture(row) for row in found.rows], storage), strict=True)
    pictures = _small([Picture(match.path, match.bytes) for match in found.matches], storage)
    from gmixer import __version__

    return environment.get_template(TEMPLATE).render(
        found=found, queried=queried, matches=list(zip(found.matches, pictures, strict=True)), version=__version__
    )


def _small(pictures: Sequence[Picture], storage: Storage) -> list[Thumbnail]:
    return thumbnails(pictures, px=THUMBNAIL_PX, storage=storage)


def _of_query(image: QueryImage) -> Thumbnail:
    """Of the very bytes that were embedded: standard input and a URL have no file."""
    try:
        small = Image.fromarray(decode(image.data, name=image.path, reduce_to_px=THUMBNAIL_PX))
    except ImageError as error:  # its own limits let it pass, the usual ones do not
        return Thumbnail(b"", missing=error.kind)
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    out = BytesIO()
    small.save(out, "JPEG", quality=QUALITY)
    return Thumbnail(out.getvalue(), small.width, small.height)


def _on_one_line(value: Any) -> Any:
    return one_line(value) if type(value) is str else value  # not jinja2's own Markup
