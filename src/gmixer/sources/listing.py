"""Files, folders, archives and URLs, as typed on a command line → the pictures to read, one at a time and in order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gmixer.errors import ImageError
from gmixer.sources.address import is_url
from gmixer.sources.local import read_head, reason_of
from gmixer.sources.sniff import HEAD_BYTES, archive_format, is_image

if TYPE_CHECKING:
    from gmixer.sources.archive import Member


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read, or a folder, an archive or a member of one that could not be read.

    path: as typed; for a file found in a folder, the folder as typed and then the way down; for a member of an archive,
        the archive as typed, "::" and the way inside.
    named: the user typed this path itself, so it deserves an answer even if it is no image or does not exist.
    error: None for a file; else why it could not be read.
    member: the way to the bytes of a member of an archive, to be read before the next Found is asked for.
    """

    path: str
    named: bool
    error: ImageError | None = None
    member: Member | None = None


def find_images(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Iterator[Found]:
    """Each named file or URL as it is, of each named folder all regular files below it, of each named archive all
    members; read while you iterate.

    A named file comes out whether or not it exists or is an image. Of a folder come the files of all its folders, in
    the sorted order of their paths, images or not: ask `is_image_file`. Hidden files and folders (`.name`), links
    to folders and broken links are left out. A folder that cannot be read comes out with its `error` set.

    Of a tar or zip archive, told by its content, come the files as archive.members has them: in the archive's order,
    hidden ones left out, refused and damaged ones with their `error` set. An archive found in a folder, or in another
    archive, is not opened: it comes out as any file does.

    Memory holds the names of one folder per level, whatever the number of files.
    """
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = os.fsdecode(path)
        if not is_url(path) and os.path.isdir(path):
            yield from _walk(path)
        elif is_archive(path):
            yield from _members(path)
        else:
            yield Found(path, named=True)


def is_image_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file found in a folder is to be read, by its first bytes.

    False for an empty file and one that starts like no image. True for images in formats that gmixer knows of but does
    not read (HEIC, JPEG XL …), and for a file that cannot be opened: `decode` then says why, and nothing is lost
    without a word.
    """
    try:
        head = read_head(path, HEAD_BYTES)
    except ImageError:
        return True
    return is_image(head)


def is_archive(path: str) -> bool:
    """Whether a path that was named is a tar, packed or not, or a zip, by its content."""
    if is_url(path):
        return False
    try:
        packed = archive_format(read_head(path, HEAD_BYTES))
    except ImageError:
        return False
    if packed is None:
        return False
    from gmixer.sources.archive import is_packed

    return is_packed(path, packed)


def _members(path: str) -> Iterator[Found]:
    from gmixer.sources.archive import members

    for member in members(path):
        if isinstance(member, ImageError):
            yield Found(member.source, named=False, error=member)
        else:
            yield Found(member.path, named=False, member=member)


def _walk(root: str) -> Iterator[Found]:
    # A stack of our own: folders may be nested deeper than Python's recursion goes.
    levels = [iter([os.path.join(root, "")])]
    while levels:
        path = next(levels[-1], None)
        if path is None:
            levels.pop()
        elif not path.endswith("/"):
            yield Found(path, named=False)
        else:
            try:
                levels.append(iter(_entries(path)))
            except OSError as error:
                named = len(levels) == 1
                folder = root if named else path.rstrip("/")
                reason = f"the folder cannot be read: {reason_of(error)}"
                yield Found(folder, named, ImageError("unreadable", reason, folder))


def _entries(folder: str) -> list[str]:
    """Paths of the files and folders in `folder`, sorted; those of folders end in "/".

    Sorted with that slash, they make the whole walk come out in the order of `sorted(paths)`.
    """
    with os.scandir(folder) as entries:
        visible = (entry for entry in entries if not entry.name.startswith("."))
        return sorted(entry.path + "/" if _is_folder(entry) else entry.path for entry in visible if _is_wanted(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _is_wanted(entry: os.DirEntry[str]) -> bool:
    """Folders and regular files; not links to folders (they may loop), pipes or devices."""
    try:
        return _is_folder(entry) or entry.is_file()
    except OSError:
        return True  # a link into a place we may not look at: reading it will say so
