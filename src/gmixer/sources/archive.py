"""Tar (plain, gzip, bzip2, xz) and zip archives → their members, in the archive's order; nothing is written to disk.

An archive is read twice: first for the names, because a name that occurs twice does not identify a member, then for the
bytes. Time and memory are bounded at every step, also if a header is wrong: see the constants.
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
from typing import ClassVar, Protocol, TypeAlias

import numpy as np

from gmixer.errors import ImageError, ImageErrorKind, words_of
from gmixer.sources.entry import MEMBER_MARK, Opened
from gmixer.sources.local import LocalFile, open_regular
from gmixer.sources.sniff import HEAD_BYTES, ArchiveFormat, archive_format

MAX_MEMBERS = 10_000_000  # guessed: eight times ImageNet-1k. 20 µs to read the header of each, 8 bytes to remember it
MAX_DIRECTORY_BYTES = 256 * 2**20  # of a zip, all of which is in memory; ImageNet-1k takes about 130 MB
MAX_HEADER_BYTES = 2**20  # of one member of a tar, including long names and extended headers.
# A compressed tar may unpack to FREE_BYTES, and to MAX_RATIO times its own size beyond that. Images hardly shrink; a
# bomb of zeros shrinks a thousandfold.
FREE_BYTES = 2**30
MAX_RATIO = 100

_CHUNK_BYTES = 2**16
_MOST_BYTES = 2**63 - 1  # of any file; a zip can state twice as many
_TAIL_BYTES = 2**20  # read after the end of a compressed tar, where its checksum is
_DRIVE = re.compile(r"[A-Za-z]:")

_Problem: TypeAlias = tuple[ImageErrorKind, str]

_LINK: _Problem = "refused", "is a link inside an archive, which gmixer does not follow: store the image itself"
_DEVICE: _Problem = "refused", "is neither a file nor a folder of the archive: store the image as a file"
_LEADS_OUT: _Problem = "refused", "has a name that may lead out of the archive: store it under a plain relative name"
_REPEATED: _Problem = "refused", "occurs in the archive more than once: give each image its own name"
_ENCRYPTED: _Problem = "refused", "is encrypted: unpack the archive with its password first"
_OVERLAPPING: _Problem = "refused", "shares its bytes with other members, as zip bombs do: pack the archive again"
_NO_SIZE: _Problem = "corrupt", "states a size that no file has: pack the archive again"
_SPARSE: _Problem = "unsupported", "is stored without its holes: pack the tar without --sparse"
_FOR_PROGRAMMERS = re.compile(r"\bb['\"]|Error -?\d|magic number|extra field|Invalid argument")  # bytes; zlib's numbers
_RARE: _Problem = (
    "unsupported",
    "is compressed by a method that gmixer does not read: pack the zip with deflate, or without compression",
)


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Watched:
    """A member's bytes after its head. failed: a read raised an error."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self.failed = False

    def read(self, byte_count: int) -> bytes:
        self.failed = True
        data = self._stream.read(byte_count)
        self.failed = False
        return data


@dataclass(frozen=True, slots=True)
class Member:
    """An Entry: a file in an archive that is being walked. Its bytes can be read once, before the next member is asked
    for; its head can be read again.

    key: the archive's path, "::", and the name inside.
    size: as the header claims.
    version: of a zip's member the CRC-32 of its bytes; of a tar's member the version of the tar.
    """

    key: str
    size: int
    version: int | None
    _head: bytes  # the first HEAD_BYTES
    _rest: _Watched
    named: ClassVar[bool] = False
    read_at_once: ClassVar[bool] = True

    @contextmanager
    def open(self, source: str) -> Iterator[Opened]:
        """Raises ImageError "corrupt"."""
        head = self._head

        def read(byte_count: int) -> bytes:
            nonlocal head
            if head:
                data, head = head[:byte_count], head[byte_count:]
                return data
            return self._rest.read(byte_count)

        with _as_corrupt(source):
            yield Opened(self.size, read)

    @property
    def failed(self) -> bool:
        """Whether reading it has met damage."""
        return self._rest.failed


