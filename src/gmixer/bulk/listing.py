"""Sources, as typed → records, one at a time and in an order that stays.

files, folders, archives and URLs   as `gmixer classify` reads them: docs/inputs.md
s3://, gs://, az://, hf://          an object, or all below a prefix
plain tars, WebDataset shards       each image, with the label beside it
Parquet files                       a column of images or of paths, and perhaps one of labels
a list                              a .csv, .parquet or .txt file with a path or URL in each row
"""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from gmixer.bulk.list_file import Row, list_rows
from gmixer.bulk.record import Record
from gmixer.bulk.shard_images import shard_images
from gmixer.bulk.table_images import table_images
from gmixer.checks import of_class, path_text
from gmixer.datasets.image_files import found_at
from gmixer.datasets.patterns import expanded, series
from gmixer.datasets.split_folders import find_splits
from gmixer.datasets.splits import is_split_word, split_word
from gmixer.errors import ImageError, InputError
from gmixer.options import Reading, Storage
from gmixer.sources.address import entry_at, is_local, is_url, split_member
from gmixer.sources.archive import is_packed, members
from gmixer.sources.entry import Entry, may_be_image, read_head
from gmixer.sources.image_names import is_called_image
from gmixer.sources.inputs import is_empty_tar
from gmixer.sources.left_out import LeftOut, no_files
from gmixer.sources.listing import list_files
from gmixer.sources.local import STDIN, LocalFile, StandardInput
from gmixer.sources.remote import SCHEMES, RemoteFile, described, file_at, is_remote, list_remote, matching
from gmixer.sources.sniff import archive_format

