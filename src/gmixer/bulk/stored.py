"""Stored embeddings, to be read: one Parquet file or a folder of parts, on this machine or on object storage."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from gmixer.bulk.schema import schema_of
from gmixer.bulk.space import check_same_space
from gmixer.bulk.stamp import KEY, Stamp
from gmixer.checks import path_text
from gmixer.errors import GmixerError, InputError, words_of
from gmixer.options import DEFAULT_STORAGE, Storage
from gmixer.sources.address import is_local

_PARQUET = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


@dataclass(frozen=True)
class StoredEmbeddings:
    """place: as typed. dataset: its rows, in the order of the parts.

    Every method raises InputError for a file that is damaged or gone, and for rows that gmixer embed does not write.
    """

    place: str
    dataset: ds.Dataset

    @cached_property
    def stamp(self) -> Stamp:
        """Raises InputError if the files hold none."""
        return _stamp_in(self.dataset.schema, self.place)

    def count(self, *, readable: bool = False) -> int:
        """How many rows. readable: only rows with a vector."""
        with _reading(self.place):
            return int(self.dataset.count_rows(filter=_which(readable)))

    def batches(self, columns: Sequence[str] | None = None, *, readable: bool = False) -> Iterator[pa.RecordBatch]:
        """All rows, in order; no batch is empty. columns: None: all. readable: only rows with a vector."""
        names = None if columns is None else list(columns)
        with _reading(self.place):
            # One row group after the other: a scan of the whole data set reads up to 1 GiB ahead.
            for fragment in self.dataset.get_fragments():
                for group in fragment.split_by_row_group():
                    for batch in group.to_batches(
                        self.dataset.schema, columns=names, filter=_which(readable), batch_size=4_096
                    ):
                        if len(batch):
                            self._check(batch, readable)
                            yield batch

    def table(self, columns: Sequence[str] | None = None, *, readable: bool = False) -> pa.Table:
        with _reading(self.place):
            return self.dataset.to_table(columns=columns, filter=_which(readable))

    def vectors(self) -> NDArray[np.float32]:
        """(N, C) float32: of the rows with a vector, in order."""
        found = [vectors_of(batch.column("vector")) for batch in self.batches(["vector"], readable=True)]
        return np.concatenate([np.empty((0, self.stamp.channels), np.float32), *found])

    def _check(self, batch: pa.RecordBatch, readable: bool) -> None:
        for name in ("path", "vector") if readable else ("path",):
            if name in batch.schema.names and batch.column(name).null_count:
                raise InputError(f"{self.place} has a readable row without a {name}; run gmixer embed again")


def vectors_of(column: pa.Array) -> NDArray[np.float32]:
    """A column of vectors without nulls → (N, C) float32."""
    return np.asarray(column.flatten()).reshape(len(column), column.type.list_size).astype(np.float32, copy=False)


def directions(x_BC: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """(B, C) of length 1, and (B,): whether a vector has a direction. Without one it is zero.

    A vector has none if it is zero or not finite, or if float32 does not hold the square of its length.
    """
    with np.errstate(all="ignore"):  # a vector may hold anything
        length_B = np.linalg.norm(x_BC.astype(np.float64), axis=1)
        has_B = (length_B**2 >= np.finfo(np.float32).tiny) & (length_B**2 <= np.finfo(np.float32).max)
        unit_BC = np.where(has_B[:, None], x_BC / length_B[:, None], 0).astype(np.float32)
    return unit_BC, has_B


def open_stored(place: str | os.PathLike[str], storage: Storage = DEFAULT_STORAGE) -> StoredEmbeddings:
    """A Parquet file or a folder of parts, as `gmixer embed` writes it.

    Of a folder that a run still writes, the finished parts are read. A part without its record is not finished.

    Raises InputError if there is none, if a finished part is missing, if its rows are no stored embeddings, or if its
    files hold vectors that do not compare; MissingExtraError.
    """
    place = path_text("the place of stored embeddings", place)
    filesystem, path = _filesystem_of(place, storage)
    parts = None
    try:
        parts = _finished_parts(place, filesystem, path)
        # A folder without a manifest is read whole, but for names with _ or . in front.
        dataset = ds.dataset(path if parts is None else parts, filesystem=filesystem, format=_PARQUET)
        stored = StoredEmbeddings(place, dataset)
        _check_columns(stored)
        if parts is None:
            _check_alike(stored, filesystem)
    except GmixerError:
        raise
    except (FileNotFoundError, NotADirectoryError, pa.ArrowInvalid):
        if parts:  # the first one tells the columns
            raise InputError(
                f"{parts[0].rpartition('/')[2]} of {place} cannot be read; run the same gmixer embed again, which "
                "makes a damaged part again"
            ) from None
        raise InputError(f"{place} holds no stored embeddings; wanted the output of gmixer embed -o") from None
    except Exception as error:  # libraries of object storage raise errors of their own
        said = words_of(error, "its storage refuses it")
        keys = "; check the URL and the storage options" if "://" in place else ""
        raise InputError(f"{place} cannot be read: {said}{keys}; wanted the output of gmixer embed -o") from error
    return stored


def _filesystem_of(place: str, storage: Storage) -> tuple[Any, str]:
    """Of fsspec, and the path in it. fsspec itself takes ~/a for the home, and a::b for two places."""
    if not is_local(place):
        from gmixer.sources.remote import filesystem_of

        return filesystem_of(place, storage)
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


def _check_columns(stored: StoredEmbeddings) -> None:
    found = stored.dataset.schema
    for field in schema_of(stored.stamp):
        if field.name not in found.names or found.field(field.name).type != field.type:
            raise InputError(
                f"{stored.place} has no column {field.name} of the type {field.type}; wanted the output of gmixer "
                "embed -o, unchanged"
            )


def _check_alike(stored: StoredEmbeddings, filesystem: Any) -> None:
    """Every file, where no manifest tells that the files belong together: somebody may have copied them there."""
    first: tuple[str, Stamp] | None = None
    for file in stored.dataset.files:  # not its fragments: each would keep its footer in memory
        try:
            stamp = _stamp_in(pq.read_schema(file, filesystem=filesystem), file)
        except (OSError, pa.ArrowInvalid):
            raise InputError(
                f"{stored.place} holds {file}, which is no complete Parquet file; wanted only parts of gmixer "
                "embed in that folder"
            ) from None
        first = first or (file, stamp)
        check_same_space(file, stamp, *first, way_out="Put them into two folders.")


def _stamp_in(schema: pa.Schema, place: str) -> Stamp:
    return Stamp.from_json((schema.metadata or {}).get(KEY, b""), source=place)


def _which(readable: bool) -> pc.Expression | None:
    return pc.field("error_kind").is_null() if readable else None


@contextmanager
def _reading(place: str) -> Iterator[None]:
    """Around the reading of a dataset."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        said = words_of(error, "it holds no rows as gmixer embed writes them")
        raise InputError(f"{place} cannot be read: {said}; run gmixer embed again") from error
