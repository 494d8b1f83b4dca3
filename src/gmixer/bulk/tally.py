"""What a bulk run has done so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Tally:
    """listed: entries that the sources have given. rows, parts: made by this run. kept: entries of other parts, which
    were finished before or fall to another process. failed: of the rows of this run, by error_kind. examples: the path
    of the first of each kind.

    At the end, there: rows of this process's own parts that were there before. failed_there: of these, by error_kind.
    """

    listed: int = 0
    rows: int = 0
    parts: int = 0
    kept: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    there: int = 0
    failed_there: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Any) -> None:
        """rows: a RecordBatch of schema.py."""
        self.rows += len(rows)
        kinds = rows.column("error_kind")
        if kinds.null_count == len(rows):
            return
        for kind, path in zip(kinds.to_pylist(), rows.column("path").to_pylist(), strict=True):
            if kind is not None:
                self.failed[kind] += 1
                self.examples.setdefault(kind, path)

    def part_made(self, kept: Any) -> None:
        """kept: the rows that the part has from before, a Table of schema.py; None for none."""
        self.parts += 1
        if kept is not None:
            self.was_there(len(kept), Counter(kept["error_kind"].drop_null().to_pylist()))

    def include(self, other: Tally) -> None:
        """The counts of a part that another process has made."""
        self.rows += other.rows
        self.parts += other.parts
        self.failed.update(other.failed)
        self.examples = other.examples | self.examples
        self.was_there(other.there, other.failed_there)

    def was_there(self, rows: int, failed: Mapping[str, int]) -> None:
        self.there += rows
        self.failed_there.update(failed)
