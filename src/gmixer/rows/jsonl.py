"""JSON lines: one object a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO


class JsonlWriter:
    """Each batch is flushed, so that a reader of a pipe gets it at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._stream.writelines(json.dumps(row) + "\n" for row in rows)
        self._stream.flush()


@contextmanager
def open_jsonl(path: Path) -> Iterator[JsonlWriter]:
    with path.open("w", encoding="utf-8") as stream:
        yield JsonlWriter(stream)
