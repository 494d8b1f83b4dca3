"""Files, folders, archives and URLs, as typed on a command line → their entries, one at a time and in order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from gmixer.errors import ImageError
from gmixer.prefetch import batches
from gmixer.sources.address import entry_at, is_local
from gmixer.sources.entry import Entry, read_head
from gmixer.sources.local import LocalFile, reason_of
from gmixer.sources.sniff import archive_format

Path = str | os.PathLike[str]

_KEPT_TOGETHER = 1000  # paths in one str, which takes half the memory of a str for each


def list_files(paths: Path | Iterable[Path | Entry]) -> Iterator[Entry | ImageError]:
    """Each named file or URL; of each named folder all regular files below it; of each named archive all its members.

    A named file is listed even if it does not exist or is no image; an Entry is listed as it is. A folder gives the
    files of all its folders, in the sorted order of their paths, images or not: `may_be_image` tells them apart. Hidden
    files and folders (`.name`), links to folders and broken links are left out.

    A tar or zip archive, recognized by its content, gives its members as `archive.members` does. An archive found in a
    folder or in another archive is not opened: it is listed as any file is.

    An ImageError stands for a folder that cannot be read, a refused or damaged member, and a URL of another scheme than
    http and https. Memory holds only the names of one folder per level.
    """
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        for found in _found(path):
            yield LocalFile(found) if isinstance(found, str) else found


class Listing:
    """`list_files` of several paths. Counting first is possible, and does not walk a folder twice."""

    def __init__(self, paths: Sequence[Path | Entry]) -> None:
        self._paths = paths
        self._kept: list[str | Entry | ImageError] | None = None

    def count(self) -> int | None:
        """How many entries there are. None with an archive, which would have to be read completely.

        The folders are walked once, and the listing keeps the paths: 200,000 of 50 characters take 10 MB.
        """
        if any(isinstance(path, str | os.PathLike) and is_archive(os.fsdecode(path)) for path in self._paths):
            return None
        kept: list[str | Entry | ImageError] = []
        total = 0
        found = (found for path in self._paths for found in _found(path))
        for is_path, group in groupby(found, lambda found: isinstance(found, str)):
            for some in batches(group, _KEPT_TOGETHER):
                total += len(some)
                kept += ["\0".join(some)] if is_path else some  # type: ignore[arg-type] # only paths are str
        self._kept = kept
        return total

    def __iter__(self) -> Iterator[Entry | ImageError]:
        if self._kept is None:
            yield from list_files(self._paths)
            return
        for kept in self._kept:
            if isinstance(kept, str):
                yield from map(LocalFile, kept.split("\0"))
            else:
                yield kept


def is_archive(path: str) -> bool:
    """Whether a path that was named is a zip, or a tar, compressed or not, by its content."""
    if not is_local(path):
        return False
    try:
        packed = archive_format(read_head(LocalFile(path)))
    except ImageError:
        return False
    if packed is None:
        return False
    from gmixer.sources.archive import is_packed

    return is_packed(path, packed)


def _found(path: Path | Entry) -> Iterator[str | Entry | ImageError]:
    """What one path stands for. A str is the path of a file in a folder."""
    if not isinstance(path, str | os.PathLike):
        yield path
        return
    path = os.fsdecode(path)
    if is_local(path) and os.path.isdir(path):
        yield from _walk(path)
    elif is_archive(path):
        from gmixer.sources.archive import members

        yield from members(path)
    else:
        try:
            yield entry_at(path, source=path)
        except ImageError as error:
            yield error


def _walk(root: str) -> Iterator[str | ImageError]:
    # Our own stack: folders may be nested deeper than Python's recursion limit.
    levels = [iter([os.path.join(root, "")])]
    while levels:
        path = next(levels[-1], None)
        if path is None:
            levels.pop()
        elif not path.endswith("/"):
            yield path
        else:
            try:
                levels.append(iter(_children(path)))
            except OSError as error:
                folder = root if len(levels) == 1 else path.rstrip("/")
                yield ImageError("unreadable", f"the folder cannot be read: {reason_of(error)}", folder)


def _children(folder: str) -> list[str]:
    """Paths of the files and folders in `folder`, sorted; those of folders end in "/".

    Sorting them with that slash makes the whole walk follow the order of `sorted(paths)`.
    """
    with os.scandir(folder) as entries:
        visible = (entry for entry in entries if not entry.name.startswith("."))
        return sorted(entry.path + "/" if _is_folder(entry) else entry.path for entry in visible if _is_wanted(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _is_wanted(entry: os.DirEntry[str]) -> bool:
    """True for folders and regular files; False for links to folders, which may loop, and for pipes and devices."""
    try:
        return _is_folder(entry) or entry.is_file()
    except OSError:
        return True  # a link into a place without permission: reading it gives the error
