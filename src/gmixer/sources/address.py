"""A path as somebody gave it, of a file, a URL or a member of an archive → the bytes there."""

from __future__ import annotations

import os
import re

from gmixer.errors import ImageError
from gmixer.options import Limits
from gmixer.sources.local import MEMBER_MARK, read_file

_URL = re.compile(r"https?:|[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def read(path: str | os.PathLike[str], *, source: str, limits: Limits, allow_urls: bool) -> bytes:
    """All bytes of a file, of what a URL leads to (only a str can be one), or of the member of an archive.

    Raises as `read_file`, web.fetch and archive.read_member do; for a URL that is not allowed, ImageError "refused".
    """
    if is_url(path):
        if not allow_urls:
            raise ImageError(
                "refused", "is a URL, and none is fetched unasked: pass allow_urls=True to gmixer.load", source
            )
        from gmixer.sources.web import fetch  # ssl and http take 30 ms to import

        return fetch(str(path), limits=limits)
    if place := split_member(path):
        from gmixer.sources.archive import read_member

        return read_member(*place, source=source, limits=limits)
    return read_file(path, source=source, limits=limits)


def is_url(path: str | os.PathLike[str]) -> bool:
    """By its beginning, `http:`, `https:` or `scheme://`. A file that is called so is `./http:…`, or a Path."""
    return isinstance(path, str) and _URL.match(path) is not None


def split_member(path: str | os.PathLike[str]) -> tuple[str, str] | None:
    """`photos.tar::a/b.jpg` → ("photos.tar", "a/b.jpg"), where photos.tar is a file; None for every other path.

    A file that is itself called `photos.tar::a/b.jpg` goes first.
    """
    path = os.fsdecode(path)
    if MEMBER_MARK not in path or os.path.lexists(path):
        return None
    marks = (mark.start() for mark in re.finditer(f"(?={MEMBER_MARK})", path))
    return next(((path[:i], path[i + len(MEMBER_MARK) :]) for i in marks if os.path.isfile(path[:i])), None)
