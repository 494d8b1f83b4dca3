"""Object storage through fsspec: one object or a part of it, as an Entry, and all objects below a prefix.

Chained schemes such as `zip::s3://`, and every other scheme of fsspec such as `file://`, are refused. http and https
are in web.py, which connects to public addresses only.
"""

from __future__ import annotations

import io
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, TypeAlias

from gmixer.errors import GmixerError, ImageError, ImageErrorKind, InputError, require, words_of
from gmixer.options import Storage
from gmixer.sources.entry import Opened
from gmixer.sources.local import LocalFile, open_regular
from gmixer.sources.sniff import HEAD_BYTES

if TYPE_CHECKING:
    import asyncio

TIMEOUT_S = 60.0  # for one request, with the tries again of the library
PIECE_BYTES = 8 * 2**20  # of one request: nearly every image is one piece
BLOCK_BYTES = 2**20  # read ahead in tars: ten photos of 100 kB a request
PAGE = 1_000  # objects in one answer to a listing: the most of S3

_SCHEME = re.compile(r"([a-z0-9]+)://(.*)", re.DOTALL)
_MAGIC = re.compile(r"[*?\[]")
_LIBRARIES = {  # scheme: package, class
    "s3": ("s3fs", "S3FileSystem"),  # also MinIO, R2 and other servers that speak S3
    "gs": ("gcsfs", "GCSFileSystem"),
    "gcs": ("gcsfs", "GCSFileSystem"),
    "az": ("adlfs", "AzureBlobFileSystem"),
    "abfs": ("adlfs", "AzureBlobFileSystem"),
    "hf": ("huggingface_hub", "HfFileSystem"),
}
SCHEMES = tuple(f"{scheme}://" for scheme in _LIBRARIES)
_DENIED = (401, 403)
_VERSIONS = ("ETag", "etag", "blob_id", "generation", "LastModified", "last_modified", "mtime")
_KEYS = """pass its keys in --storage-options, or {"anon": true} for a public bucket"""

_filesystems: dict[tuple[int, str, str], Any] = {}
_lock = threading.Lock()


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a str is a URL of object storage."""
    return isinstance(path, str) and path.startswith(SCHEMES)


def filesystem_of(url: str, storage: Storage) -> tuple[Any, str]:
    """The file system of fsspec, and the path in it: `bucket/key`. There is one for all threads of a process.

    Raises InputError for a URL of another scheme or without a bucket, and for options that the library does not take;
    MissingExtraError.
    """
    found = _SCHEME.fullmatch(url)
    scheme, path = found.groups() if found else ("", "")
    if scheme not in _LIBRARIES:
        raise InputError(f"{url} is a URL that gmixer does not read; wanted one of {', '.join(SCHEMES)}")
    if not path.partition("/")[0]:  # the library would ask the storage for a bucket without a name
        raise InputError(f"{url} names no bucket; wanted one, as in {scheme}://bucket/folder/")
    package, name = _LIBRARIES[scheme]
    # fsspec itself would open one for each thread, with connections of its own.
    known = os.getpid(), scheme, json.dumps(storage.options, sort_keys=True, default=repr)
    with _lock:
        if known not in _filesystems:
            with require(f"reading {scheme}://", "cloud", ("fsspec", package)):
                opener = getattr(import_module(package), name)
            try:
                _filesystems[known] = opener(skip_instance_cache=True, use_listings_cache=False, **storage.options)
            except Exception as error:  # the library's own, of any type
                why = _without_values(words_of(error, "it does not take them"), storage.options)
                raise InputError(f"{package} refuses the storage options: {why}; wanted what {name} takes") from error
        return _filesystems[known], path


def _without_values(text: str, options: Any) -> str:
    """The text without the values of the options, which may be keys: a library may put them into a URL."""
    if isinstance(options, Mapping | list):
        for value in options.values() if isinstance(options, Mapping) else options:
            text = _without_values(text, value)
        return text
    return text.replace(options, "***") if isinstance(options, str) and options else text


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An Entry: an object, or `size` bytes of it from `offset` on. Threads may share it, and it can be pickled.

    key: the URL; for a part of an object, followed by "::" and the name of the part. path: `bucket/key`.
    """

    key: str
    path: str
    storage: Storage
    size: int | None = None
    version: str | None = None
    offset: int | None = None
    named: bool = False
    read_at_once: ClassVar[bool] = False

    @contextmanager
    def open(self, source: str) -> Iterator[Opened]:
        """The size is the one that the listing has stated. An object that has changed since then is "unreadable"."""
        at, piece, is_end = 0, b"", False

        def read(byte_count: int) -> bytes:
            nonlocal at, piece, is_end
            if not piece and not is_end:
                wanted = HEAD_BYTES if byte_count <= HEAD_BYTES else PIECE_BYTES  # to look at the head takes no more
                piece = self.fetch(at, wanted, source)
                at, is_end = at + len(piece), len(piece) < wanted
            data, piece = piece[:byte_count], piece[byte_count:]
            return data

        yield Opened(self.size, read)

    def fetch(self, at: int, byte_count: int, source: str) -> bytes:
        """Bytes from `at` on, at most byte_count, fewer only at the end. Raises ImageError, as `open` does."""
        start = (self.offset or 0) + at
        if self.size is None:
            return self._fetch_unsized(start, byte_count, source)
        if at >= self.size:
            return b""
        wanted = min(byte_count, self.size - at)
        # One byte more, where the object should end: it tells whether the object has grown.
        further = int(self.offset is None and at + wanted == self.size)
        with as_image_error(source):
            data = self._range(start, start + wanted + further)
        if len(data) != wanted:
            reason = "has changed since it was listed: run the command again"
            raise ImageError("unreadable", reason, source)
        return data

    def _fetch_unsized(self, start: int, byte_count: int, source: str) -> bytes:
        with as_image_error(source):
            try:
                return self._range(start, start + byte_count)
            except Exception as error:
                if _is_behind_the_end(error):
                    return b""
                raise

    def _range(self, start: int, end: int) -> bytes:
        data: bytes = self.call("cat_file", self.path, start=start, end=end)
        return data

    def info(self) -> dict[str, Any]:
        """What the storage says about the object. Raises errors of the library."""
        found: dict[str, Any] = self.call("info", self.path)
        return found

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """A method of the file system, within TIMEOUT_S where the library allows that. Raises errors of the library."""
        return call(filesystem_of(self.key, self.storage)[0], method, *arguments, **options)


