"""Stored embeddings → groups of copies, and which image of each group to keep. Nothing is deleted.

N rows with a vector, C channels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmixer.bulk.stored import StoredEmbeddings, directions, vectors_of
from gmixer.checks import number
from gmixer.errors import InputError, require
from gmixer.runtimes import default_threads

# The cosine from which two images count as near copies, by model. tools/duplicate_threshold.py measures it.
THRESHOLDS = {"gmixer_8_64.distill_in1k": 0.95}

Kind = Literal["keep", "exact", "near"]
ExactBy = Literal["SHA-256", "size and vector"]

_COLUMNS = ("path", "bytes", "width", "height", "sha256", "label")


@dataclass(frozen=True, slots=True)
class Copy:
    """An image of a group. bytes, width, height, sha256, label: as stored, so each may be None.

    kind: "keep" for the one to keep; "exact" if the file is the same as that; "near" otherwise.
    similarity: the cosine with the one to keep.
    """

    path: str
    kind: Kind
    similarity: float
    bytes: int | None
    width: int | None
    height: int | None
    sha256: str | None
    label: str | None

    def to_dict(self) -> dict[str, Any]:
        values: dict[str, Any] = {name: getattr(self, name) for name in ("path", "kind", "similarity", *_COLUMNS[1:])}
        return values | {"similarity": round(self.similarity, 4)}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """groups: each with the one to keep first, then the most similar; the largest group first.

    images: the rows with a vector. without_vector: the rows without, which are left out. without_direction: rows whose
    vector is zero or not finite; only exact copies of them are found. exact_by: what makes a copy exact.
    """

    model: str
    threshold: float
    images: int
    without_vector: int
    without_direction: int
    exact_by: ExactBy
    groups: list[list[Copy]]

    def count(self, kind: Kind) -> int:
        return sum(copy.kind == kind for group in self.groups for copy in group)

    @property
    def bytes_of_copies(self) -> int:
        """Of all images but the ones to keep."""
        return sum(copy.bytes or 0 for group in self.groups for copy in group[1:])

    def to_dict(self) -> dict[str, Any]:
        facts = ("model", "threshold", "images", "without_vector", "without_direction", "exact_by")
        groups = [[copy.to_dict() for copy in group] for group in self.groups]
        return {name: getattr(self, name) for name in facts} | {"groups": groups}


def find_duplicates(
    stored: StoredEmbeddings,
    *,
    threshold: float | None = None,
    on_progress: Callable[[int, int], object] = lambda done, of: None,
) -> Duplicates:
    """threshold: the cosine from which two images count as near copies, above 0, at most 1; None: as measured for the
    model. on_progress: gets how many images are done, and of how many.

    The one to keep has the most pixels, then the most bytes, then the shortest path, then the first row. Every other
    image of its group is near that image itself, so groups do not chain. A file is an exact copy if its SHA-256 is the
    same. Where no SHA-256 is stored, its size in bytes and its vector must be the same, bit for bit. All pairs are
    compared. The vectors are in a temporary file; memory holds about 0.5 kB for each image.

    Raises InputError for a threshold out of range, and for None with a model that has no measured one.
    """
    with require("gmixer duplicates", "search", ("threadpoolctl",)):
        from gmixer.search.leaders import follow
    threshold = _threshold(stored.stamp.model, threshold)
    with tempfile.TemporaryFile() as file:
        rows = _Rows.read(stored, file)
        N = len(rows.table)
        order_N = rows.best_first()
        first_N = rows.first_of_same(order_N)  # by the place in that order
        places_M = np.flatnonzero(first_N == np.arange(N))  # of distinct files
        leader_M, cosine_M = follow(
            rows.unit_vectors(order_N[places_M]),
            threshold,
            threads=default_threads(),
            on_progress=lambda done: on_progress(done, len(places_M)),
        )
        distinct_N = np.searchsorted(places_M, first_N)
        keep_N, cosine_N = places_M[leader_M[distinct_N]], cosine_M[distinct_N]
    return Duplicates(
        model=stored.stamp.model,
        threshold=threshold,
        images=N,
        without_vector=stored.count() - N,
        without_direction=int((~rows.has_direction_N).sum()),
        exact_by="SHA-256" if rows.has_sha256 else "size and vector",
        groups=list(rows.groups(order_N, first_N, keep_N, cosine_N)),
    )


def _threshold(model: str, given: float | None) -> float:
    if given is not None:
        return number("threshold", given, above=0, most=1)
    if model not in THRESHOLDS:
        raise InputError(
            f"no threshold is measured for {model}: pass one by threshold=, on the command line gmixer duplicates "
            "--threshold, such as 0.95, and look at the pairs it finds. For exact copies alone pass 1"
        )
    return THRESHOLDS[model]


@dataclass(frozen=True, slots=True)
class _Rows:
    """table: all columns but the vectors. x_NC: of length 1, zero where there is no direction; a memory map."""

    table: pa.Table
    x_NC: NDArray[np.float32]
    vector_hash_N: NDArray[np.bytes_]
    has_direction_N: NDArray[np.bool_]
    has_sha256: bool

    @classmethod
    def read(cls, stored: StoredEmbeddings, file: Any) -> _Rows:
        C = stored.stamp.channels
        has_sha256 = bool(stored.stamp.rows["hash"])
        batches, hashes, have_direction = [], [np.empty(0, "S16")], [np.empty(0, bool)]
        for batch in stored.batches([*_COLUMNS, "vector"], readable=True):
            x_BC = vectors_of(batch.column("vector"))
            batches.append(batch.select(_COLUMNS))
            unit_BC, has_B = directions(x_BC)
            file.write(unit_BC.tobytes())
            have_direction.append(has_B)
            if not has_sha256:
                hashes.append(np.array([blake2b(x.tobytes(), digest_size=16).digest() for x in x_BC], "S16"))
        file.flush()
        schema = pa.schema([stored.dataset.schema.field(name) for name in _COLUMNS])
        table = pa.Table.from_batches([b.cast(schema) for b in batches], schema)
        x_NC = np.memmap(file, np.float32, "r", shape=(len(table), C)) if len(table) else np.empty((0, C), np.float32)
        return cls(table, x_NC, np.concatenate(hashes), np.concatenate(have_direction), has_sha256)

    def best_first(self) -> NDArray[np.int64]:
        """The rows in the order in which they are kept."""
        pixels_N = self._numbers("width") * self._numbers("height")
        letters_N = np.array([len(path) for path in self.table["path"].to_pylist()], np.int64)
        return np.lexsort((letters_N, -self._numbers("bytes"), -pixels_N))

    def first_of_same(self, order_N: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each place in the order, the place of the first that is the same file."""
        if self.has_sha256:
            keys: list[Any] = self.table["sha256"].take(order_N).to_pylist()
        else:
            keys = list(
                zip(self._numbers("bytes")[order_N].tolist(), self.vector_hash_N[order_N].tolist(), strict=True)
            )
        first: dict[Any, int] = {}
        return np.array([first.setdefault(key, place) for place, key in enumerate(keys)], np.int64)

    def unit_vectors(self, rows_M: NDArray[np.int64]) -> NDArray[np.float32]:
        """(M, C): a copy in that order, in a temporary file of its own."""
        if not len(rows_M):
            return self.x_NC[:0]
        with tempfile.TemporaryFile() as file:  # the memory map keeps it
            for start in range(0, len(rows_M), 4_096):
                file.write(self.x_NC[rows_M[start : start + 4_096]].tobytes())
            file.flush()
            return np.memmap(file, np.float32, "r", shape=(len(rows_M), self.x_NC.shape[1]))

    def groups(
        self,
        order_N: NDArray[np.int64],
        first_N: NDArray[np.int64],
        keep_N: NDArray[np.int64],
        cosine_N: NDArray[np.float32],
    ) -> Iterator[list[Copy]]:
        """All but order_N are places in that order."""
        size_N = np.bincount(keep_N, minlength=len(keep_N))
        places = np.flatnonzero(size_N[keep_N] > 1)  # the image to keep, and all that follow it
        order = np.lexsort(
            (places, -cosine_N[places], keep_N[places] != places, keep_N[places], -size_N[keep_N[places]])
        )
        places = places[order]
        table, last = self.table.take(order_N[places]), -1
        group: list[Copy] = []
        for place, row in zip(places.tolist(), table.to_pylist(), strict=True):
            kept = int(keep_N[place])
            if kept != last and group:
                yield group
                group = []
            kind: Kind = "keep" if place == kept else "exact" if first_N[place] == kept else "near"
            group.append(Copy(kind=kind, similarity=float(cosine_N[place]), **row))
            last = kept
        if group:
            yield group

    def _numbers(self, column: str) -> NDArray[np.int64]:
        numbers: NDArray[np.int64] = self.table[column].fill_null(0).to_numpy().astype(np.int64)
        return numbers
