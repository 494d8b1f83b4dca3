"""A map → a page to explore it: one file with all its thumbnails, which works offline.

N points.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gmixer
from gmixer.options import DEFAULT_STORAGE, Storage
from gmixer.rows.text import printable
from gmixer.search.map import Map
from gmixer.search.page import render_page, write_page
from gmixer.search.thumbnails import thumbnails

THUMBNAIL_PX = 112
CELLS = 64  # along each side of the map; thumbnails are spread evenly over its cells
STEPS = 65_535  # of a place, in 16 bits


def write_map_page(made: Map, path: Path, *, place: str, thumbnails: int, storage: Storage = DEFAULT_STORAGE) -> None:
    """Writes the page, whole or not at all. place: the stored embeddings, as typed. storage: of the images."""
    write_page(path, map_page(made, place=place, most_thumbnails=thumbnails, storage=storage))


def map_page(made: Map, *, place: str, most_thumbnails: int, storage: Storage = DEFAULT_STORAGE) -> str:
    """most_thumbnails: of more points, that many get one, spread evenly over the map; each takes about 5 kB."""
    rows = _spread(made.place_N2, most_thumbnails)
    images = thumbnails([made.pictures[row] for row in rows], px=THUMBNAIL_PX, storage=storage)
    data = {
        "places": _packed(np.rint((made.place_N2 + 0.6) / 1.2 * STEPS).clip(0, STEPS).astype("<u2")),
        "paths": [printable(picture.path) for picture in made.pictures],
        "labels": _table(made.labels),
        "predictions": _table(made.predictions),
        "colorings": [
            {"by": c.by, "names": [printable(n) for n in c.names], "groups": _packed(c.group_N.astype("i1"))}
            | {"counts": np.bincount(c.group_N + 1, minlength=len(c.names) + 1).tolist()}
            | {"others": c.others, "unknown": c.unknown}
            for c in made.colorings
        ],
        "thumbnails": {
            int(row): base64.b64encode(image.jpeg).decode() if image.jpeg else ""
            for row, image in zip(rows, images, strict=True)
        },
        "missing": {int(row): image.missing for row, image in zip(rows, images, strict=True) if image.missing},
    }
    return render_page(
        "map",
        data=data,
        place=place,
        made=made,
        N=len(made.pictures),
        shown=sum(bool(image.jpeg) for image in images),
        wanted=len(rows),
        version=gmixer.__version__,
    )


def _spread(place_N2: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Rows of that many points, the first of each cell of the map before the second of any."""
    cell_N = ((place_N2 + 0.6) / 1.2 * CELLS).astype(np.int64) @ np.array([1, CELLS])
    order = np.argsort(cell_N, kind="stable")
    starts = np.flatnonzero(np.diff(cell_N[order], prepend=-1))
    rank_N = np.empty(len(cell_N), np.int64)
    rank_N[order] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return np.sort(np.argsort(rank_N, kind="stable")[:count])


def _packed(numbers: NDArray[Any]) -> str:
    return base64.b64encode(numbers.tobytes()).decode()


def _table(words_N: list[str | None]) -> dict[str, Any]:
    """Each word once, and for each point which one it is; -1 for none."""
    numbers: dict[str, int] = {}
    which = [-1 if word is None else numbers.setdefault(word, len(numbers)) for word in words_N]
    return {"words": [printable(word) for word in numbers], "which": _packed(np.array(which, "<i4"))}
