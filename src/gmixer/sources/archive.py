"""Tar (plain, gzip, bzip2, xz) and zip archives → their members, in the archive's order; nothing is written to disk.

An archive is walked through twice: for the names, since one that occurs twice says nothing about which is meant, then
for the bytes. What it may cost is bounded at every step, whatever its headers claim: see the constants.
"""

from __future__ import annotations

import io
import math
import os
import re
import stat
import tarfile
import zipfile
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Protocol, TypeAlias

import numpy as np

from gmixer.errors import ImageError, ImageErrorKind
from gmixer.options import Limits
from gmixer.sources.local import MEMBER_MARK, open_regular, too_many_bytes
from gmixer.sources.sniff import HEAD_BYTES, ArchiveFormat, archive_format, is_image

MAX_MEMBERS = 10_000_000  # guessed: eight times ImageNet-1k. 20 µs to read the header of each, 8 bytes to remember it
MAX_DIRECTORY_BYTES = 256 * 2**20  # of a zip, which is in memory as a whole; ImageNet-1k takes about 130 MB
MAX_HEADER_BYTES = 2**20  # of one member of a tar, long names and extended headers included
# A compressed tar may unpack to so much, however small it is, and beyond that to so many times its own size. Pictures
# barely shrink, while a bomb of zeros shrinks a thousandfold.
FREE_BYTES = 2**30
MAX_RATIO = 100

_CHUNK_BYTES = 2**16
_TAIL_BYTES = 2**20  # read behind the end of a compressed tar, where its checksum stands
_DRIVE = re.compile(r"[A-Za-z]:")

_Problem: TypeAlias = tuple[ImageErrorKind, str]

_LINK: _Problem = "refused", "is a link inside an archive, which gmixer does not follow: store the picture itself"
_DEVICE: _Problem = "refused", "is neither a file nor a folder of the archive: store the picture as a file"
_LEADS_OUT: _Problem = "refused", "has a name that may lead out of the archive: store it under a plain relative name"
_REPEATED: _Problem = "refused", "stands in the archive more than once: give each picture a name of its own"
_ENCRYPTED: _Problem = "refused", "is encrypted: unpack the archive with its password first"
_OVERLAPPING: _Problem = "refused", "shares its bytes with other members, as zip bombs do: pack the archive anew"
_SPARSE: _Problem = "unsupported", "is stored with its holes left out: pack the tar without --sparse"
_RARE: _Problem = (
    "unsupported",
    "is compressed in a way that gmixer does not read: pack the zip with deflate, or without compression",
)


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(slots=True)
class Member:
    """A file in an archive that is being walked through: read it before the next one is asked for.

    path: the archive's, "::", and the way inside.
    head: the first HEAD_BYTES.
    """

    path: str
    head: bytes
    _size: int
    _stream: _Stream
    _failed: bool = False

    @property
    def is_image(self) -> bool:
        """As is_image_file for files: images in formats that gmixer knows of but does not read count."""
        return is_image(self.head)

    def read(self, limits: Limits) -> bytes:
        """All bytes, once. Raises ImageError "too_large", known from the header or counted on the way, or "corrupt"."""
        if self._size > limits.max_bytes:
            raise too_many_bytes(f"{self._size:,}", self.path, limits)
        chunks, read = [self.head], len(self.head)
        with _as_corrupt(self.path):
            self._failed = True
            while chunk := self._stream.read(_CHUNK_BYTES):
                chunks.append(chunk)
                read += len(chunk)
                if read > limits.max_bytes:
                    break
            self._failed = False
        if read > limits.max_bytes:
            raise too_many_bytes(f"at least {read:,}", self.path, limits)
        return b"".join(chunks)


def is_packed(path: str, packed: ArchiveFormat) -> bool:
    """Whether a file that begins like an archive of this format is one: what gzip, bzip2 or xz packs need be no tar.

    True for one too damaged to tell.
    """
    if packed in ("tar", "zip"):
        return True
    try:
        with open_regular(path, path) as file:
            return archive_format(_unpacker(file, packed).read(HEAD_BYTES)) == "tar"
    except Exception:
        return True


