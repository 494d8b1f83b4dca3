"""Stored embeddings, to be read: one Parquet file or a folder of parts, on this machine or on object storage."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gmixer.bulk.output import MANIFEST, RECORDS, part_name, part_numbers
from gmixer.bulk.space import check_same_space
from gmixer.bulk.stamp import KEY, Stamp
from gmixer.checks import path_text
from gmixer.errors import InputError
from gmixer.options import Storage
from gmixer.sources.address import is_local
from gmixer.sources.remote import filesystem_of


@dataclass(frozen=True)
class StoredEmbeddings:
    """place: as typed. dataset: its rows, in the order of the parts."""

    place: str
    dataset: ds.Dataset

    @cached_property
    def stamp(self) -> Stamp:
        """Raises InputError if the files hold none."""
        return Stamp.from_json((self.dataset.schema.metadata or {}).get(KEY, b""), source=self.place)

    def batches(self, columns: Sequence[str] | None = None, *, readable: bool = False) -> Iterator[pa.RecordBatch]:
        """All rows, in order. columns: None: all. readable: only rows with a vector."""
        only = pc.field("error_kind").is_null() if readable else None
        names = None if columns is None else list(columns)
        # One row group after the other: a scan of the whole data set reads up to 1 GiB ahead.
        for fragment in self.dataset.get_fragments():
            for group in fragment.split_by_row_group():
                yield from group.to_batches(self.dataset.schema, columns=names, filter=only, batch_size=4_096)

    def table(self, columns: Sequence[str] | None = None, *, readable: bool = False) -> pa.Table:
        only = pc.field("error_kind").is_null() if readable else None
        return self.dataset.to_table(columns=columns, filter=only)

    def vectors(self) -> NDArray[np.float32]:
        """(N, C) float32: of the rows with a vector, in order."""
        found = [vectors_of(batch.column("vector")) for batch in self.batches(["vector"], readable=True)]
        return np.concatenate([np.empty((0, self.stamp.channels), np.float32), *found])


def vectors_of(column: pa.Array) -> NDArray[np.float32]:
    """A column of vectors without nulls → (N, C) float32."""
    return np.asarray(column.flatten()).reshape(len(column), column.type.list_size).astype(np.float32, copy=False)


def open_stored(place: str, storage_options: Mapping[str, Any] | None = None) -> StoredEmbeddings:
    """A Parquet file or a folder of parts, as `gmixer embed` writes it. storage_options: of fsspec.

    Of a folder that a run still writes, the finished parts are read. A part without its record is not finished.

    Raises InputError if there is none, if a finished part is missing, if its rows are no stored embeddings, or if its
    files hold vectors that do not compare.
    """
    filesystem, path = _opened(path_text("the place of stored embeddings", place), storage_options or {})
    parts = None
    try:
        parts = _finished_parts(place, filesystem, path)
        # A folder without a manifest is read whole, but for names with _ or . in front.
        dataset = ds.dataset(path if parts is None else parts, filesystem=filesystem, format="parquet")
    except (OSError, pa.ArrowInvalid):
        if parts:  # the first one tells the columns
            raise InputError(
                f"{parts[0].rpartition('/')[2]} of {place} cannot be read; run the same gmixer embed again, which "
                "makes a damaged part again"
            ) from None
        raise InputError(f"{place} holds no stored embeddings; wanted the output of gmixer embed -o") from None
    stored = StoredEmbeddings(place, dataset)
    stored.stamp  # noqa: B018 - refused here, not at the first row
    if parts is None:
        _check_alike(stored, filesystem)
    return stored


def _check_alike(stored: StoredEmbeddings, filesystem: Any) -> None:
    """Every file, where no manifest tells that the files belong together: somebody may have copied them there."""
    first: tuple[str, Stamp] | None = None
    for file in stored.dataset.files:  # not its fragments: each would keep its footer in memory
        try:
            metadata = pq.read_schema(file, filesystem=filesystem).metadata or {}
        except (OSError, pa.ArrowInvalid):
            raise InputError(
                f"{stored.place} holds {file}, which is no complete Parquet file; wanted only parts of gmixer "
                "embed in that folder"
            ) from None
        stamp = Stamp.from_json(metadata.get(KEY, b""), source=file)
        first = first or (file, stamp)
        check_same_space(file, stamp, *first, way_out="Put them into two folders.")


def _opened(place: str, storage_options: Mapping[str, Any]) -> tuple[Any, str]:
    """The file system of fsspec, and the path in it. fsspec itself takes ~/a for the home, and a::b for two places."""
    if not is_local(place):
        return filesystem_of(place, Storage(options=storage_options))
    from fsspec.implementations.local import LocalFileSystem

    return LocalFileSystem(), os.path.abspath(place)


def _finished_parts(place: str, filesystem: Any, path: str) -> list[str] | None:
    """The files of all parts with a record, in order; None if the path is no folder with a manifest."""
    folder = path.rstrip("/")
    if not filesystem.isfile(f"{folder}/{MANIFEST}"):
        return None
    try:
        records = filesystem.ls(f"{folder}/{RECORDS}", detail=False, refresh=True)
    except FileNotFoundError:
        records = []
    numbers = part_numbers(record.rpartition("/")[2] for record in records)
    files = {file.rpartition("/")[2] for file in filesystem.ls(folder, detail=False, refresh=True)}
    if not numbers:
        raise InputError(f"{place} has no finished part yet; run the same gmixer embed again, or wait for its end")
    if missing := [number for number in sorted(numbers) if part_name(number) not in files]:
        raise InputError(
            f"part {missing[0]} of {place} is missing: {part_name(missing[0])}; run the same gmixer embed again, which "
            "makes it again"
        )
    return [f"{folder}/{part_name(number)}" for number in sorted(numbers)]