@dataclass(frozen=True, slots=True)
class NamedMember:
    """An Entry: the member `name` of the archive at `path`. Opening it walks the whole archive."""

    path: str
    name: str
    named: ClassVar[bool] = True
    read_at_once: ClassVar[bool] = False
    size: ClassVar[None] = None
    version: ClassVar[None] = None

    @property
    def key(self) -> str:
        return _join(self.path, self.name)

    @contextmanager
    def open(self, source: str) -> Iterator[Opened]:
        """Raises ImageError, "missing" if there is no such member, otherwise as `members` has it. "./" at the start of
        the name makes no difference.
        """
        wanted, is_read = _clean(self.name), False
        try:
            with _opened(self.path) as archive:
                for header in archive.headers():
                    if header.name != wanted:
                        continue
                    if header.is_folder:
                        raise ImageError("unreadable", "is a folder of the archive, not an image", source)
                    if problem := header.problem or (_REPEATED if is_read else None):
                        raise ImageError(*problem, source)
                    with _member(self.path, header).open(source) as opened:
                        yield opened
                    is_read = True
        except ImageError as error:
            if not is_read or error.kind == "refused":  # damage after the member does not touch it
                raise ImageError(error.kind, error.reason, source) from None
        if not is_read:
            raise ImageError("missing", "no such member: pass the archive alone to read all its images", source)


def is_packed(path: str, packed: ArchiveFormat) -> bool:
    """Whether a file that starts like an archive of this format is one: a gzip, bzip2 or xz file may hold no tar.

    True if the file is too damaged to tell.
    """
    if packed in ("tar", "zip"):
        return True
    try:
        with open_regular(path, path) as file:
            return archive_format(_unpacker(file, packed).read(HEAD_BYTES)) == "tar"
    except Exception:
        return True


def members(path: str) -> Iterator[Member | ImageError]:
    """The files in an archive, images or not, in its order; an ImageError for each that cannot or must not be read.

    Folders and hidden files (`.name`, `__MACOSX`) are left out. Links, devices, and encrypted and overlapping members
    are refused. So are names that lead out of the archive or occur more than once. If the archive is damaged or exceeds
    a limit, an error with its path as the source ends the walk. Damage inside a member of a tar ends the walk with this
    member, because the members after it cannot be found.
    """
    try:
        with _opened(path) as archive:
            repeated = _repeated(archive, path)
            for header in archive.headers():
                if header.is_folder or _is_hidden(header.name):
                    continue
                if problem := header.problem or (_REPEATED if hash(header.name) in repeated else None):
                    yield ImageError(*problem, _join(path, header.name))
                    continue
                try:
                    member = _member(path, header)
                except ImageError as error:
                    yield error
                    failed = True
                else:
                    yield member
                    failed = member.failed
                if failed and isinstance(archive, _Tar):
                    return
    except ImageError as error:
        yield error


@dataclass(frozen=True, slots=True)
class Place:
    """Where the bytes of a member are in a plain tar. head: the first HEAD_BYTES of them."""

    name: str
    offset: int
    size: int
    head: bytes


def places(path: str) -> Iterator[Place | ImageError]:
    """The files in a plain tar, in its order, to be read later by their place. As `members`, but a name may occur more
    than once. In a compressed tar or a zip no member can be read alone: ImageError "unsupported".
    """
    try:
        with open_regular(path, path) as file:
            yield from places_in(file, path)
    except ImageError as error:
        yield error


def places_in(file: io.RawIOBase, path: str) -> Iterator[Place | ImageError]:
    """As `places`, of a file that is open. path: its name in errors."""
    try:
        with _unpacked(file, path) as archive:
            if not isinstance(archive, _Tar) or not archive.is_plain:
                raise ImageError("unsupported", "is packed, so no member can be read alone: unpack it to a tar", path)
            for header in archive.headers():
                if header.is_folder or _is_hidden(header.name):
                    continue
                if problem := header.problem or (_SPARSE if header.offset is None else None):
                    yield ImageError(*problem, _join(path, header.name))
                    continue
                assert header.offset is not None
                head = _head_of(path, header)[0]
                if len(head) < min(header.size, HEAD_BYTES):
                    raise ImageError("corrupt", "is cut short", _join(path, header.name))
                yield Place(header.name, header.offset, header.size, head)
    except ImageError as error:
        yield error


