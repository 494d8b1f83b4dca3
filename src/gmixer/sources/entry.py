"""Entry: one file to read, wherever it is. `read` gives all its bytes, within the limits, for every source."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from gmixer.errors import ImageError
from gmixer.options import Limits
from gmixer.sources.image_names import is_called_image
from gmixer.sources.sniff import HEAD_BYTES, is_image

_MIN_CHUNK_BYTES, _MAX_CHUNK_BYTES = 2**16, 2**20

MEMBER_MARK = "::"  # photos.tar::cat.jpg: before it the archive, after it the name inside


class Opened(NamedTuple):
    """An entry that is open.

    size: in bytes, as the source states it; None where it does not.
    read: read(n) gives the next bytes, at most n, and b"" at the end.
    """

    size: int | None
    read: Callable[[int], bytes]


class Entry(Protocol):
    """One file to read: on this machine, in an archive, at a URL."""

    @property
    def key(self) -> str:
        """The name within its source: the path as typed. A file in a folder: that folder as typed, then the relative
        path. A member of an archive: the archive as typed, "::", then the name inside.
        """
        ...

    @property
    def named(self) -> bool:
        """Whether the user typed this very path. Such a file gets an answer, even if it is no image or is missing."""
        ...

    @property
    def size(self) -> int | None:
        """In bytes, as the source states it; None where this is not known before the entry is opened."""
        ...

    @property
    def version(self) -> int | str | None:
        """What changes when the content changes; None where the source has none. A number, or an etag."""
        ...

    @property
    def read_at_once(self) -> bool:
        """Whether the entry must be read before the listing goes on to the next one."""
        ...

    def open(self, source: str) -> AbstractContextManager[Opened]:
        """Opens the entry. source: its name in errors. Raises ImageError, also for a failure inside the `with`."""
        ...


@dataclass(frozen=True, slots=True)
class NoFile:
    """An Entry that a folder holds and that is never read: a link to a folder, a broken link, a pipe or a device."""

    key: str
    what: str  # in an error: "is a link to a folder"
    named: ClassVar[bool] = False
    size: ClassVar[None] = None
    version: ClassVar[None] = None
    read_at_once: ClassVar[bool] = False

    def open(self, source: str) -> AbstractContextManager[Opened]:
        raise ImageError("unreadable", f"{self.what}, not an image", source)


def read(entry: Entry, limits: Limits, *, source: str | None = None) -> bytes:
    """All bytes of the entry. source: its name in errors; None: its key.

    Raises ImageError, "too_large" for more than limits.max_bytes. The size that the source states is checked first, and
    the bytes are counted too: a file may grow, and a header may be wrong.
    """
    name = entry.key if source is None else source
    with entry.open(name) as opened:
        if opened.size is not None and opened.size > limits.max_bytes:
            raise too_many_bytes(f"{opened.size:,}", name, limits)
        # One byte more than the stated size: the usual file comes in one piece, with no larger buffer than it needs.
        chunk_bytes = min(max((opened.size or 0) + 1, _MIN_CHUNK_BYTES), _MAX_CHUNK_BYTES)
        chunks, count = [], 0
        while chunk := opened.read(min(chunk_bytes, limits.max_bytes + 1 - count)):
            chunks.append(chunk)
            count += len(chunk)
            if count > limits.max_bytes:
                raise too_many_bytes(f"at least {count:,}", name, limits)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def read_head(entry: Entry) -> bytes:
    """The first HEAD_BYTES of the entry, fewer if it is shorter. Raises ImageError."""
    with entry.open(entry.key) as opened:
        return opened.read(HEAD_BYTES)


def may_be_image(entry: Entry) -> bool:
    """Whether a file found in a folder or an archive should be read, by its name or else by its first bytes.

    True for a file that is called like an image: reading it gives the image or the error, so none is lost silently.
    Under any other name, True for a file that starts like an image, also of a format that gmixer does not read (JPEG
    2000, Photoshop …). True for a file that cannot be opened. False for all others.
    """
    if isinstance(entry, NoFile):
        return False
    if is_called_image(entry.key):
        return True
    try:
        return is_image(read_head(entry))
    except ImageError:
        return True


def too_many_bytes(held: str, source: str, limits: Limits) -> ImageError:
    reason = f"holds {held} bytes; the limit is {limits.max_bytes:,}, set by Limits.max_bytes (--max-bytes): "
    reason += "raise it, or make the file smaller"
    return ImageError("too_large", reason, source)
