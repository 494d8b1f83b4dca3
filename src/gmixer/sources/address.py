"""A path as the user gave it, of a file, a URL or a member of an archive → its Entry, and the bytes there."""

from __future__ import annotations

import os
import re

from gmixer.errors import ImageError
from gmixer.options import Reading
from gmixer.sources.entry import MEMBER_MARK, Entry, read
from gmixer.sources.local import LocalFile

_WEB = re.compile(r"https?:", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)


def read_path(path: str | os.PathLike[str], *, source: str, reading: Reading) -> bytes:
    """All bytes of a file, of a URL (only a str can be one), or of a member of an archive. source: its name in errors.

    Raises ImageError, "refused" for a URL that reading.allow_urls does not allow.
    """
    if is_url(path) and not reading.allow_urls:
        reason = (
            "is a URL, and none is fetched here: download the file, or in Python pass allow_urls=True to gmixer.load"
        )
        raise ImageError("refused", reason, source)
    return read(entry_at(path, source=source), reading.limits, source=source)


def entry_at(path: str | os.PathLike[str], *, source: str) -> Entry:
    """The Entry of a path that the user typed. Raises ImageError "refused" for a URL that is not http or https."""
    if is_url(path):
        from gmixer.sources.web import WebFile  # ssl and http take 30 ms to import

        return WebFile(str(path))
    if scheme := _scheme_of(path):
        reason = f"is a URL of the scheme {scheme}, which gmixer does not fetch: pass an http or https URL, or a file"
        raise ImageError("refused", reason, source)
    if place := split_member(path):
        from gmixer.sources.archive import NamedMember

        return NamedMember(*place)
    return LocalFile(os.fsdecode(path), named=True)


def is_url(path: str | os.PathLike[str]) -> bool:
    """Whether a str begins with `http:` or `https:`. A file with such a name is `./http:…`, or a Path."""
    return isinstance(path, str) and _WEB.match(path) is not None


def is_local(path: str | os.PathLike[str]) -> bool:
    """Whether a path is on this machine: anything but a URL, of any scheme."""
    return not is_url(path) and not _scheme_of(path)


def split_member(path: str | os.PathLike[str]) -> tuple[str, str] | None:
    """`photos.tar::a/b.jpg` → ("photos.tar", "a/b.jpg"), where photos.tar is a file; None for every other path.

    A file with the name `photos.tar::a/b.jpg` takes precedence.
    """
    path = os.fsdecode(path)
    if MEMBER_MARK not in path or os.path.lexists(path):
        return None
    marks = (mark.start() for mark in re.finditer(f"(?={MEMBER_MARK})", path))
    return next(((path[:i], path[i + len(MEMBER_MARK) :]) for i in marks if os.path.isfile(path[:i])), None)


def _scheme_of(path: str | os.PathLike[str]) -> str | None:
    """ "ftp" of "ftp://…"; None for a path without a scheme, and for a Path."""
    found = _SCHEME.match(path) if isinstance(path, str) else None
    return found[1].lower() if found else None
