"""Groups of copies → a page to look at them, with thumbnails."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import gmixer
from gmixer.options import DEFAULT_STORAGE, Storage
from gmixer.search.duplicates import Copy, Duplicates
from gmixer.search.page import render_page, write_page
from gmixer.search.thumbnails import Picture, Thumbnail, thumbnails

THUMBNAIL_PX = 192
MOST_PICTURES = 1_000  # about 10 MB of page
MOST_OF_A_GROUP = 60


@dataclass(frozen=True, slots=True)
class Shown:
    copy: Copy
    thumbnail: Thumbnail


def write_duplicates_page(found: Duplicates, path: Path, *, place: str, storage: Storage = DEFAULT_STORAGE) -> None:
    """Writes the page, whole or not at all. place: the stored embeddings, as typed. storage: of the images."""
    write_page(path, duplicates_page(found, place=place, storage=storage))


def duplicates_page(found: Duplicates, *, place: str, storage: Storage = DEFAULT_STORAGE) -> str:
    """The largest groups, at most MOST_PICTURES images; the page says how many more there are."""
    groups = [group[:MOST_OF_A_GROUP] for group in found.groups]
    fits = sum(total <= MOST_PICTURES for total in accumulate(map(len, groups)))
    copies = [copy for group in groups[:fits] for copy in group]
    made = iter(thumbnails([Picture(c.path, c.bytes, c.sha256) for c in copies], px=THUMBNAIL_PX, storage=storage))
    shown = [[Shown(copy, next(made)) for copy in group] for group in groups[:fits]]
    return render_page(
        "duplicates",
        found=found,
        groups=[(of, group) for of, group in zip(found.groups, shown, strict=False)],
        place=place,
        version=gmixer.__version__,
        any_image=any(one.thumbnail.jpeg for group in shown for one in group),
    )
