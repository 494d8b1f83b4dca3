"""Embeddings as an .npz file, for numpy.load without pickle.

N images, F images that could not be read, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gmixer.files import atomic_write

FORMAT = ".npz"


class NpzWriter:
    """A row is {"path", "vector": float32 (C,), "note"} or {"path", "error_kind", "error_message"}.

    The file holds vectors (N, C) float32, paths (N,) and notes (N,), "" for none. It also holds failed_paths,
    failed_kinds and failed_messages (F,), and every value of `about`. All rows stay in memory until `close`, because a
    .npy header states their number.
    """

    def __init__(self, file: BinaryIO, *, channels: int, about: Mapping[str, str | int]) -> None:
        self._file, self._about = file, about
        self._good: list[str] = []
        self._notes: list[str] = []
        self._vectors: list[NDArray[np.float32]] = [np.empty((0, channels), np.float32)]
        self._failed: list[Mapping[str, Any]] = []

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            if "vector" in row:
                self._good.append(row["path"])
                self._notes.append(row.get("note") or "")
                self._vectors.append(row["vector"][None])
            else:
                self._failed.append(row)

    def close(self) -> None:
        arrays: dict[str, Any] = {
            "vectors": np.concatenate(self._vectors),
            "paths": np.array(self._good, np.str_),
            "notes": np.array(self._notes, np.str_),
            "failed_paths": np.array([row["path"] for row in self._failed], np.str_),
            "failed_kinds": np.array([row["error_kind"] for row in self._failed], np.str_),
            "failed_messages": np.array([row["error_message"] for row in self._failed], np.str_),
        }
        arrays |= {name: np.array(value) for name, value in self._about.items()}
        np.savez(self._file, **arrays)


@contextmanager
def open_npz(path: Path, *, channels: int, about: Mapping[str, str | int]) -> Iterator[NpzWriter]:
    """The file takes its place when the block ends. Where the block raises, nothing of it is left."""
    with atomic_write(path, shared=True) as unfinished, unfinished.open("wb") as file:
        writer = NpzWriter(file, channels=channels, about=about)
        yield writer
        writer.close()
