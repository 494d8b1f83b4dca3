"""A path → the bytes of the file there, or an ImageError that says why not."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

from gmixer.errors import ImageError
from gmixer.options import Limits

MEMBER_MARK = "::"  # photos.tar::cat.jpg: what is before it is the file

_CHUNK_BYTES = 2**20


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
