"""Files, folders, archives and URLs, as typed on a command line → their entries, one at a time and in order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from gmixer.errors import ImageError
from gmixer.prefetch import batches
from gmixer.sources.address import entry_at, is_local
from gmixer.sources.entry import Entry, NoFile, read_head
from gmixer.sources.image_names import is_called_image
from gmixer.sources.local import LocalFile, reason_of
from gmixer.sources.sniff import archive_format

Path = str | os.PathLike[str]

_KEPT_TOGETHER = 1000  # paths in one str, which takes half the memory of a str for each


def list_files(paths: Path | Iterable[Path | Entry]) -> Iterator[Entry | ImageError]:
    """Each named file or URL; of each named folder all regular files below it; of each named archive all its members.

    A named file is listed even if it does not exist or is no image; an Entry is listed as it is. A folder gives the
    files of all its folders, in the sorted order of their paths, images or not: `may_be_image` tells them apart. Hidden
    files and folders (`.name`) are left out. A link to a folder is not followed, because it may lead in a circle: it is
    listed as a NoFile, as broken links, pipes and devices are, unless they are called like an image.

    A tar or zip archive, recognized by its content, gives its members as `archive.members` does. An archive found in a
    folder or in another archive is not opened: it is listed as any file is.

    An ImageError stands for a folder that cannot be read, a refused or damaged member, and a URL of another scheme than
    http and https. Memory holds only the names of one folder per level.
    """
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        for found in _found(path):
            yield LocalFile(found) if isinstance(found, str) else found


class Listing:
    """The files of each of several paths. Counting first is possible, and does not walk a folder twice."""

    def __init__(self, paths: Sequence[Path | Entry]) -> None:
        self._paths = paths
        self._kept: list[list[str | Entry | ImageError]] | None = None

    def count(self) -> int | None:
        """How many entries there are. None with an archive, which would have to be read completely.

        The folders are walked once, and the listing keeps the paths: 200,000 of 50 characters take 10 MB.
        """
        if any(isinstance(path, str | os.PathLike) and is_archive(os.fsdecode(path)) for path in self._paths):
            return None
        total = 0
        all_kept = []
        for path in self._paths:
            kept: list[str | Entry | ImageError] = []
            for is_path, group in groupby(_found(path), lambda found: isinstance(found, str)):
                for some in batches(group, _KEPT_TOGETHER):
                    total += len(some)
                    kept += ["\0".join(some)] if is_path else some  # type: ignore[arg-type] # only paths are str
            all_kept.append(kept)
        self._kept = all_kept
        return total

    def __iter__(self) -> Iterator[tuple[Path | Entry, Iterator[Entry | ImageError]]]:
        """Each path, and what `list_files` gives for it. Use one up before the next."""
        for i, path in enumerate(self._paths):
            yield path, list_files([path]) if self._kept is None else _unpacked(self._kept[i])


def _unpacked(kept: Iterable[str | Entry | ImageError]) -> Iterator[Entry | ImageError]:
    for some in kept:
        if isinstance(some, str):
            yield from map(LocalFile, some.split("\0"))
        else:
            yield some


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


def _walk(root: str) -> Iterator[str | NoFile | ImageError]:
    # Our own stack: folders may be nested deeper than Python's recursion limit.
    levels: list[Iterator[str | NoFile]] = [iter([os.path.join(root, "")])]
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
        elif isinstance(found, NoFile) or not found.endswith("/"):
            yield found
        else:
            try:
                levels.append(iter(_children(found)))
            except OSError as error:
                folder = root if len(levels) == 1 else found.rstrip("/")
                yield ImageError("unreadable", f"the folder cannot be read: {reason_of(error)}", folder)


def _children(folder: str) -> list[str | NoFile]:
    """Paths of the files and folders in `folder`, sorted; those of folders end in "/".

    Sorting them with that slash makes the whole walk follow the order of `sorted(paths)`.
    """
    with os.scandir(folder) as entries:
        return sorted((_child(entry) for entry in entries if not entry.name.startswith(".")), key=_path_of)


def _child(entry: os.DirEntry[str]) -> str | NoFile:
    if entry.is_dir(follow_symlinks=False):
        return entry.path + "/"
    try:
        if entry.is_file():
            return entry.path
        if entry.is_dir():
            return NoFile(entry.path, "is a link to a folder")
    except OSError:
        return entry.path  # a link into a place without permission: reading it gives the error
    if is_called_image(entry.name):
        return entry.path  # reading it gives the error, so a broken link to an image is not lost silently
    return NoFile(entry.path, "is a broken link, a pipe or a device")


def _path_of(child: str | NoFile) -> str:
    return child if isinstance(child, str) else child.key
