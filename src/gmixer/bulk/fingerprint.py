"""Which entries a part was made of, as one number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import NamedTuple

from gmixer.bulk.record import Record
from gmixer.rows.text import valid_text


class Facts(NamedTuple):
    """As the row of an entry has them."""

    key: str
    size: int | None
    version: str | None
    label: str | None


def facts_of(record: Record) -> Facts:
    """What tells that an entry has changed, as its row has it. The label too: it stands in the row."""
    return Facts(valid_text(record.key), record.size, valid_text(record.version), valid_text(record.label))


def fingerprint(entries: Iterable[Facts]) -> str:
    """The SHA-256 of the facts in their order, hexadecimal."""
    digest = hashlib.sha256()
    for facts in entries:
        digest.update(json.dumps(facts).encode() + b"\n")  # a line break within a key is escaped
    return digest.hexdigest()
