"""The images in the rows of a Parquet file, on this machine or on object storage."""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from gmixer.bulk.record import Record
from gmixer.datasets import columns
from gmixer.datasets.label_values import label_text
from gmixer.datasets.parquet import class_names, image_column, only_of_type
from gmixer.errors import ImageError, InputError, words_of
from gmixer.sources.entry import Opened
from gmixer.sources.local import LocalFile
from gmixer.sources.remote import RemoteFile, file_at, is_remote, open_to_seek

_MAX_GROUPS = 2  # row groups in memory: rows are read in order, and a few ahead
_ERRORS = (OSError, ValueError, NotImplementedError)  # Arrow's own errors are of these classes


def table_images(file: LocalFile | RemoteFile) -> Iterator[Record]:
    """The records of one Parquet file: a column of bytes, of paths, or Hugging Face's {bytes, path}.

    The key of a row is `file.parquet[7]`: a path in the row may occur twice, or be missing. Listing reads no image.
    Raises InputError for a damaged file, and for one without a column of images.
    """
    with opened_table(file) as table:
        schema = table.schema_arrow
        image = image_column(schema, file.key)
        label = columns.find(columns.LABEL, schema.names) or only_of_type("ClassLabel", schema)
        names = class_names(schema, label) if label else None
        version = None if (found := file.version) is None else str(found)
        number = 0
        for group in range(table.num_row_groups):
            values = [None] * table.metadata.row_group(group).num_rows
            if label:
                values = table.read_row_group(group, columns=[label], use_threads=False)[label].to_pylist()
            for row, value in enumerate(values):
                cell = TableCell(f"{file.key}[{number}]", file, version, image, group, row)
                yield Record(cell.key, None, version, label_text(value, names), cell)
                number += 1


def cells(file: LocalFile | RemoteFile, numbers: Collection[int]) -> Iterator[TableCell]:
    """The cells of these rows, in their order; none for a row that is not there. Raises InputError as table_images."""
    with opened_table(file) as table:
        image, left, first = image_column(table.schema_arrow, file.key), sorted(numbers), 0
        for group in range(table.num_row_groups):
            rows = table.metadata.row_group(group).num_rows
            while left and left[0] < first + rows:
                number = left.pop(0)
                yield TableCell(f"{file.key}[{number}]", file, None, image, group, number - first)
            first += rows


@dataclass(frozen=True, slots=True)
class TableCell:
    """An Entry: the image in one row. Its row group is unpacked as a whole."""

    key: str
    file: LocalFile | RemoteFile
    version: str | None
    column: str
    group: int
    row: int
    size: ClassVar[None] = None
    named: ClassVar[bool] = True
    read_at_once: ClassVar[bool] = False

    def open(self, source: str) -> AbstractContextManager[Opened]:
        """A path in the row starts from the folder of the file. Raises ImageError, "empty" for a row without either."""
        value: Any = self._value(source)
        path: str | None = None
        if isinstance(value, Mapping):
            value, path = value.get("bytes"), value.get("path")
        elif isinstance(value, str):
            value, path = None, value
        if value is not None:
            return nullcontext(Opened(len(value), io.BytesIO(value).read))
        if path:
            return self._beside(path).open(source)
        raise ImageError("empty", "has no image in its row", source)

    def _value(self, source: str) -> object:
        try:
            return _groups.column(self)[self.row].as_py()
        except (InputError, *_ERRORS) as error:
            said = words_of(error, "the file is damaged")
            raise ImageError("corrupt", f"cannot be unpacked: {said}", source) from None

    def _beside(self, path: str) -> LocalFile | RemoteFile:
        folder = self.file.key.rpartition("/")[0]
        if isinstance(self.file, RemoteFile):
            return file_at(path if is_remote(path) else f"{folder}/{path}", self.file.storage)
        return LocalFile(os.path.join(folder, path))


class _Groups:
    """The row groups that were unpacked last, for all threads of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[object, ...], pa.ChunkedArray] = OrderedDict()

    def column(self, cell: TableCell) -> pa.ChunkedArray:
        """The column of the cell, in its row group."""
        at = cell.file.key, cell.version, cell.column, cell.group
        with self._lock:
            held = self._held.pop(at, None)
            if held is None:
                with opened_table(cell.file) as table:
                    held = table.read_row_group(cell.group, columns=[cell.column], use_threads=False).column(0)
            self._held[at] = held
            while len(self._held) > _MAX_GROUPS:
                self._held.popitem(last=False)
            return held


_groups = _Groups()


@contextmanager
def opened_table(file: LocalFile | RemoteFile) -> Iterator[pq.ParquetFile]:
    """Raises InputError for a file that is no complete Parquet file, also inside the `with`."""
    try:
        with open_to_seek(file) as opened, pq.ParquetFile(io.BufferedReader(opened)) as table:
            yield table
    except InputError:
        raise
    except (ImageError, *_ERRORS) as error:
        said = (
            words_of(error, "it is cut short or damaged").removeprefix(f"{file.key}: ").removeprefix("cannot be read: ")
        )
        raise InputError(f"{file.key} cannot be read: {said}; wanted a complete Parquet file") from None
