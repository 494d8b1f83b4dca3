"""CSV with a header. A list is one cell, its items separated by spaces."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


class CsvWriter:
    def __init__(self, stream: TextIO, columns: Iterable[str]) -> None:
        """Writes the header."""
        self._writer = csv.DictWriter(stream, list(columns), lineterminator="\n")
        self._writer.writeheader()

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


@contextmanager
def open_csv(path: Path, columns: Iterable[str]) -> Iterator[CsvWriter]:
    """Bytes of a file name that are not valid UTF-8 are written as they are."""
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        yield CsvWriter(stream, columns)


def _cell(value: Any) -> Any:
    return " ".join(map(str, value)) if isinstance(value, list) else value