def members(path: str) -> Iterator[Member | ImageError]:
    """The files in an archive, images or not, in its order; for one that must not or cannot be read, why.

    Folders and hidden files (`.name`, `__MACOSX`) are left out. "refused" are links, devices, names that lead out of
    the archive, all members of a name that occurs more than once, members encrypted or overlapping. Where the archive
    itself is damaged or asks for too much, an error with the archive's path as its source ends the walk; damage inside
    a member of a tar ends it with that member, since nothing behind it can be found.
    """
    try:
        with _opened(path) as archive:
            repeated = _repeated(archive, path)
            for entry in archive.entries():
                if entry.is_folder or _is_hidden(entry.name):
                    continue
                if problem := entry.problem or (_REPEATED if hash(entry.name) in repeated else None):
                    yield ImageError(*problem, _join(path, entry.name))
                    continue
                try:
                    member = _member(path, entry)
                except ImageError as error:
                    yield error
                    failed = True
                else:
                    yield member
                    failed = member._failed
                if failed and isinstance(archive, _Tar):
                    return
    except ImageError as error:
        yield error


def read_member(path: str, name: str, *, source: str, limits: Limits) -> bytes:
    """The bytes of the member of this name, "./" before it or not. The whole archive is walked through for it.

    Raises ImageError, "missing" if there is none and otherwise as `members` and Member.read, with `source`.
    """
    wanted, data = _clean(name), None
    try:
        with _opened(path) as archive:
            for entry in archive.entries():
                if entry.name != wanted:
                    continue
                if entry.is_folder:
                    raise ImageError("unreadable", "is a folder of the archive, not a picture", source)
                if problem := entry.problem or (_REPEATED if data is not None else None):
                    raise ImageError(*problem, source)
                data = _member(path, entry).read(limits)
    except ImageError as error:
        if data is None or error.kind == "refused":  # damage behind the member does not touch it
            raise ImageError(error.kind, error.reason, source) from None
    if data is None:
        raise ImageError("missing", "no such member: give the archive alone to read all of its pictures", source)
    return data


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a member stand in a plain tar. head: the first HEAD_BYTES of them."""

    name: str
    offset: int
    size: int
    head: bytes


def places(path: str) -> Iterator[Place | ImageError]:
    """The files in a plain tar, in its order, to be read later by their place; as `members` has them, except that
    names are not compared: one may occur more than once. A tar that is packed has no places: ImageError "unsupported".
    """
    try:
        with _opened(path) as archive:
            if not isinstance(archive, _Tar) or not archive.is_plain:
                raise ImageError("unsupported", "is packed, so no member can be read alone: unpack it to a tar", path)
            for entry in archive.entries():
                if entry.is_folder or _is_hidden(entry.name):
                    continue
                if problem := entry.problem or (_SPARSE if entry.offset is None else None):
                    yield ImageError(*problem, _join(path, entry.name))
                    continue
                assert entry.offset is not None
                head = _member(path, entry).head
                if len(head) < min(entry.size, HEAD_BYTES):
                    raise ImageError("corrupt", "is cut short", _join(path, entry.name))
                yield Place(entry.name, entry.offset, entry.size, head)
    except ImageError as error:
        yield error


@dataclass(slots=True)
class _Entry:
    """What an archive says of a member. size: in bytes, as claimed. problem: why it must not be read. offset: of its
    bytes in a tar, as unpacked; None where they are not in one piece.
    """

    name: str
    is_folder: bool
    problem: _Problem | None
    size: int
    open: Callable[[], _Stream | None]
    offset: int | None = None


class _Tar:
    def __init__(self, file: io.FileIO, packed: ArchiveFormat, path: str) -> None:
        self._file = file
        self._packed = packed
        self._path = path

    @property
    def is_plain(self) -> bool:
        return self._packed == "tar"

    def entries(self) -> Iterator[_Entry]:
        """All members from the first on; read one before the next. Raises whatever tarfile and the unpackers do."""
        self._file.seek(0)
        raw: io.RawIOBase = _Plain(self._file)
        if self._packed != "tar":
            raw = _Forward(_unpacker(self._file, self._packed), self._file, self._path)
        reader = _TarReader(raw)
        tar = tarfile.TarFile(fileobj=reader, mode="r")
        end = -1
        while info := tar.next():
            if tar.offset <= end or info.size < 0:  # else a hostile header sends tarfile back to where it was
                raise tarfile.ReadError("a member has a negative size")
            end = tar.offset
            tar.members = []  # type: ignore[attr-defined] # or it would remember them all
            reader.allowance = math.inf
            name = _clean(info.name)
            offset = None if info.issparse() else info.offset_data
            problem = _tar_problem(info, name)
            yield _Entry(name, info.isdir(), problem, info.size, partial(tar.extractfile, info), offset)
            reader.allowance = MAX_HEADER_BYTES
        _check_end(tar.offset, reader)


class _Zip:
    def __init__(self, file: io.FileIO, path: str) -> None:
        self._zip = zipfile.ZipFile(_ZipReader(_Plain(file), path))

    def entries(self) -> Iterator[_Entry]:
        infos = self._zip.infolist()
        ordered = sorted(infos, key=lambda info: info.header_offset)
        # A header takes 30 bytes and the name.
        overlapping = {id(a) for a, b in pairwise(ordered) if a.header_offset + 30 + a.compress_size > b.header_offset}
        for info in infos:
            name = _clean(info.filename)
            problem = _zip_problem(info, name) or (_OVERLAPPING if id(info) in overlapping else None)
            is_folder = info.is_dir() or stat.S_ISDIR(info.external_attr >> 16)
            yield _Entry(name, is_folder, problem, info.file_size, partial(self._zip.open, info))


def _tar_problem(info: tarfile.TarInfo, name: str) -> _Problem | None:
    if _leads_out(name):
        return _LEADS_OUT
    if info.issym() or info.islnk():
        return _LINK
    return None if info.isreg() else _DEVICE


def _zip_problem(info: zipfile.ZipInfo, name: str) -> _Problem | None:
    kind_of_file = stat.S_IFMT(info.external_attr >> 16)  # 0 where the zip was not packed on a Unix
    if _leads_out(name):
        return _LEADS_OUT
    if kind_of_file == stat.S_IFLNK:
        return _LINK
    if kind_of_file not in (0, stat.S_IFREG):
        return _DEVICE
    if info.flag_bits & 1:
        return _ENCRYPTED
    # zipfile unpacks bzip2 and LZMA without a bound: 4 kB of them may be gigabytes in memory.
    return None if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else _RARE


@contextmanager
def _opened(path: str) -> Iterator[_Tar | _Zip]:
    """Raises ImageError with the archive's path, also for what goes wrong inside the `with`."""
    with open_regular(path, path) as file, _as_corrupt(path):
        packed = archive_format(file.read(HEAD_BYTES))
        if packed is None:
            reason = (
                f"leads into a file that is neither a tar nor a zip archive: check what stands before {MEMBER_MARK}"
            )
            raise ImageError("unreadable", reason, path)
        yield _Zip(file, path) if packed == "zip" else _Tar(file, packed, path)


