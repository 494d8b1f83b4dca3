"""One input of a bulk run, before it is read."""

from __future__ import annotations

from typing import NamedTuple

from gmixer.errors import ImageError
from gmixer.sources.entry import Entry


class Record(NamedTuple):
    """key: its name in the output. size: in bytes, if the source states it. version: an etag or a time of change.

    label: the class that the source states. content: where its bytes are; or why there are none, such as a folder that
    cannot be read. If content.read_at_once, its bytes must be read before the listing goes on.
    """

    key: str
    size: int | None
    version: str | None
    label: str | None
    content: Entry | ImageError
