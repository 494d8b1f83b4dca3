"""Images in the rows of a Parquet file, and lists of images in a file; on this machine or on object storage."""

from __future__ import annotations

import io
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from gmixer.bulk.record import Record
from gmixer.datasets import columns
from gmixer.datasets.csv_table import table_in
from gmixer.datasets.parquet import class_names, only_of_type
from gmixer.errors import ImageError, InputError, words_of
from gmixer.options import Reading, Storage
from gmixer.sources.entry import Opened, read, read_head
from gmixer.sources.local import LocalFile, reason_of
from gmixer.sources.remote import as_image_error, filesystem_of, is_remote, remote_file
from gmixer.sources.text_file import read_text

_LABEL_ROWS = 65_536  # of a column of labels, read at a time
_MAX_GROUPS = 2  # row groups in memory: rows are read in order, and a few ahead
_ERRORS = (OSError, pa.ArrowException)


def is_table(path: str) -> bool:
    """Whether a file is Parquet: by its first bytes; on object storage by its name."""
    if is_remote(path):
        return path.endswith(".parquet")
    try:
        return os.path.isfile(path) and read_head(LocalFile(path)).startswith(b"PAR1")
    except ImageError:
        return False


class TableImages:
    """The records of one Parquet file: a column of bytes, of paths, or Hugging Face's {bytes, path}.

    The key of a row is `file.parquet[7]`: a path in the row may occur twice.
    """

    def __init__(self, file: str, reading: Reading, storage: Storage) -> None:
        self._file, self._reading, self._storage = file, reading, storage

    def __iter__(self) -> Iterator[Record]:
        """Raises InputError for a damaged file, and for one without a column of images."""
        try:
            with _opened(self._file, self._storage) as table:
                yield from self._rows(table)
        except ImageError as error:
            raise InputError(f"{error}; wanted a complete Parquet file") from None
        except _ERRORS as error:
            said = words_of(error, "it is damaged")
            raise InputError(f"{self._file} cannot be read: {said}; wanted a complete Parquet file") from None

    def _rows(self, table: pq.ParquetFile) -> Iterator[Record]:
        schema = table.schema_arrow
        image = columns.find((*columns.IMAGE, *columns.PATH), schema.names) or only_of_type("Image", schema)
        if image is None:
            raise InputError(
                f"{self._file} has the columns {', '.join(schema.names)}; wanted one with the name image or path"
            )
        label = columns.find(columns.LABEL, schema.names) or only_of_type("ClassLabel", schema)
        names = class_names(schema, label) if label else None
        number, version = 0, _version(self._file, self._storage)
        for group in range(table.num_row_groups):
            rows = table.metadata.row_group(group).num_rows
            labels: list[Any] = [None] * rows
            if label:
                labels = table.read_row_group(group, columns=[label], use_threads=False)[label].to_pylist()
            for row, value in enumerate(labels):
                key = f"{self._file}[{number}]"
                cell = TableCell(key, self._file, image, group, row, self._reading, self._storage, version)
                yield Record(key, None, version, _label(value, names), cell)
                number += 1


@dataclass(frozen=True, slots=True)
class TableCell:
    """An Entry: the image in one row. Its row group is unpacked as a whole."""

    key: str
    file: str
    column: str
    group: int
    row: int
    reading: Reading
    storage: Storage
    version: str | None
    size: ClassVar[None] = None
    named: ClassVar[bool] = True
    read_at_once: ClassVar[bool] = False

    def open(self, source: str) -> AbstractContextManager[Opened]:
        data = self._bytes(source)
        return nullcontext(Opened(len(data), io.BytesIO(data).read))

    def _bytes(self, source: str) -> bytes:
        try:
            value = _groups.value(self)
        except _ERRORS as error:
            said = words_of(error, "the file is damaged")
            raise ImageError("corrupt", f"cannot be unpacked: {said}", source) from None
        folder = os.path.dirname(self.file)
        if is_remote(folder) and (path := _path_in(value)):
            return self._object(path if is_remote(path) else f"{folder}/{path}", source)
        return columns.bytes_of(value, name=source, folder=folder, reading=self.reading)

    def _object(self, url: str, source: str) -> bytes:
        """A table on object storage names no file of this machine."""
        try:
            return read(remote_file(url, self.storage), self.reading.limits)
        except ImageError as error:
            raise ImageError(error.kind, f"names {url}, which {error.reason}", source) from None


