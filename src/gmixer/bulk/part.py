"""One part of the output that is to be made."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import ClassVar

import pyarrow as pa

from gmixer.bulk.fingerprint import Facts, facts_of, fingerprint
from gmixer.bulk.record import Record
from gmixer.errors import ImageError
from gmixer.options import Limits
from gmixer.sources.entry import Opened, read


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """records: the entries to embed, in order; use them up once, before the next part is asked for. The records of an
    archive bring their bytes, so no more of them are in memory than are being read. facts: of all entries of the part,
    complete when the records are used up.

    kept: rows that an update takes from the part as it was; None for none. order: for each row of the part its place in
    the kept rows followed by the rows of `records`; empty if nothing is kept.
    """

    number: int
    records: Iterable[Record]
    facts: list[Facts]
    kept: pa.Table | None = None
    order: tuple[int, ...] = ()

    @classmethod
    def of(cls, number: int, records: Iterable[Record]) -> Part:
        """All entries are to be embedded."""
        facts: list[Facts] = []

        def watched() -> Iterator[Record]:
            for record in records:
                facts.append(facts_of(record))
                yield record

        return cls(number, watched(), facts)

    @property
    def fingerprint(self) -> str:
        """Of all entries."""
        return fingerprint(self.facts)

    def held(self, limits: Limits) -> Part:
        """The part with its records in a list, which can be pickled and stays when the listing goes on."""
        return replace(self, records=[held(record, limits) for record in self.records])

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


def slices(records: Iterable[Record], size: int) -> Iterator[Iterator[Record]]:
    """`size` records each, the last one fewer. What was not taken of a slice is skipped when the next is asked for."""
    rest = iter(records)
    for first in rest:
        following = islice(rest, size - 1)
        yield chain([first], following)
        deque(following, maxlen=0)


def used_up(part: Part) -> Iterator[Record]:
    """Of a part that is held. Empties its list: each record may hold the bytes of a member of an archive."""
    records = part.records
    assert isinstance(records, list)
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