def _unpacker(file: io.FileIO, packed: ArchiveFormat) -> io.BufferedIOBase:
    """What the file unpacks to, from where it stands."""
    match packed:
        case "gzip":
            import gzip

            return gzip.GzipFile(fileobj=file, mode="rb")
        case "bzip2":
            import bz2

            return bz2.BZ2File(file)
        case _:
            import lzma

            return lzma.LZMAFile(file)


class _Plain(io.RawIOBase):
    """A file that stays open when this is closed."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._file.readinto(buffer) or 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


class _Forward(io.RawIOBase):
    """What a compressed file unpacks to, never backwards, where all of it would be unpacked anew."""

    def __init__(self, unpacker: io.BufferedIOBase, file: io.FileIO, path: str) -> None:
        self._unpacker = unpacker
        self._file = file
        self._path = path
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._unpacker.read1(len(buffer))  # what is there before damage comes out before the damage does
        buffer[: len(data)] = data
        self._position += len(data)
        if self._position > FREE_BYTES + MAX_RATIO * self._file.tell():
            reason = f"unpacks to more than {MAX_RATIO} times its size, as bombs do: pack it anew, without compression"
            raise ImageError("too_large", reason, self._path)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or offset < self._position:
            raise io.UnsupportedOperation("going back in a compressed archive")
        skipped = memoryview(bytearray(_CHUNK_BYTES))
        while self._position < offset and self.readinto(skipped[: offset - self._position]):
            pass
        return self._position

    def tell(self) -> int:
        return self._position


class _TarReader(io.BufferedReader):
    """allowance: how much may still be read; tarfile itself would read a name of any length.
    last: what was read last; going back for it is not always possible.
    """

    allowance: float = MAX_HEADER_BYTES
    last: bytes = b""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= self.allowance:
            raise tarfile.ReadError(f"a header takes more than {MAX_HEADER_BYTES:,} bytes")
        self.allowance -= size
        self.last = super().read(size)
        return self.last


class _ZipReader(io.BufferedReader):
    """Refuses the one read of zipfile's whose size the archive decides: that of the directory."""

    def __init__(self, raw: io.RawIOBase, path: str) -> None:
        super().__init__(raw)
        self._path = path

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > MAX_DIRECTORY_BYTES:
            reason = (
                f"has a directory of {size:,} bytes; the limit is {MAX_DIRECTORY_BYTES:,}: pack several smaller ones"
            )
            raise ImageError("too_large", reason, self._path)
        return super().read(size)


