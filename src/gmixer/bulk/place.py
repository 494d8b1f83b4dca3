"""Where the output is: a folder on this machine, or a prefix on object storage. A file there is whole, or not there.

Names are relative, with "/" between folders.
"""

from __future__ import annotations

import errno
import os
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gmixer.errors import InputError, words_of
from gmixer.files import atomic_write
from gmixer.options import Storage

T = TypeVar("T")
_TRIES = 3


class Place(Protocol):
    """Every method raises OSError, with a sentence and the name of the place, if the file system refuses."""

    name: str  # as typed

    def write(self, name: str, data: bytes) -> None:
        """Replaces a file that is there."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """False if the file is there already, then it stays. Of several processes, only one gets True."""
        ...

    def read(self, name: str) -> bytes | None:
        """None if there is no such file."""
        ...

    def remove(self, name: str) -> None:
        """It need not be there."""
        ...

    def names(self, folder: str) -> list[str]:
        """Of the files and folders in the folder, sorted. Those of files that are being written begin with a dot."""
        ...

    def md5s(self) -> dict[str, str]:
        """Of the files outside folders, as hex, by name; only those that the storage states without reading."""
        ...


class LocalPlace:
    def __init__(self, name: str) -> None:
        self.name, self.root = name, Path(name)

    def write(self, name: str, data: bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, shared=True) as unfinished:
            _write_through(unfinished, data)

    def create(self, name: str, data: bytes) -> bool:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_name(f".{path.name}.{os.urandom(8).hex()}.unfinished")
        try:
            _write_through(whole, data)
            os.link(whole, path)  # fails where the name is taken, unlike a rename
        except (FileExistsError, FileNotFoundError) as error:
            if not path.exists():  # else a process with a file of this name has removed ours as left over
                raise error
            return False
        finally:
            whole.unlink(missing_ok=True)
        return True

    def read(self, name: str) -> bytes | None:
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(os.listdir(self.root / folder))
        except FileNotFoundError:
            return []

    def md5s(self) -> dict[str, str]:
        return {}


class RemotePlace:
    def __init__(self, name: str, filesystem: Any, root: str) -> None:
        self.name, self._filesystem, self._root = name, filesystem, root.rstrip("/")

    def write(self, name: str, data: bytes) -> None:
        self._call(lambda path: self._filesystem.pipe_file(path, data), name)

    def create(self, name: str, data: bytes) -> bool:
        for _ in range(_TRIES):
            try:
                self._call(lambda path: self._filesystem.pipe_file(path, data, mode="create"), name)
            except FileExistsError:
                return False
            except OSError as error:
                code = _code_of_s3(error)
                if code in ("PreconditionFailed", "412"):  # s3fs looks for a field that only some servers send
                    return False
                if code != "ConditionalRequestConflict":  # with another request; S3 asks for a new try
                    raise
                refused = error
            else:
                return True
        raise refused

    def read(self, name: str) -> bytes | None:
        try:
            data: bytes = self._call(self._filesystem.cat_file, name)
        except FileNotFoundError:
            return None
        return data

    def remove(self, name: str) -> None:
        try:
            self._call(self._filesystem.rm_file, name)
        except FileNotFoundError:
            return

    def names(self, folder: str) -> list[str]:
        return sorted(self._listed(folder))

    def md5s(self) -> dict[str, str]:
        stated = {name: _md5_of(details) for name, details in self._listed("").items()}
        return {name: md5 for name, md5 in stated.items() if md5 is not None}

    def _listed(self, folder: str) -> dict[str, dict[str, Any]]:
        """What the storage tells of each file and folder in the folder, by name."""
        try:
            found = self._call(lambda path: self._filesystem.ls(path, detail=True, refresh=True), folder)
        except FileNotFoundError:
            return {}
        listed = {details["name"].rstrip("/").rpartition("/")[2]: details for details in found}
        if not folder:
            listed.pop(self._root.rpartition("/")[2], None)
        return listed

    def _call(self, function: Callable[[str], T], name: str) -> T:
        """Libraries of object storage raise errors of their own; a missing bucket is a missing file to them."""
        path = f"{self._root}/{name}" if name else self._root
        try:
            return function(path)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, words_of(error, "no such object"), self.name) from error
        except FileExistsError:
            raise
        except Exception as error:
            number = error.errno if isinstance(error, OSError) and error.errno else errno.EIO
            raise OSError(number, words_of(error, "the storage refused it"), self.name) from error


def _md5_of(details: Mapping[str, Any]) -> str | None:
    """As S3 or Google Cloud states it.

    An etag of S3 is an MD5, but not for a file that came in pieces or is encrypted with a key of KMS.
    """
    if base64_text := details.get("md5Hash"):
        return b64decode(base64_text).hex()
    etag = str(details.get("ETag", "")).strip('"')
    return etag if re.fullmatch(r"[0-9a-f]{32}", etag) else None


def _code_of_s3(error: BaseException | None) -> str | None:
    """What the server calls the error that is behind this one; None if it does not come from S3."""
    while error is not None:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            code: str | None = response.get("Error", {}).get("Code")
            return code
        error = error.__cause__
    return None


def open_place(name: str, storage: Storage) -> Place:
    """A folder, or `scheme://…`. Raises InputError for a scheme that fsspec does not know, and where a file is in the
    way; MissingExtraError.
    """
    _, mark, _ = name.partition("://")
    if not mark:
        _check_folder(name)
        return LocalPlace(name)
    from gmixer.sources.remote import filesystem_of

    filesystem, root = filesystem_of(name, storage)
    if "/" not in root.strip("/"):
        raise InputError(f"{name} is a whole bucket; wanted a prefix in it, such as {name.rstrip('/')}/embeddings")
    return RemotePlace(name, filesystem, root)


def _check_folder(name: str) -> None:
    if not name:
        raise InputError("the name of the output is empty; wanted a folder")
    path = os.path.abspath(name)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    if not os.path.isdir(path):
        what = "a link to a folder that does not exist" if os.path.islink(path) else "no folder"
        raise InputError(f"{path} is {what}; wanted a new folder, or one that gmixer embed made")


def _write_through(path: Path, data: bytes) -> None:
    """To the disk itself: a part whose record is there must be there after a power cut."""
    try:
        with path.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # a full disk has no name
        raise OSError(error.errno, error.strerror, os.fspath(path.parent)) from error