@dataclass(slots=True)
class _Header:
    """What an archive states about a member.

    size: in bytes. version: as Member has it. problem: why the member must not be read. offset: of its bytes in a tar,
    as unpacked; None if the bytes are not in one piece.
    """

    name: str
    is_folder: bool
    problem: _Problem | None
    size: int
    version: int | None
    open: Callable[[], _Stream | None]
    offset: int | None = None


class _Tar:
    def __init__(self, file: io.RawIOBase, packed: ArchiveFormat, path: str) -> None:
        self._file = file
        self._packed = packed
        self._path = path

    @property
    def is_plain(self) -> bool:
        return self._packed == "tar"

    def headers(self) -> Iterator[_Header]:
        """Of all members from the first on; read one before the next. Raises errors of tarfile and the unpackers."""
        self._file.seek(0)
        version = LocalFile(self._path).version
        raw: io.RawIOBase = _Plain(self._file)
        if self._packed != "tar":
            raw = _Forward(_unpacker(self._file, self._packed), self._file, self._path)
        reader = _TarReader(raw)
        tar = tarfile.TarFile(fileobj=reader, mode="r")
        end = -1
        while info := tar.next():
            if tar.offset <= end or info.size < 0:  # otherwise a hostile header makes tarfile loop for ever
                raise tarfile.ReadError("a member has a negative size")
            end = tar.offset
            tar.members = []  # type: ignore[attr-defined] # otherwise it would remember them all
            reader.allowance = math.inf
            name = _clean(info.name)
            offset = None if info.issparse() else info.offset_data
            problem = _tar_problem(info, name)
            yield _Header(name, info.isdir(), problem, info.size, version, partial(tar.extractfile, info), offset)
            reader.allowance = MAX_HEADER_BYTES
        _check_end(tar.offset, reader)


class _Zip:
    def __init__(self, file: io.RawIOBase, path: str) -> None:
        self._zip = zipfile.ZipFile(_ZipReader(_Plain(file), path))

    def headers(self) -> Iterator[_Header]:
        infos = self._zip.infolist()
        ordered = sorted(infos, key=lambda info: info.header_offset)
        # A header takes 30 bytes and the name.
        overlapping = {id(a) for a, b in pairwise(ordered) if a.header_offset + 30 + a.compress_size > b.header_offset}
        for info in infos:
            name = _clean(info.filename)
            problem = _zip_problem(info, name) or (_OVERLAPPING if id(info) in overlapping else None)
            is_folder = info.is_dir() or info.filename.endswith("\\") or stat.S_ISDIR(info.external_attr >> 16)
            yield _Header(name, is_folder, problem, info.file_size, info.CRC, partial(self._zip.open, info))


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
    if info.file_size > _MOST_BYTES:
        return _NO_SIZE
    # zipfile unpacks bzip2 and LZMA without a limit: 4 kB may become gigabytes in memory.
    return None if info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) else _RARE


@contextmanager
def _opened(path: str) -> Iterator[_Tar | _Zip]:
    """Raises ImageError with the archive's path, also for a failure inside the `with`."""
    with open_regular(path, path) as file, _unpacked(file, path) as archive:
        yield archive


@contextmanager
def _unpacked(file: io.RawIOBase, path: str) -> Iterator[_Tar | _Zip]:
    with _as_corrupt(path):
        packed = archive_format(file.read(HEAD_BYTES) or b"")
        if packed is None:
            reason = f"is inside a file that is neither a tar nor a zip archive: check the path before {MEMBER_MARK}"
            raise ImageError("unreadable", reason, path)
        yield _Zip(file, path) if packed == "zip" else _Tar(file, packed, path)


