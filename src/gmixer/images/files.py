"""Files and folders, as typed on a command line → the files to read, one at a time and in order."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gmixer.errors import ImageError
from gmixer.images.read import read_head, reason_of
from gmixer.images.sniff import HEAD_BYTES, other_image, sniff


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read, or a folder that could not be read.

    path: as typed; for a file found in a folder, the folder as typed and then the way down.
    named: the user typed this path itself, so it deserves an answer even if it is no image or does not exist.
    error: None for a file; for a folder, why it could not be read.
    """

    path: str
    named: bool
    error: ImageError | None = None


def find_images(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Iterator[Found]:
    """Each named file as it is, and of each named folder all regular files below it; read while you iterate.

    A named file comes out whether or not it exists or is an image. Of a folder come the files of all its folders, in
    the sorted order of their paths, images or not: ask `is_image_file`. Hidden files and folders (`.name`), links
    to folders and broken links are left out. A folder that cannot be read comes out with its `error` set.

    Memory holds the names of one folder per level, whatever the number of files.
    """
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = os.fsdecode(path)
        if os.path.isdir(path):
            yield from _walk(path)
        else:
            yield Found(path, named=True)


def is_image_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file found in a folder is to be read, by its first 32 bytes.

    False for an empty file and one that starts like no image. True for images in formats that gmixer knows of but does
    not read (HEIC, JPEG XL …), and for a file that cannot be opened: `decode` then says why, and nothing is lost
    without a word.
    """
    try:
        head = read_head(path, HEAD_BYTES)
    except ImageError:
        return True
    return sniff(head) is not None or other_image(head) is not None


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
