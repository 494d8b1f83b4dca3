"""Sources, as typed → records, one at a time and in an order that stays.

files, folders, archives and URLs   as `gmixer classify` reads them: docs/inputs.md
s3://, gs://, az://, hf://          an object, or all below a prefix
WebDataset shards                   tars that a pattern names, or on object storage: images with the label beside them
Parquet files                       a column of images or of paths, and perhaps one of labels
a list                              a .csv, .parquet or .txt file with a path or URL in each row
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial

from gmixer.bulk.record import Record
from gmixer.bulk.table_images import TableImages, is_table, list_rows
from gmixer.datasets.patterns import expanded, series
from gmixer.datasets.shards import MAX_LABEL_BYTES, sample_labels
from gmixer.datasets.splits import split_word
from gmixer.errors import ImageError, InputError
from gmixer.options import Limits, Reading, Storage
from gmixer.prefetch import prefetch
from gmixer.sources.address import entry_at, is_local, is_url
from gmixer.sources.archive import Place, places, places_in
from gmixer.sources.entry import MEMBER_MARK, Entry, read
from gmixer.sources.image_names import is_called_image
from gmixer.sources.inputs import Inputs
from gmixer.sources.local import FileSlice
from gmixer.sources.remote import (
    RemoteFile,
    RemoteStream,
    exists,
    is_remote,
    list_remote,
    matching,
    not_listed,
    remote_file,
)

_HUB_MARK = "hf:"
_LIST_THREADS = 32  # a row of a list that names an object takes a request: 1,600 a second at 20 ms


class Listing:
    """The records of all sources. It can be walked once."""

    def __init__(self, sources: Sequence[str], list_file: str | None, reading: Reading, storage: Storage) -> None:
        self._sources, self._list_file, self._reading, self._storage = sources, list_file, reading, storage
        self._inputs: list[Inputs] = []
        self._left_out = 0

    def __iter__(self) -> Iterator[Record]:
        for source in self._sources:
            yield from self._of_source(source)
        if self._list_file is not None:
            rows = list_rows(self._list_file, self._storage)
            with closing(prefetch(self._of_row, rows, threads=_LIST_THREADS, ahead=2 * _LIST_THREADS)) as records:
                yield from records

    def summary(self) -> str:
        """One line on the files that are left out, because they are no images; empty if there are none."""
        parts = [summary for inputs in self._inputs if (summary := inputs.summary())]
        if self._left_out:
            many = "object is no image and is" if self._left_out == 1 else "objects are no images and are"
            parts.append(f"{self._left_out:,} {many} left out")
        return "; ".join(parts)

    def _of_source(self, source: str) -> Iterator[Record]:
        if source.startswith(_HUB_MARK) and "://" not in source and not os.path.lexists(source):
            name = source.removeprefix(_HUB_MARK)
            raise InputError(f"{source}: wanted its Parquet files, such as hf://datasets/{name}/data/*.parquet")
        if is_remote(source):
            yield from self._of_remote(source)
        elif not is_local(source) or os.path.lexists(source) or not _is_pattern(source):
            yield from self._of_local(source)
        else:
            paths = expanded(source)
            if not paths:
                raise InputError(f"{source} matches no file; wanted the name of a file, or a pattern that matches some")
            for path in paths:
                yield from self._of_shard(path) if path.endswith(".tar") else self._of_local(path)

    def _of_local(self, source: str) -> Iterator[Record]:
        if is_table(source):
            yield from TableImages(source, self._reading, self._storage)
            return
        inputs = Inputs([source], self._reading)
        self._inputs.append(inputs)
        for typed, entry in inputs.entries():
            if isinstance(entry, ImageError):
                yield Record(entry.source, None, None, None, entry)
            else:
                yield _record(entry, _class_folder(entry.key, typed))

    def _of_shard(self, path: str) -> Iterator[Record]:
        """A tar of samples: images, and files with the same stem, one of which may be the label."""
        version = None
        for sample, label in sample_labels(places(path), lambda place: _in_tar(path, place)):
            if isinstance(sample, ImageError):
                yield Record(sample.source, None, None, None, sample)
                continue
            key = f"{path}{MEMBER_MARK}{sample.name}"
            entry = FileSlice(key, path, offset=sample.offset, size=sample.size)
            version = version or str(entry.version)
            yield Record(key, sample.size, version, label, entry)

    def _of_remote(self, source: str) -> Iterator[Record]:
        urls = [source]
        if _is_pattern(source) and not exists(source, self._storage):
            urls = [url for one in series(source, source) for url in self._matching(one)]
            if not urls:
                raise InputError(f"{source} matches no object; wanted a key, or a pattern that matches some")
        for url in urls:
            for found in list_remote(url, self._storage):
                yield from self._of_object(found, url)

    def _matching(self, url: str) -> list[str]:
        return matching(url, self._storage) if glob.has_magic(url) else [url]

    def _of_object(self, found: RemoteFile | ImageError, typed: str) -> Iterator[Record]:
        if isinstance(found, ImageError):
            yield Record(found.source, None, None, None, found)
        elif found.key.endswith(".tar"):
            yield from _members(found)
        elif is_table(found.key):
            yield from TableImages(found.key, self._reading, self._storage)
        elif found.named or is_called_image(found.key):
            yield _record(found, _class_folder(found.key, typed))
        else:
            self._left_out += 1  # to look at its first bytes would take a request for each

    def _of_row(self, row: tuple[str, str | None]) -> Record:
        """row: path and label in a list, where each row is one image."""
        path, label = row
        try:
            if is_url(path) and not self._reading.allow_urls:
                raise ImageError("refused", "is a URL, and none is fetched here: pass allow_urls=True", path)
            return _record(remote_file(path, self._storage) if is_remote(path) else _entry(path), label)
        except ImageError as error:
            return Record(path, None, None, label, error)


def list_records(
    sources: Sequence[str], *, list_file: str | None = None, reading: Reading, storage: Storage
) -> Listing:
    """sources: as typed. list_file: a .csv, .parquet or .txt file; each of its rows names one image.

    An entry that occurs twice has two records. Iterating raises InputError for a pattern that matches nothing, and for
    a table without images or paths; MissingExtraError.
    """
    return Listing(sources, list_file, reading, storage)


def _record(entry: Entry, label: str | None) -> Record:
    version = entry.version
    return Record(entry.key, entry.size, None if version is None else str(version), label, entry)


def _class_folder(key: str, typed: str) -> str | None:
    """The first folder below the folder as typed; below the folder of a split, such as train, the next one."""
    prefix = typed.rstrip("/") + "/"
    if not key.startswith(prefix):
        return None
    folders = key.removeprefix(prefix).split("/")[:-1]
    if folders and split_word(folders[0]):
        folders = folders[1:]
    return folders[0] if folders else None


def _in_tar(path: str, place: Place) -> bytes:
    slice_ = FileSlice(place.name, path, offset=place.offset, size=min(place.size, MAX_LABEL_BYTES))
    try:
        return read(slice_, Limits(max_bytes=MAX_LABEL_BYTES))
    except ImageError:  # the tar is cut short
        return b""


def _is_pattern(source: str) -> bool:
    return glob.has_magic(source) or series(source, source) != [source]


def _members(tar: RemoteFile) -> Iterator[Record]:
    """The images of a plain tar on object storage. Their bytes are fetched later, each by a request of its own."""
    try:
        with RemoteStream(tar) as stream:
            found = places_in(stream, tar.key)
            for sample, label in sample_labels(found, partial(_in_stream, stream)):
                if isinstance(sample, ImageError):
                    yield Record(sample.source, None, None, None, sample)
                    continue
                key = f"{tar.key}{MEMBER_MARK}{sample.name}"
                entry = RemoteFile(key, tar.url, sample.size, tar.version, tar.storage, start=sample.offset)
                yield Record(key, sample.size, tar.version, label, entry)
    except ImageError as error:
        raise not_listed(error) from None


def _in_stream(stream: RemoteStream, place: Place) -> bytes:
    """Reads on: the walk itself seeks before it reads."""
    stream.seek(place.offset)
    size = min(place.size, MAX_LABEL_BYTES)
    data = b""
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data if len(data) == size else b""


def _entry(path: str) -> Entry:
    """Of a row of a list. Raises ImageError for a URL of another scheme, and where no file is."""
    if not path:
        raise ImageError("missing", "has no path in its row", path)
    return entry_at(path, source=path)
