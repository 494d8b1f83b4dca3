"""What an output folder says of itself, and of each of its parts. The same content has the same bytes."""

from __future__ import annotations

import builtins
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

from gmixer.bulk.stamp import Stamp
from gmixer.errors import InputError


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """is_sliced: part i holds the entries from i × part_size on of the listing. An update ends that."""

    stamp: Stamp
    is_sliced: bool = True

    def to_json(self) -> bytes:
        return json.dumps({"is_sliced": self.is_sliced, "stamp": json.loads(self.stamp.to_json())}, indent=1).encode()

    @classmethod
    def from_json(cls, data: bytes, *, source: str) -> Self:
        """source: where it stands, in errors. Raises InputError if it is none."""
        try:
            found = json.loads(data)
            return cls(
                stamp=Stamp.from_json(json.dumps(found["stamp"]), source=source), is_sliced=bool(found["is_sliced"])
            )
        except (ValueError, TypeError, KeyError):
            raise InputError(f"{source} is no manifest of gmixer embed; wanted a new, empty output") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class PartRecord:
    """Of a finished part. failures: rows without a vector, by the kind of their error. fingerprint: of its entries.

    sha256, md5, bytes: of its Parquet file. Object storage states an MD5, so an unchanged file need not be read.
    """

    rows: int
    failures: Mapping[str, int]
    fingerprint: str
    sha256: str
    md5: str
    bytes: int

    @classmethod
    def of(cls, data: builtins.bytes, *, rows: int, failures: Mapping[str, int], fingerprint: str) -> Self:
        """data: of the Parquet file."""
        sha256, md5 = hashlib.sha256(data).hexdigest(), hashlib.md5(data, usedforsecurity=False).hexdigest()
        return cls(rows=rows, failures=failures, fingerprint=fingerprint, sha256=sha256, md5=md5, bytes=len(data))

    def fits(self, data: builtins.bytes) -> bool:
        """data: of the Parquet file."""
        return len(data) == self.bytes and hashlib.sha256(data).hexdigest() == self.sha256

    def to_json(self) -> builtins.bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: builtins.bytes) -> Self | None:
        """None if it is no record, such as one that a disk has damaged."""
        try:
            found = cls(**json.loads(data))
        except (ValueError, TypeError):
            return None
        texts = (found.fingerprint, found.sha256, found.md5)
        counts = (found.rows, found.bytes, *(found.failures.values() if isinstance(found.failures, dict) else [None]))
        is_whole = all(isinstance(count, int) and 0 <= count < 2**63 for count in counts)
        return found if is_whole and all(isinstance(text, str) for text in texts) else None