class _Groups:
    """The row groups that were unpacked last, for all threads of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[object, ...], pa.ChunkedArray] = OrderedDict()

    def value(self, cell: TableCell) -> Any:
        """Raises OSError, or an exception of Arrow."""
        group = cell.file, cell.version, cell.column, cell.group
        with self._lock:
            held = self._held.pop(group, None)
            if held is None:
                with _opened(cell.file, cell.storage) as table:
                    held = table.read_row_group(cell.group, columns=[cell.column], use_threads=False).column(0)
            self._held[group] = held
            while len(self._held) > _MAX_GROUPS:
                self._held.popitem(last=False)
        return held[cell.row].as_py()


_groups = _Groups()


@contextmanager
def _opened(file: str, storage: Storage) -> Iterator[pq.ParquetFile]:
    if not is_remote(file):
        with pq.ParquetFile(os.path.abspath(file), memory_map=False) as table:  # Arrow takes ~/a for the home
            yield table
        return
    with as_image_error(file):
        filesystem, path = filesystem_of(file, storage)
        stream = filesystem.open(path, "rb")
    with stream, pq.ParquetFile(stream) as table:
        yield table


def _version(file: str, storage: Storage) -> str | None:
    if not is_remote(file):
        return str(LocalFile(file).version)
    return remote_file(file, storage).version


def _path_in(value: Any) -> str | None:
    """The path in a cell that holds no bytes."""
    if isinstance(value, Mapping):
        return None if value.get("bytes") is not None else value.get("path")
    return value if isinstance(value, str) else None


def _label(value: Any, names: list[str] | None) -> str | None:
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    return None if value is None or (names is not None and value == -1) else str(value)


def list_rows(file: str, storage: Storage) -> Iterator[tuple[str, str | None]]:
    """(path or URL, label) of each row of a list: .csv with a column path or url; the same as .parquet; .txt with one
    in each line. A relative path starts from the list's folder.

    Raises InputError for another suffix, and for a list without such a column.
    """
    folder = file.rpartition("/")[0]
    suffix = os.path.splitext(file)[1].lower()
    rows = {".csv": _csv_rows, ".parquet": _parquet_rows, ".txt": _text_rows}.get(suffix)
    if rows is None:
        raise InputError(f"{file} ends in {suffix or 'no suffix'}; wanted a list that ends in .csv, .parquet or .txt")
    for path, label in rows(file, storage):
        is_whole = "://" in path or path.startswith("/")
        yield path if is_whole or not folder else f"{folder}/{path}", label


_PLACES = (*columns.PATH, "url", "image_url", "uri")


def _text_rows(file: str, storage: Storage) -> Iterator[tuple[str, None]]:
    yield from ((line.strip(), None) for line in _text(file, storage).splitlines() if line.strip())


def _csv_rows(file: str, storage: Storage) -> Iterator[tuple[str, str | None]]:
    if is_remote(file):
        raise InputError(f"{file} is on object storage; wanted a .csv on this machine, or a .parquet or a .txt")
    header, rows = table_in(file)
    place, label = columns.find(_PLACES, header), columns.find(columns.LABEL, header)
    if place is None:
        raise InputError(f"{file} has the columns {', '.join(header)}; wanted one with the name path or url")
    for row in rows:
        yield row[header.index(place)].strip(), (row[header.index(label)] or None) if label else None


def _parquet_rows(file: str, storage: Storage) -> Iterator[tuple[str, str | None]]:
    try:
        with _opened(file, storage) as table:
            names = table.schema_arrow.names
            place, label = columns.find(_PLACES, names), columns.find(columns.LABEL, names)
            if place is None:
                raise InputError(f"{file} has the columns {', '.join(names)}; wanted one with the name path or url")
            wanted = [place, *([label] if label else [])]
            for batch in table.iter_batches(_LABEL_ROWS, columns=wanted, use_threads=False):
                for row in batch.to_pylist():
                    yield str(row[place] or ""), None if label is None or row[label] is None else str(row[label])
    except _ERRORS as error:
        raise InputError(f"{file} cannot be read: {words_of(error, 'it is damaged')}; wanted a Parquet file") from None


def _text(file: str, storage: Storage) -> str:
    if not is_remote(file):
        try:
            return read_text(file)
        except OSError as error:
            raise InputError(f"{file} cannot be read: {reason_of(error)}; wanted a list of images") from None
    from gmixer.sources.text_file import decoded

    try:
        with as_image_error(file):
            filesystem, path = filesystem_of(file, storage)
            return decoded(filesystem.cat_file(path), file)
    except ImageError as error:
        raise InputError(f"{error}; wanted a list of images") from None
