"""Stored embeddings → what people ask of them.

duplicates.py       find_duplicates: groups of copies, and which image to keep
leaders.py          which vectors lie near a better one: all pairs, in blocks
duplicates_page.py  the groups as a page, with thumbnails
map.py              make_map: points and colors
layout.py           vectors → places on a map, by t-SNE
map_page.py         the map as a page, which map.js draws
page.py             a page that is one file: templates, escaping, policy
thumbnails.py       the image of a stored row, small, as a page holds it

Nothing is imported here: numpy, pyarrow and the packages of the extra `search` take time.
"""
