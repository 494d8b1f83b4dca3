"""An output folder in memory, and records of made entries, for the tests of plan.py and changes.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa

from gmixer.bulk.part import Part
from gmixer.bulk.record import Record
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import Stamp
from gmixer.errors import ImageError

READING = {
    "limits": {"max_bytes": 100, "max_pixels": 100, "max_frames": 1, "max_seconds": 1, "max_memory_bytes": 2**20},
}


def stamp(part_size: int) -> Stamp:
    return Stamp(
        model="made",
        weights_sha256="0",
        channels=1,
        precision="fp32",
        preprocessing={},
        reading=READING,
        rows={"dtype": "float32", "normalize": False, "classes": 0, "hash": False},
        part_size=part_size,
        gmixer="0",
    )


def record(key: str, version: int = 0, label: str | None = None) -> Record:
    return Record(key, 10, str(version), label, ImageError("missing", "is made", key))


class Finished(NamedTuple):
    fingerprint: str
    table: pa.Table


@dataclass
class MadeOutput:
    """OutputFolder's methods, over a dict."""

    stamp: Stamp
    place: str = "out"
    is_sliced: bool = True
    parts: dict[int, Finished] = field(default_factory=dict)
    damaged: set[int] = field(default_factory=set)
    writes: list[int] = field(default_factory=list)

    def numbers(self) -> list[int]:
        return sorted(self.parts)

    def finished(self, number: int) -> Finished | None:
        return self.parts.get(number)

    def damage(self, number: int) -> str | None:
        return "a byte is wrong" if number in self.damaged else None

    def read(self, number: int, columns: Sequence[str] | None = None) -> pa.Table:
        table = self.parts[number].table
        return table if columns is None else table.select(list(columns))

    def stop_slicing(self) -> None:
        self.is_sliced = False

    def write(self, part: Part) -> None:
        """The row of an entry tells its version in the vector, so that a stale row shows."""
        rows = [
            {"path": r.key, "bytes": r.size, "version": r.version, "label": r.label, "vector": [float(r.version or 0)]}
            for r in part.records
        ]
        made = pa.Table.from_pylist(rows, schema=schema_of(self.stamp))
        self.parts[part.number] = Finished(part.fingerprint, part.arranged(made))
        self.damaged.discard(part.number)
        self.writes.append(part.number)


def output(part_size: int = 3) -> MadeOutput:
    return MadeOutput(stamp(part_size))