_HUB_MARK = "hf:"
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)(?:://|::.*://)", re.IGNORECASE | re.DOTALL)
_PARQUET = b"PAR1"

Sources: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
ClassOf = Callable[[str], str | None]  # of a key


def list_records(
    sources: Sources, *, list_file: str | os.PathLike[str] | None = None, reading: Reading, storage: Storage
) -> Listing:
    """sources: as typed. list_file: a .csv, .parquet or .txt file; each of its rows names one image.

    An input that occurs twice has two records. Raises InputError for sources that are no paths. Iterating raises
    InputError for a pattern that matches nothing, for a list or a table that cannot be read, and for a listing that
    breaks off; MissingExtraError.
    """
    of_class("reading", reading, Reading)
    of_class("storage", storage, Storage)
    if isinstance(sources, bytes) or not isinstance(sources, str | os.PathLike | Iterable):
        raise InputError(f"sources is of the type {type(sources).__name__}; wanted a path or a URL, or several")
    paths = [sources] if isinstance(sources, str | os.PathLike) else sources
    listed = None if list_file is None else path_text("list_file", list_file)
    return Listing([path_text("a source", path) for path in paths], listed, reading, storage)


class Listing:
    """The records of all sources. Each walk lists the sources again."""

    def __init__(self, sources: Sequence[str], list_file: str | None, reading: Reading, storage: Storage) -> None:
        self._sources, self._list_file, self._reading, self._storage = sources, list_file, reading, storage
        self._left_out = LeftOut()

    def __iter__(self) -> Iterator[Record]:
        self._left_out = LeftOut()
        for source in self._sources:
            if is_remote(source):
                yield from self._of_remote(source)
            else:
                yield from self._of_local(source)
        if self._list_file is not None:
            yield from map(self._of_row, list_rows(self._list_file, self._storage))

    def summary(self) -> str:
        """One line on the files that are left out, because they are no images; empty if there are none."""
        return "; ".join(self._left_out.parts())

    def _of_local(self, source: str) -> Iterator[Record]:
        if source == STDIN:  # also if a file has this name: that is ./-
            yield record_of(StandardInput())
        elif os.path.isdir(source):
            yield from self._images(source, "folder", list_files(source), _local_class_of(source))
        elif os.path.lexists(source) or split_member(source):
            yield from self._of_file(source)
        elif source.startswith(_HUB_MARK) and "://" not in source:
            name = source.removeprefix(_HUB_MARK).partition(":")[0]
            raise InputError(f"{source}: wanted its Parquet files, such as hf://datasets/{name}/data/*.parquet")
        elif is_local(source) and _is_pattern(source):
            paths = expanded(source)
            if not paths:
                raise InputError(f"{source} matches no file; wanted the name of a file, or a pattern that matches some")
            for path in paths:
                yield from self._of_local(path)
        else:
            yield self._of_path(source)

    def _of_file(self, path: str) -> Iterator[Record]:
        """A file that was named."""
        file = LocalFile(path, named=True)
        head = _head(file)
        packed = archive_format(head)
        if head.startswith(_PARQUET):
            yield from table_images(file)
        elif packed == "tar":
            yield from shard_images(file, self._left_out)
        elif packed and is_packed(path, packed):
            yield from self._images(path, "archive", members(path), lambda key: None)
        elif is_empty_tar(file):
            yield Record(path, file.size, str(file.version), None, no_files("archive", path))
        else:
            yield self._of_path(path)

    def _images(
        self, path: str, what: str, entries: Iterable[Entry | ImageError], class_of: ClassOf
    ) -> Iterator[Record]:
        """Those of a folder or an archive."""
        search = self._left_out.search(path, what)
        for entry in entries:
            if isinstance(entry, ImageError):
                search.found()
                yield Record(entry.source, None, None, None, entry)
            elif _may_be_image(entry):
                search.found()
                yield record_of(entry, class_of(entry.key))
            else:
                search.leave_out(entry, entry.key)
        if error := search.without_image():
            yield Record(path, None, None, None, error)

    def _of_remote(self, source: str) -> Iterator[Record]:
        if source.endswith("/") or source.count("/") == 2:
            yield from self._of_prefix(source)
            return
        if (file := _present(source, self._storage)) is not None:
            yield from self._of_object(file)
            return
        if not _is_pattern(source):
            yield from self._of_prefix(source)
            return
        is_empty = True
        for url in series(source, source):
            for found in matching(url, self._storage) if glob.has_magic(url) else [url]:
                is_empty = False
                yield from self._of_remote(found) if isinstance(found, str) else self._of_object(found)
        if is_empty:
            raise InputError(f"{source} matches no object; wanted the name of one, or a pattern that matches some")

    def _of_prefix(self, source: str) -> Iterator[Record]:
        folder = source if source.endswith("/") else f"{source}/"
        listed = list_remote(folder, self._storage)
        first = next(listed, None)
        if first is None:
            reason = "no object has this name, and none is below it: check the bucket and the key"
            yield Record(source, None, None, None, ImageError("missing", reason, source))
            return
        yield from self._images(source, "folder", _chained(first, listed), _remote_class_of(folder))

    def _of_object(self, file: RemoteFile) -> Iterator[Record]:
        """An object that was named."""
        head = b"" if is_called_image(file.key) else _head(file)
        packed = archive_format(head)
        if head.startswith(_PARQUET):
            yield from table_images(file)
        elif packed == "tar":
            yield from shard_images(file, self._left_out)
        elif packed:
            reason = f"is packed ({packed}), so no member can be read alone: unpack it to a plain tar"
            yield Record(file.key, file.size, file.version, None, ImageError("unsupported", reason, file.key))
        else:
            yield record_of(file)

    def _of_row(self, row: Row) -> Record:
        if row.problem is not None:
            return Record(row.at, None, None, row.label, ImageError("unreadable", row.problem, row.at))
        if not row.path:
            return Record(row.at, None, None, row.label, ImageError("empty", "has no path or URL in its row", row.at))
        assert self._list_file is not None
        folder = os.path.dirname(self._list_file)
        if "://" in row.path or is_url(row.path):
            return self._of_path(row.path, row.label)
        if not is_remote(self._list_file):
            return self._of_path(os.path.join(folder, found_at(row.path, folder) or row.path), row.label)
        if row.path.startswith("/"):
            reason = "is a path on this machine, in a list on object storage: write paths from the list's folder"
            return Record(row.path, None, None, row.label, ImageError("refused", reason, row.path))
        return self._of_path(f"{folder}/{row.path}", row.label)

    def _of_path(self, path: str, label: str | None = None) -> Record:
        """One image, as named. No request is made: of a URL neither the size nor the version is known before."""
        try:
            return record_of(self._entry(path), label)
        except ImageError as error:
            return Record(path, None, None, label, error)
        except InputError as error:
            return Record(path, None, None, label, ImageError("refused", str(error).removeprefix(f"{path} "), path))

    def _entry(self, path: str) -> Entry:
        if is_remote(path):
            return file_at(path, self._storage)
        if is_url(path):
            if not self._reading.allow_urls:
                reason = "is a URL, and none is fetched here: in Python pass allow_urls=True to gmixer.load"
                raise ImageError("refused", reason, path)
        elif (found := _SCHEME.match(path)) and not os.path.lexists(path):
            reason = f"is a URL of the scheme {found[1].lower()}, which gmixer does not read: pass a path, an http or "
            raise ImageError("refused", f"{reason}https URL, or one of {', '.join(SCHEMES)}", path)
        return entry_at(path, source=path)


def record_of(entry: Entry, label: str | None = None) -> Record:
    size: int | None
    version: int | str | None
    size, version = entry.size_and_version if isinstance(entry, LocalFile) else (entry.size, entry.version)
    return Record(entry.key, size, None if version is None else str(version), label, entry)


def _present(url: str, storage: Storage) -> RemoteFile | None:
    """The object at a URL; None without one. Raises InputError if the storage does not tell."""
    try:
        return described(file_at(url, storage))
    except ImageError as error:
        if error.kind == "missing":
            return None
        raise InputError(str(error)) from None


def _may_be_image(entry: Entry) -> bool:
    """On object storage the name tells: a look at the first bytes would take a request for each object."""
    if not isinstance(entry, RemoteFile):
        return may_be_image(entry)
    return is_called_image(entry.key) or "." not in entry.key[entry.key.rfind("/") :]


def _head(file: LocalFile | RemoteFile) -> bytes:
    """b"" for a file that cannot be read: its record has the error."""
    try:
        return read_head(file)
    except ImageError:
        return b""


def _chained(first: RemoteFile, rest: Iterable[RemoteFile]) -> Iterator[RemoteFile]:
    yield first
    yield from rest


def _is_pattern(source: str) -> bool:
    return glob.has_magic(source) or series(source, source) != [source]


def _local_class_of(source: str) -> ClassOf:
    """The class folder of a file, as gmixer train reads it: below the source or, if it holds splits, below a split.

    None for a file in no such folder, and for one in a split without class folders.
    """
    try:
        splits = find_splits(source)
    except InputError:
        return _below(os.path.join(source, ""), lambda folder: False)
    named = {name for names in splits.of.values() for name in names}
    return _below(
        os.path.join(splits.root, ""),
        lambda folder: folder in named or bool(named and split_word(folder)),
    )


def _remote_class_of(folder: str) -> ClassOf:
    """The first folder; below a folder that is called train, val, test …, the next one."""
    return _below(folder, is_split_word)


def _below(root: str, is_split: Callable[[str], bool]) -> ClassOf:
    def class_of(key: str) -> str | None:
        if not key.startswith(root):
            return None
        folders = key[len(root) :].split("/")[:-1]
        if folders and is_split(folders[0]):
            folders = folders[1:]
        return (unicodedata.normalize("NFC", folders[0]) or None) if folders else None  # "" of photos//cat.jpg

    return class_of
