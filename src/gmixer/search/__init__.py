"""Stored embeddings → what people ask of them.

table.py            the LanceDB table of an index
build.py            stored embeddings → an index
approximate.py      an approximate index over its vectors, and its recall
model.py            the model that made an index, opened for queries
index.py            open_index: an index → Index, which answers queries
queries.py          the images of a query → their vectors
match.py            Match: a row that a search found
matches_page.py     the matches as one HTML page
duplicates.py       find_duplicates: groups of copies, and which image to keep
leaders.py          which vectors lie near a better one: all pairs, in blocks
duplicates_page.py  the groups as a page, with thumbnails
map.py              make_map: points and colors
layout.py           vectors → places on a map, by t-SNE
map_page.py         the map as a page, which map.js draws
page.py             a page that is one file: templates, escaping, policy
thumbnails.py       the image of a stored row, small, as a page holds it

`gmixer.search.open_index` is imported when it is first used: numpy, pyarrow and the extra `search` take time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmixer.search.index import open_index as open_index

__all__ = ["open_index"]


def __getattr__(name: str) -> Any:
    if name != "open_index":
        raise AttributeError(f"module 'gmixer.search' has no attribute {name!r}")
    from gmixer.search.index import open_index

    return open_index
