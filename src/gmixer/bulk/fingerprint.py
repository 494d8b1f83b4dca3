"""Which entries a part was made of, as one number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TypeAlias

from gmixer.bulk.record import Record
from gmixer.rows.text import valid_text

Facts: TypeAlias = tuple[str, int | None, str | None, str | None]  # key, size, version, label


def facts_of(record: Record) -> Facts:
    """What tells that an entry has changed, as its row has it. The label too: it stands in the row."""
    return valid_text(record.key) or "", record.size, valid_text(record.version), valid_text(record.label)


def fingerprint(entries: Iterable[Facts]) -> str:
    """The SHA-256 of the facts in their order, hexadecimal."""
    digest = hashlib.sha256()
    for facts in entries:
        digest.update(json.dumps(facts).encode() + b"\n")  # a line break within a key is escaped
    return digest.hexdigest()