@contextmanager
def open_to_seek(file: LocalFile | RemoteFile) -> Iterator[io.RawIOBase]:
    """The file for libraries that seek, such as tarfile and pyarrow. Raises ImageError, also for a failure inside."""
    if isinstance(file, RemoteFile):
        with RemoteReader(file) as remote:
            yield remote
    else:
        with open_regular(file.key, file.key) as local:
            yield local


class RemoteReader(io.RawIOBase):
    """An object as a file. A read raises ImageError."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file if file.size is not None else described(file)
        self._position = 0
        self._block_at, self._block = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.size or 0}[whence]
        self._position = begin + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        inside = self._position - self._block_at
        if not 0 <= inside < len(self._block):
            count = max(len(buffer), BLOCK_BYTES)
            self._block_at, self._block = self._position, self._file.fetch(self._position, count, self._file.key)
            inside = 0
        data = self._block[inside : inside + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def described(file: RemoteFile) -> RemoteFile:
    """The file with its size and version. Raises ImageError "missing" if no object has this name."""
    with as_image_error(file.key):
        info = file.info()
        if info.get("type") == "directory":
            raise FileNotFoundError
    return replace(file, size=info["size"], version=_version(info))


def file_at(url: str, storage: Storage) -> RemoteFile:
    """The object at a URL; nothing is asked. Raises InputError as filesystem_of does; MissingExtraError."""
    return RemoteFile(url, filesystem_of(url, storage)[1], storage, named=True)


def list_remote(folder: str, storage: Storage) -> Iterator[RemoteFile]:
    """All objects below a URL that ends in "/", in the sorted order of their keys.

    Hidden ones (`.name`) and those that stand for a folder (a key that ends in "/") are left out. Memory holds one
    answer of the storage: PAGE objects; for hf://, one folder per level. Raises InputError if the listing fails: what
    was listed before is then not all of it.
    """
    for rest, found in _below(folder, storage):
        if not any(part.startswith(".") for part in rest.split("/")):
            yield found


def matching(pattern: str, storage: Storage) -> Iterator[RemoteFile]:
    """The objects that a URL with `*`, `?` or `[…]` names, in the sorted order of their keys. None of the signs matches
    a "/", or the dot of a hidden name. Raises InputError as list_remote does.
    """
    fixed = _MAGIC.split(pattern, maxsplit=1)[0]
    parts = pattern[len(fixed) :].split("/")
    at_start = fixed.endswith("/")
    for rest, found in _below(fixed, storage):
        names = rest.split("/")
        if len(names) == len(parts) and all(
            fnmatchcase(name, part) and not (name.startswith(".") and part[0] != "." and (i or at_start))
            for i, (name, part) in enumerate(zip(names, parts, strict=True))
        ):
            yield replace(found, named=True)


def _below(start: str, storage: Storage) -> Iterator[tuple[str, RemoteFile]]:
    """The objects with a URL that begins so, each with the rest of its URL."""
    filesystem, path = filesystem_of(start, storage)
    bucket, _, prefix = path.partition("/")
    try:
        for key, size, version in _objects(filesystem, start.partition(":")[0], bucket, prefix):
            rest = key[len(prefix) :]
            if rest and not rest.endswith("/"):
                yield rest, RemoteFile(start + rest, f"{bucket}/{key}", storage, size, version)
    except FileNotFoundError:  # no such bucket
        return
    except GmixerError:
        raise
    except Exception as error:
        raise InputError(f"{start} cannot be listed: it {_reason(error)[1]}") from error


class _Found(NamedTuple):
    key: str
    size: int | None
    version: str | None


_Page: TypeAlias = tuple[Iterable[_Found], Any]  # and the token of the next one, if there is one


def _objects(filesystem: Any, scheme: str, bucket: str, prefix: str) -> Iterator[_Found]:
    page_of = _PAGES.get(scheme)
    if page_of is None:
        yield from _walk(filesystem, bucket, prefix)
        return
    token = None
    while True:
        found, token = page_of(filesystem, bucket, prefix, token)
        yield from found
        if not token:
            return


def _s3_page(filesystem: Any, bucket: str, prefix: str, token: Any) -> _Page:
    more = {"ContinuationToken": token} if token else {}
    answer = call(filesystem, "call_s3", "list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=PAGE, **more)
    found = (_Found(item["Key"], item["Size"], _version(item)) for item in answer.get("Contents", ()))
    return found, answer.get("NextContinuationToken")


def _gs_page(filesystem: Any, bucket: str, prefix: str, token: Any) -> _Page:
    more = {"pageToken": token} if token else {}
    answer = call(filesystem, "call", "GET", "b/{}/o", bucket, prefix=prefix, maxResults=PAGE, json_out=True, **more)
    found = (_Found(item["name"], int(item["size"]), _version(item)) for item in answer.get("items", ()))
    return found, answer.get("nextPageToken")


def _az_page(filesystem: Any, bucket: str, prefix: str, token: Any) -> _Page:
    async def page() -> _Page:
        async with filesystem.service_client.get_container_client(bucket) as client:
            blobs = client.list_blobs(name_starts_with=prefix, results_per_page=PAGE)
            pages = blobs.by_page(continuation_token=token)
            found = [_Found(blob.name, blob.size, _version(blob)) async for blob in await anext(pages)]
            return found, pages.continuation_token

    page_found: _Page = _within_time(filesystem.loop, page)
    return page_found


_PAGES: dict[str, Callable[[Any, str, str, Any], _Page]] = {
    "s3": _s3_page,
    "gs": _gs_page,
    "gcs": _gs_page,
    "az": _az_page,
    "abfs": _az_page,
}


def _walk(filesystem: Any, bucket: str, prefix: str) -> Iterator[_Found]:
    """Folder by folder, for a library that has no listing without folders."""
    folder = f"{bucket}/{prefix}"[: len(bucket) + 1 + prefix.rfind("/") + 1]
    levels: list[Iterator[tuple[str, Any]]] = [iter([(folder, {"type": "directory"})])]
    while levels:
        if (found := next(levels[-1], None)) is None:
            levels.pop()
            continue
        path, info = found
        key = path[len(bucket) + 1 :]
        if info["type"] != "directory":
            if key.startswith(prefix):
                yield _Found(key, info.get("size"), _version(info))
            continue
        if not (key.startswith(prefix) or prefix.startswith(key)):
            continue
        children = call(filesystem, "ls", path.rstrip("/"), detail=True)
        if hasattr(filesystem, "dircache"):
            filesystem.dircache.clear()  # it would keep all folders
        slashed = ((child["name"] + "/" * (child["type"] == "directory"), child) for child in children)
        levels.append(iter(sorted(slashed, key=lambda child: child[0])))


def call(filesystem: Any, method: str, *arguments: Any, **options: Any) -> Any:
    """A method of a file system, within TIMEOUT_S where its library is asynchronous."""
    if not getattr(filesystem, "async_impl", False):
        return getattr(filesystem, method)(*arguments, **options)
    return _within_time(filesystem.loop, lambda: getattr(filesystem, f"_{method}")(*arguments, **options))


def _within_time(loop: asyncio.AbstractEventLoop, begin: Callable[[], Any]) -> Any:
    import asyncio  # takes 20 ms

    from fsspec.asyn import sync

    async def run() -> Any:
        return await asyncio.wait_for(begin(), TIMEOUT_S)

    return sync(loop, run)


@contextmanager
def as_image_error(source: str) -> Iterator[None]:
    """Every exception of a library → one ImageError."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        _raise(error, source)


def _raise(error: Exception, source: str) -> NoReturn:
    if isinstance(error, FileNotFoundError):
        raise ImageError("missing", "no object has this name", source) from None
    raise ImageError(*_reason(error), source) from None


def _reason(error: Exception) -> tuple[ImageErrorKind, str]:
    if isinstance(error, TimeoutError):
        return "timeout", f"did not answer within {TIMEOUT_S:g} s: try again"
    code = getattr(error, "status_code", None) or getattr(error, "code", None)
    if isinstance(error, PermissionError) or code in _DENIED or type(error).__name__ == "NoCredentialsError":
        return "unreadable", f"is not open to this user: {_KEYS}"
    return "unreadable", f"cannot be read: {words_of(error, 'the connection failed')}; check the URL, or try again"


def _is_behind_the_end(error: Exception) -> bool:
    """Whether a range was refused, because the object ends before it."""
    return 416 in (getattr(error, "status_code", None), getattr(error, "code", None)) or "range" in str(error).lower()


def _version(info: Any) -> str | None:
    """An etag, or what else the storage changes with the content."""
    value = next((info[name] for name in _VERSIONS if info.get(name) is not None), None)
    return None if value is None else str(value).strip('"')
