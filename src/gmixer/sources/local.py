"""Files on this machine: whole files, a part of a file, and standard input."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from typing import NamedTuple

from gmixer.errors import GmixerError, ImageError, words_of
from gmixer.sources.entry import Opened

STDIN = "-"


class LocalFile(NamedTuple):
    """An Entry. key: the path."""

    key: str
    named: bool = False

    @property
    def read_at_once(self) -> bool:
        return False

    @property
    def size(self) -> int | None:
        status = self._status()
        return status and status.st_size

    @property
    def version(self) -> int | None:
        """The time of the last change, in nanoseconds."""
        status = self._status()
        return status and status.st_mtime_ns

    @property
    def size_and_version(self) -> tuple[int | None, int | None]:
        """Both, with one question to the system."""
        status = self._status()
        return (None, None) if status is None else (status.st_size, status.st_mtime_ns)

    @contextmanager
    def open(self, source: str) -> Iterator[Opened]:
        with open_regular(self.key, source) as file:
            yield Opened(os.fstat(file.fileno()).st_size, file.read)

    def _status(self) -> os.stat_result | None:
        with suppress(OSError, ValueError):  # ValueError: a zero byte in the path
            return os.stat(self.key)
        return None


class FileSlice(NamedTuple):
    """An Entry: `size` bytes of a file, from `offset` on, such as a member of a plain tar."""

    key: str
    path: str
    offset: int
    size: int
    named: bool = False

    @property
    def read_at_once(self) -> bool:
        return False

    @property
    def version(self) -> int | None:
        return LocalFile(self.path).version

    @contextmanager
    def open(self, source: str) -> Iterator[Opened]:
        with open_regular(self.path, source) as file:
            at, end = self.offset, self.offset + self.size

            def read(byte_count: int) -> bytes:
                nonlocal at
                if at == end:
                    return b""
                data = os.pread(file.fileno(), min(byte_count, end - at), at)
                if not data:
                    raise ImageError("corrupt", "is cut short: the archive has changed since it was opened", source)
                at += len(data)
                return data

            yield Opened(self.size, read)


class StandardInput:
    """An Entry: one image on standard input."""

    key = STDIN
    named = True
    size = None
    version = None
    read_at_once = True

    @contextmanager
    def open(self, source: str) -> Iterator[Opened]:
        if sys.stdin is None:  # closed by the shell
            yield Opened(None, lambda byte_count: b"")
        else:
            yield Opened(None, sys.stdin.buffer.read)


def reason_of(error: OSError | ValueError) -> str:
    """The operating system's own words, without number and path. ValueError: Python refuses the name of the file."""
    return words_of(error, "a name with these characters cannot exist").lower()


@contextmanager
def open_regular(path: str, source: str) -> Iterator[FileIO]:
    """The file, unbuffered. Raises ImageError "missing" or "unreadable", also for a failure inside the `with`."""
    try:
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError(
                    "unreadable", "is a pipe or a device: save it as a file, or send it to standard input (-)", source
                )
            yield file
    except GmixerError:  # of the reader; an InputError is a ValueError too
        raise
    except (FileNotFoundError, NotADirectoryError):
        reason = "is a link to a file that does not exist" if os.path.islink(path) else "no such file"
        raise ImageError("missing", reason, source) from None
    except IsADirectoryError:
        raise ImageError("unreadable", "is a folder, not an image: pass the images in it", source) from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise ImageError("unreadable", f"cannot be read: {reason_of(error)}", source) from None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # otherwise opening a pipe waits for a writer
