"""Records → their bytes, read ahead of use and in order. The first of the three pieces of a bulk run.

for file in read_ahead(records, Reading()):
    print(file.record.key, len(file.read()))
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from functools import partial
from typing import NamedTuple, NoReturn, TypeVar

from gmixer.bulk.part import HeldBytes
from gmixer.bulk.record import Record
from gmixer.errors import ImageError
from gmixer.options import Reading
from gmixer.sources.entry import read
from gmixer.sources.fetching import Fetches
from gmixer.sources.local import FileSlice, LocalFile

T = TypeVar("T")

AHEAD = 32  # files that are fetched at a time, or wait for their use: 1,600 a second at 20 ms a request
# Such a file is read where it is used, in 0.1 ms. A thread for each would take longer.
_READ_AT_USE = (LocalFile, FileSlice, HeldBytes)


class ReadableFile(NamedTuple):
    """read: gives the bytes of the record, once. Raises ImageError, "too_large" for more than limits.max_bytes."""

    record: Record
    read: Callable[[], bytes]


def read_ahead(records: Iterable[Record | T], reading: Reading) -> Generator[ReadableFile | T, None, None]:
    """The file of each record, in order. An item that is no record is handed on in its place.

    Files on other machines come in threads, AHEAD at a time. `records` is advanced in the caller's thread, by at most
    AHEAD more than were given. Entries that must be read at once are read there. An exception of `records` is raised
    after the files before it. Close the generator to leave early.
    """
    ahead: deque[ReadableFile | T] = deque()
    with Fetches(AHEAD) as fetches:
        try:
            for item in records:
                ahead.append(_started(item, reading, fetches) if isinstance(item, Record) else item)
                if len(ahead) > AHEAD:
                    yield ahead.popleft()
        except Exception:
            yield from _taken(ahead)
            raise
        yield from _taken(ahead)


def _taken(queue: deque[T]) -> Iterator[T]:
    """Holds no item that was given."""
    while queue:
        yield queue.popleft()


def _started(record: Record, reading: Reading, fetches: Fetches) -> ReadableFile:
    entry = record.content
    if isinstance(entry, ImageError):
        return ReadableFile(record, partial(_raise, entry))
    get = partial(read, entry, reading.limits, source=record.key)
    if entry.read_at_once:
        try:
            data = get()
        except ImageError as error:
            return ReadableFile(record, partial(_raise, error.with_traceback(None)))
        return ReadableFile(record, lambda: data)
    if isinstance(entry, _READ_AT_USE):
        return ReadableFile(record, get)
    return ReadableFile(record, fetches.add(record.key, get).read)


def _raise(error: ImageError) -> NoReturn:
    raise error