def _check_end(offset: int, reader: _TarReader) -> None:
    """tarfile ends without a word where a header is damaged or missing. Raises ReadError."""
    block = reader.last  # where tarfile found no header
    if len(block) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("the blocks of zeros that close a tar are missing")
    if any(block):
        raise tarfile.ReadError(f"the header at byte {offset:,} is damaged")
    for _ in range(_TAIL_BYTES // _CHUNK_BYTES):
        reader.allowance = _CHUNK_BYTES
        if not reader.read(_CHUNK_BYTES):
            break


def _repeated(archive: _Tar | _Zip, path: str) -> set[int]:
    """Hashes of the names that occur more than once. Raises ImageError "too_large" for more than MAX_MEMBERS."""
    hashes = array("q")
    try:
        for count, entry in enumerate(archive.entries()):
            if count == MAX_MEMBERS:
                reason = f"holds more than {MAX_MEMBERS:,} members, which is the limit: pack several smaller ones"
                raise ImageError("too_large", reason, path)
            if not entry.is_folder:
                hashes.append(hash(entry.name))
    except ImageError:
        raise
    except Exception:  # met again on the second walk, behind the members that can be read
        pass
    hashes_N = np.sort(np.array(hashes, np.int64))
    return set(hashes_N[1:][hashes_N[1:] == hashes_N[:-1]].tolist())


def _member(path: str, entry: _Entry) -> Member:
    """Raises ImageError "corrupt" where the first bytes cannot be had."""
    full_path = _join(path, entry.name)
    with _as_corrupt(full_path):
        stream = entry.open()
        assert stream is not None  # tarfile: a folder has none
        return Member(full_path, stream.read(HEAD_BYTES), entry.size, stream)


@contextmanager
def _as_corrupt(source: str) -> Iterator[None]:
    """Every exception of tarfile, zipfile and the unpackers, and they raise many kinds, → one ImageError."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:200] or type(error).__name__
        raise ImageError(
            "corrupt", f"cannot be unpacked: {words}; the archive is cut short or damaged", source
        ) from None


def _join(path: str, name: str) -> str:
    return f"{path}{MEMBER_MARK}{name}"


def _clean(name: str) -> str:
    """`./a//b.jpg` → `a/b.jpg`; a name that leads out of the archive stays as it is, to be seen."""
    return name if _leads_out(name) else "/".join(part for part in name.split("/") if part not in ("", "."))


def _leads_out(name: str) -> bool:
    """Absolute, with `..`, or so on Windows."""
    return name.startswith("/") or "\\" in name or _DRIVE.match(name) is not None or ".." in name.split("/")


def _is_hidden(name: str) -> bool:
    return not _leads_out(name) and any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
