"""One part of the output that is to be made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import pyarrow as pa

from gmixer.bulk.record import Record
from gmixer.errors import ImageError
from gmixer.options import Limits
from gmixer.sources.entry import Opened, read


class Part(NamedTuple):
    """records: the entries to embed, in order. fingerprint: of all entries of the part.

    kept: rows that an update takes from the part as it was; None for none. order: for each row of the part its place in
    the kept rows followed by the rows of `records`; empty if nothing is kept.
    """

    number: int
    records: list[Record]
    fingerprint: str
    kept: pa.Table | None = None
    order: tuple[int, ...] = ()

    def arranged(self, made: pa.Table) -> pa.Table:
        """The rows of the part. made: the rows of `records`."""
        if self.kept is None:
            return made
        return (
            pa.concat_tables([self.kept.cast(made.schema), made])
            .take(pa.array(self.order, pa.int64()))
            .combine_chunks()
        )


@dataclass(frozen=True, slots=True)
class HeldBytes:
    """An Entry whose bytes are in memory."""

    key: str
    data: bytes
    version: int | str | None
    named: ClassVar[bool] = False
    read_at_once: ClassVar[bool] = False

    @property
    def size(self) -> int:
        return len(self.data)

    def open(self, source: str) -> AbstractContextManager[Opened]:
        at = 0

        def take(byte_count: int) -> bytes:
            nonlocal at
            data = self.data[at : at + byte_count]
            at += len(data)
            return data

        return nullcontext(Opened(len(self.data), take))


def used_up(records: list[Record]) -> Iterator[Record]:
    """Empties the list: each record may hold the bytes of a member of an archive."""
    records.reverse()
    while records:
        yield records.pop()


def held(record: Record, limits: Limits) -> Record:
    """The record, with its bytes if the listing cannot go on without reading them, as in an archive."""
    content = record.content
    if isinstance(content, ImageError) or not content.read_at_once:
        return record
    try:
        return record._replace(content=HeldBytes(record.key, read(content, limits), content.version))
    except ImageError as error:
        return record._replace(content=error)
