"""Object storage, through fsspec: s3://, gs://, az:// and hf://. What is there → entries, in an order that stays.

http and https are in web.py, which connects to public addresses only.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from gmixer.errors import ImageError, InputError, require, words_of
from gmixer.options import Storage
from gmixer.sources.entry import Opened

# The scheme, the package that reads it, and the extra of gmixer that has the package
_PACKAGES = {
    "s3": ("s3fs", "cloud"),
    "gs": ("gcsfs", "cloud"),
    "gcs": ("gcsfs", "cloud"),
    "az": ("adlfs", "cloud"),
    "abfs": ("adlfs", "cloud"),
    "abfss": ("adlfs", "cloud"),
    "hf": ("huggingface_hub", None),
}
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PAGE = 1_000  # keys, the most that S3 gives at a time
_BLOCK_BYTES = 2**22  # of a request, where an object is read in order. Guessed: 40 ms at 100 MB/s


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a str begins with one of the schemes of object storage."""
    found = _SCHEME.match(path) if isinstance(path, str) else None
    return found is not None and found[1].lower() in _PACKAGES


def filesystem_of(url: str, storage: Storage) -> tuple[Any, str]:
    """fsspec's file system of a URL, and the path in it. fsspec keeps one for all calls with the same options.

    Raises InputError for another scheme, for a chain of schemes such as zip::s3://, and for options that the package
    does not know; MissingExtraError.
    """
    found = _SCHEME.match(url)
    if found is None or found[1].lower() not in _PACKAGES:
        raise InputError(
            f"{url} is no place that gmixer reads; wanted a path, or one of {', '.join(_PACKAGES)} with ://"
        )
    scheme = found[1].lower()
    package, extra = _PACKAGES[scheme]
    with require(f"{scheme}://", extra, ["fsspec", package]):
        import fsspec

        __import__(package)
    try:
        filesystem = fsspec.filesystem(scheme, **storage.options)
        return filesystem, filesystem._strip_protocol(url)
    except ImportError:
        raise
    except Exception as error:
        said = words_of(error, "the options do not fit")
        raise InputError(f"{url} cannot be reached: {said}; wanted --storage-options for {package}") from error


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An Entry: one object. start: where its bytes begin, in a member of a tar."""

    key: str
    url: str
    size: int
    version: str | None
    storage: Storage
    named: bool = False
    start: int = 0
    read_at_once: ClassVar[bool] = False

    @contextmanager
    def open(self, source: str) -> Iterator[Opened]:
        """One request for all bytes, when the first are read."""
        data: bytes | None = None
        at = 0

        def read(byte_count: int) -> bytes:
            nonlocal data, at
            if data is None:
                data = self._bytes(source)
            taken = data[at : at + byte_count]
            at += len(taken)
            return taken

        yield Opened(self.size, read)

    def _bytes(self, source: str) -> bytes:
        if not self.size:  # S3 refuses a range of no bytes
            return b""
        with as_image_error(source):
            filesystem, path = filesystem_of(self.url, self.storage)
            is_whole = self.key == self.url
            end = self.start + self.size + is_whole  # a byte more shows that an object has grown
            data: bytes = filesystem.cat_file(path, start=self.start, end=end)
            if len(data) != self.size:
                raise ImageError("corrupt", "has another size than when it was listed: run the command again", source)
            return data


class Found(NamedTuple):
    """An object in a listing. path: of the file system."""

    path: str
    size: int
    version: str | None


def remote_file(url: str, storage: Storage) -> RemoteFile:
    """The object at a URL. Raises ImageError, also for a prefix with objects below it."""
    with as_image_error(url):
        filesystem, path = filesystem_of(url, storage)
        info = None if url.endswith("/") else filesystem.info(path)
        if info is None or info["type"] != "file":
            raise ImageError("unreadable", "is a prefix, not an object: name the images below it", url)
        return RemoteFile(url, url, info["size"], _version(info), storage, named=True)


def list_remote(url: str, storage: Storage) -> Iterator[RemoteFile | ImageError]:
    """The object at a URL; or all objects below it, without hidden ones (`.name`). On S3 they come in the
    order of their keys, elsewhere folder by folder.

    Yields an ImageError, "missing" or "empty", if there is none. Raises InputError for a listing that fails or ends
    early: half of a listing must not pass for the whole. The keys of one page are in memory; with other storage than
    S3, those of one folder.
    """
    try:
        with as_image_error(url):
            filesystem, root = filesystem_of(url, storage)
            root = root.rstrip("/")
            info = None if url.endswith("/") else filesystem.info(root)
            if info is not None and info["type"] == "file":
                yield RemoteFile(url, url, info["size"], _version(info), storage, named=True)
                return
            base, is_empty = url.rstrip("/") + "/", True
            pages = _s3_objects if _SCHEME.match(url)[1].lower() == "s3" else _objects  # type: ignore[index]
            for found in pages(filesystem, root + "/"):
                below = found.path[len(root) + 1 :]
                if not below or below.endswith("/") or any(part.startswith(".") for part in below.split("/")):
                    continue
                is_empty = False
                yield RemoteFile(base + below, base + below, found.size, found.version, storage)
            if is_empty:
                raise ImageError("empty", "holds no objects; wanted a prefix with images below it", url)
    except ImageError as error:
        if error.kind not in ("missing", "empty"):
            raise not_listed(error) from None
        yield error


def not_listed(error: ImageError) -> InputError:
    return InputError(
        f"{error}; the listing is not complete, so nothing is made of it: check "
        "--storage-options, or run the command again"
    )


def matching(pattern: str, storage: Storage) -> list[str]:
    """The URLs that a pattern with `*`, `?` or `[…]` names, sorted."""
    filesystem, path = filesystem_of(pattern, storage)
    scheme = pattern.partition("://")[0]
    try:
        with as_image_error(pattern):
            filesystem.invalidate_cache()  # of an earlier run in this process
            return [f"{scheme}://{found}" for found in sorted(filesystem.glob(path))]
    except ImageError as error:
        raise not_listed(error) from None


def exists(url: str, storage: Storage) -> bool:
    """Whether there is an object at the URL, or one below it."""
    try:
        filesystem, path = filesystem_of(url, storage)
        with as_image_error(url):
            return bool(filesystem.exists(path.rstrip("/")))
    except ImageError as error:
        raise not_listed(error) from None


class RemoteStream(io.RawIOBase):
    """The bytes of an object, in order and in blocks. Raises ImageError."""

    def __init__(self, file: RemoteFile) -> None:
        self._source = file.url
        with as_image_error(file.url):
            filesystem, path = filesystem_of(file.url, file.storage)
            self._file = filesystem.open(path, "rb", block_size=_BLOCK_BYTES)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        with as_image_error(self._source):
            return int(self._file.readinto(buffer) or 0)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


@contextmanager
def as_image_error(source: str) -> Iterator[None]:
    """The errors of a storage's package → ImageError, with the source."""
    try:
        yield
    except (ImageError, InputError, ImportError):
        raise
    except FileNotFoundError:
        raise ImageError("missing", "no such object: check the bucket and the key", source) from None
    except PermissionError as error:
        said = words_of(error, "access is denied")
        raise ImageError("unreadable", f"cannot be read: {said}; check the keys and the rights", source) from None
    except TimeoutError:
        raise ImageError("timeout", "the storage did not answer in time", source) from None
    except Exception as error:
        if "timeout" in type(error).__name__.lower():
            raise ImageError("timeout", "the storage did not answer in time", source) from None
        said = words_of(error, "the storage refused it")
        raise ImageError("unreadable", f"cannot be read: {said}", source) from None


