"""The image of a stored row, small, as a page holds it.

The file is read again, where the row says that it was. It may be gone by now, or hold something else: a page then has
a word in place of the image.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from io import BytesIO
from typing import NamedTuple, TypeAlias

from PIL import Image

from gmixer.errors import GmixerError, ImageError, InputError
from gmixer.images.decode import decode
from gmixer.options import DEFAULT_READING, DEFAULT_STORAGE, Reading, Storage
from gmixer.prefetch import prefetch
from gmixer.runtimes import default_threads
from gmixer.sources.address import entry_at, is_local, split_member
from gmixer.sources.archive import members
from gmixer.sources.entry import MEMBER_MARK, read
from gmixer.sources.local import STDIN, LocalFile
from gmixer.sources.remote import file_at, is_remote

GONE = "gone"
CHANGED = "changed"
REMOTE = "not on this machine"

QUALITY = 80  # of the JPEG: 160 px take 6 kB
_ROW = re.compile(r"(.+)\[(?:0|[1-9][0-9]{0,17})\]", re.DOTALL)  # as bulk/table_images.py calls it
_Wanted: TypeAlias = dict[str, dict[str, list[int]]]  # file → the key of a member or row → the rows of `pictures`

MAX_DECODERS = 4  # threads; each may hold a decoded image


class Picture(NamedTuple):
    """What a row says about its file. bytes: its size. sha256: of its bytes, hexadecimal. None: not stored."""

    path: str
    bytes: int | None = None
    sha256: str | None = None


class Thumbnail(NamedTuple):
    """jpeg: a file, or b"" where there is none; width, height: of it, in pixels. missing: why there is none, or ""."""

    jpeg: bytes
    width: int = 0
    height: int = 0
    missing: str = ""

    @property
    def uri(self) -> str:
        """A data: URI; "" where there is no image."""
        return f"data:image/jpeg;base64,{base64.b64encode(self.jpeg).decode()}" if self.jpeg else ""


def thumbnails(
    pictures: Sequence[Picture],
    *,
    px: int,
    reading: Reading = DEFAULT_READING,
    storage: Storage = DEFAULT_STORAGE,
) -> list[Thumbnail]:
    """One for each picture, in order, at most px wide and high, upright.

    Files, members of archives and rows of Parquet files are read on this machine; an archive once, however many of its
    members are wanted. Objects are read from object storage, but no members and rows there, and nothing from the web.
    reading: its limits hold. storage: how object storage is reached. A file with another size or another SHA-256 than
    its row has no thumbnail. Never raises ImageError.
    """
    made: list[Thumbnail] = [Thumbnail(b"", missing=GONE)] * len(pictures)
    make = partial(_thumbnail, px=px, reading=reading)
    threads = min(default_threads(), MAX_DECODERS)
    with closing(prefetch(make, _contents(pictures, reading, storage), threads=threads, ahead=2 * threads)) as results:
        for i, thumbnail in results:
            made[i] = thumbnail
    return made


class _Content(NamedTuple):
    """The bytes of one picture, or why there are none."""

    row: int
    picture: Picture
    data: bytes | str


def _contents(pictures: Sequence[Picture], reading: Reading, storage: Storage) -> Iterator[_Content]:
    """Files first, then the archives and the Parquet files."""
    is_reached = True  # after one failure no other object is asked for: each may take a minute
    archives: _Wanted = {}
    tables: _Wanted = {}
    for i, picture in enumerate(pictures):
        if is_reached and _is_object(picture.path):
            data = _read_object(picture, reading, storage)
            is_reached = data != REMOTE
            yield _Content(i, picture, data)
        elif not is_local(picture.path) or picture.path == STDIN:
            yield _Content(i, picture, REMOTE)
        elif place := split_member(picture.path):
            archives.setdefault(place[0], {}).setdefault(picture.path, []).append(i)
        elif table := _split_row(picture.path):
            tables.setdefault(table, {}).setdefault(picture.path, []).append(i)
        else:
            yield _Content(i, picture, _read_file(picture, reading))
    for contents_of, wanted in ((_members, archives), (_cells, tables)):
        for file, rows in wanted.items():
            for key, data in contents_of(file, rows, reading):
                yield from (_Content(i, pictures[i], data) for i in rows[key])


def _split_row(path: str) -> str | None:
    """`photos.parquet[7]` → "photos.parquet", where that is a file; None for every other path."""
    found = _ROW.fullmatch(path)
    return found[1] if found and not os.path.lexists(path) and os.path.isfile(found[1]) else None


def _read_file(picture: Picture, reading: Reading) -> bytes | str:
    try:
        entry = entry_at(picture.path, source=picture.path)
        if picture.bytes is not None and entry.size not in (None, picture.bytes):
            return CHANGED
        return read(entry, reading.limits)
    except ImageError as error:
        return _word(error)


def _is_object(path: str) -> bool:
    """Whether a path is a whole object: a row does not say where a member or a row is in one."""
    return is_remote(path) and MEMBER_MARK not in path and not _ROW.fullmatch(path)


def _read_object(picture: Picture, reading: Reading, storage: Storage) -> bytes | str:
    """REMOTE where object storage cannot be reached."""
    try:
        return read(file_at(picture.path, storage), reading.limits)
    except ImageError as error:
        return _word(error) if error.kind in ("missing", "empty", "too_large") else REMOTE
    except GmixerError:  # a package is not installed, or refuses the options
        return REMOTE


def _members(archive: str, wanted: Iterable[str], reading: Reading) -> Iterator[tuple[str, bytes | str]]:
    """The members that are wanted and there, by their keys."""
    left = set(wanted)
    for member in members(archive):
        key = member.source if isinstance(member, ImageError) else member.key
        if key not in left:
            continue
        left.remove(key)
        try:
            yield key, _word(member) if isinstance(member, ImageError) else read(member, reading.limits)
        except ImageError as error:
            yield key, _word(error)
        if not left:
            return


def _cells(table: str, wanted: Iterable[str], reading: Reading) -> Iterator[tuple[str, bytes | str]]:
    """The rows of a Parquet file that are wanted and there, by their keys."""
    from gmixer.bulk.table_images import cells

    numbers = {int(path[len(table) + 1 : -1]) for path in wanted}
    try:
        for cell in cells(LocalFile(table), numbers):
            try:
                yield cell.key, read(cell, reading.limits)
            except ImageError as error:
                yield cell.key, _word(error)
    except InputError:  # no Parquet file with images, by now
        return


def _thumbnail(content: _Content, *, px: int, reading: Reading) -> tuple[int, Thumbnail]:
    row, picture, data = content
    if isinstance(data, str):
        return row, Thumbnail(b"", missing=data)
    if picture.bytes not in (None, len(data)):
        return row, Thumbnail(b"", missing=CHANGED)
    if picture.sha256 and hashlib.sha256(data).hexdigest() != picture.sha256:
        return row, Thumbnail(b"", missing=CHANGED)
    try:
        return row, thumbnail_of(data, name=picture.path, px=px, reading=reading)
    except ImageError as error:
        return row, Thumbnail(b"", missing=_word(error))


def thumbnail_of(data: bytes, *, name: str, px: int, reading: Reading = DEFAULT_READING) -> Thumbnail:
    """Of the bytes of a file, at most px wide and high. Raises ImageError, with this name."""
    image = Image.fromarray(decode(data, name=name, reading=reading, reduce_to_px=px))
    image.thumbnail((px, px))
    out = BytesIO()
    image.save(out, "JPEG", quality=QUALITY, optimize=True)
    return Thumbnail(out.getvalue(), image.width, image.height)


def _word(error: ImageError) -> str:
    """Why there is no image, as short as a thumbnail is small."""
    return {"missing": GONE, "refused": REMOTE}.get(error.kind, f"cannot be read: {error.kind}")