def _unpacker(file: io.RawIOBase, packed: ArchiveFormat) -> io.BufferedIOBase:
    """What the file unpacks to, from its current position."""
    match packed:
        case "gzip":
            import gzip

            return gzip.GzipFile(fileobj=file, mode="rb")
        case "bzip2":
            import bz2

            return bz2.BZ2File(file)
        case _:
            import lzma

            return lzma.LZMAFile(file)  # type: ignore[arg-type] # it only reads


class _Plain(io.RawIOBase):
    """A file that stays open when this is closed."""

    def __init__(self, file: io.RawIOBase) -> None:
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
    """What a compressed file unpacks to; never backwards, since that would unpack all of it again."""

    def __init__(self, unpacker: io.BufferedIOBase, file: io.RawIOBase, path: str) -> None:
        self._unpacker = unpacker
        self._file = file
        self._path = path
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._unpacker.read1(len(buffer))  # gives the bytes before damage first, then the error
        buffer[: len(data)] = data
        self._position += len(data)
        if self._position > FREE_BYTES + MAX_RATIO * self._file.tell():
            reason = f"unpacks to more than {MAX_RATIO} times its size, as bombs do: pack it again, without compression"
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
    """allowance: how many bytes may still be read; tarfile itself would read a name of any length.
    last: the bytes read last; going back to them is not always possible.
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
    """Limits the size of the directory, the only read of zipfile with a size that the archive chooses."""

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
    """tarfile ends silently at a header that is damaged or missing. Raises ReadError."""
    block = reader.last  # in which tarfile found no header
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
        for count, header in enumerate(archive.headers()):
            if count == MAX_MEMBERS:
                reason = f"holds more than {MAX_MEMBERS:,} members, which is the limit: pack several smaller ones"
                raise ImageError("too_large", reason, path)
            if not header.is_folder:
                hashes.append(hash(header.name))
    except ImageError:
        raise
    except Exception:  # raised again on the second walk, after the members that can be read
        pass
    hashes_N = np.sort(np.array(hashes, np.int64))
    return set(hashes_N[1:][hashes_N[1:] == hashes_N[:-1]].tolist())


def _member(path: str, header: _Header) -> Member:
    """Raises ImageError "corrupt" if the first bytes cannot be read."""
    head, stream = _head_of(path, header)
    return Member(_join(path, header.name), header.size, header.version, head, _Watched(stream))


def _head_of(path: str, header: _Header) -> tuple[bytes, _Stream]:
    """The first HEAD_BYTES, and the stream that gives the bytes after them. Raises ImageError "corrupt"."""
    with _as_corrupt(_join(path, header.name)):
        stream = header.open()
        assert stream is not None  # tarfile: a folder has none
        return stream.read(HEAD_BYTES), stream


@contextmanager
def _as_corrupt(source: str) -> Iterator[None]:
    """Every exception of tarfile, zipfile and the unpackers → one ImageError. They raise many kinds."""
    try:
        yield
    except ImageError:
        raise
    except NotImplementedError:  # zipfile's, for a zip of a rare kind
        raise ImageError(*_RARE, source) from None
    except Exception as error:
        words = words_of(error, "")
        if _FOR_PROGRAMMERS.search(words):
            words = ""
        words = f"{words}; " if words else ""
        raise ImageError("corrupt", f"cannot be unpacked: {words}the archive is cut short or damaged", source) from None


def _join(path: str, name: str) -> str:
    return f"{path}{MEMBER_MARK}{name}"


def _clean(name: str) -> str:
    """`./a//b.jpg` and `a\\b.jpg`, as some programs of Windows write it → `a/b.jpg`. A name that leads out of the
    archive stays unchanged, so that the user sees it.
    """
    return name if _leads_out(name) else "/".join(part for part in _parts(name) if part not in ("", "."))


def _parts(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")


def _leads_out(name: str) -> bool:
    """Absolute, with `..`, or so on Windows."""
    return name.startswith(("/", "\\")) or _DRIVE.match(name) is not None or ".." in _parts(name)


def _is_hidden(name: str) -> bool:
    return not _leads_out(name) and any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