def _s3_objects(filesystem: Any, root: str) -> Iterator[Found]:
    """Page by page: fsspec's own listings hold all keys."""
    bucket, _, prefix = root.partition("/")
    after = ""
    while True:
        page = filesystem.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, StartAfter=after, MaxKeys=_PAGE)
        for found in page.get("Contents", ()):
            yield Found(f"{bucket}/{found['Key']}", found["Size"], found["ETag"].strip('"'))
            after = found["Key"]
        if not page.get("IsTruncated"):
            return


def _objects(filesystem: Any, root: str) -> Iterator[Found]:
    folders = [root.rstrip("/")]
    while folders:
        found = sorted(filesystem.ls(folders.pop(), detail=True), key=_in_order)
        folders += [info["name"] for info in reversed(found) if info["type"] == "directory"]
        yield from (Found(info["name"], info["size"], _version(info)) for info in found if info["type"] == "file")


def _in_order(info: dict[str, Any]) -> str:
    return str(info["name"])


def _version(info: dict[str, Any]) -> str | None:
    """An etag or a generation, as the package calls it; else the time of the last change."""
    for name in ("ETag", "etag", "generation", "blob_id", "content_settings", "LastModified", "last_modified", "mtime"):
        if isinstance(value := info.get(name), str | int | float) or hasattr(value, "isoformat"):
            return str(value).strip('"')
    return None
