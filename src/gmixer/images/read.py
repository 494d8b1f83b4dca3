"""A path, a URL or a member of an archive → the bytes there, or an ImageError that says why not."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

from gmixer.errors import ImageError
from gmixer.images.limits import Limits

MEMBER_MARK = "::"  # photos.tar::cat.jpg

_CHUNK_BYTES = 2**20
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
        from gmixer.images.web import fetch  # ssl and http take 30 ms to import

        return fetch(str(path), limits=limits)
    if place := split_member(path):
        from gmixer.images.archive import read_member

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


def read_file(path: str | os.PathLike[str], *, source: str, limits: Limits) -> bytes:
    """The whole file. Raises ImageError "missing", "unreadable" or "too_large".

    The size is checked before reading and while reading: a file may grow, and those in /proc call themselves empty.
    """
    with open_regular(path, source) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limits.max_bytes:
            raise too_many_bytes(f"{size:,}", source, limits)
        chunks, read = [], 0
        while chunk := file.read(_CHUNK_BYTES):
            chunks.append(chunk)
            read += len(chunk)
            if read > limits.max_bytes:
                raise too_many_bytes(f"at least {read:,}", source, limits)
    return b"".join(chunks)


def read_head(path: str | os.PathLike[str], byte_count: int) -> bytes:
    """The first bytes of the file, fewer if it is shorter. Raises ImageError "missing" or "unreadable"."""
    with open_regular(path, os.fspath(path)) as file:
        return file.read(byte_count)


def too_many_bytes(held: str, source: str, limits: Limits) -> ImageError:
    reason = f"holds {held} bytes; the limit is {limits.max_bytes:,}, set by Limits.max_bytes: make the file smaller"
    return ImageError("too_large", reason, source)


def reason_of(error: OSError | ValueError) -> str:
    """The operating system's own words, without number and path."""
    words = error.strerror if isinstance(error, OSError) else None
    return (words or str(error)).lower()


@contextmanager
def open_regular(path: str | os.PathLike[str], source: str) -> Iterator[FileIO]:
    """The file, unbuffered. Raises ImageError "missing" or "unreadable", also for what fails inside the `with`."""
    try:
        with open(path, "rb", buffering=0, opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError(
                    "unreadable", "is a pipe or a device: save it as a file, or send it to standard input (-)", source
                )
            yield file
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("missing", "no such file", source) from None
    except IsADirectoryError:
        raise ImageError("unreadable", "is a folder, not a picture", source) from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise ImageError("unreadable", f"cannot be read: {reason_of(error)}", source) from None


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # else opening a pipe waits until somebody writes into it
