"""Images that are files of their own."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.dataset_base import DatasetBase
from gmixer.datasets.label_values import Labels
from gmixer.datasets.labeled_images import SoftLabels
from gmixer.datasets.splits import abbreviate, counted
from gmixer.errors import ImageError, InputError
from gmixer.options import Reading
from gmixer.sources.address import is_local, split_member
from gmixer.sources.entry import read
from gmixer.sources.local import LocalFile

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@dataclass(frozen=True, kw_only=True)
class Files(DatasetBase):
    """root: the folder that relative_paths start from, as typed; one of them may also be an absolute path."""

    root: str
    relative_paths: Sequence[str]

    def fields_of(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        return {"relative_paths": [self.relative_paths[row] for row in rows]}

    def key(self, i: int) -> str:
        return self.relative_paths[i]

    def name(self, i: int) -> str:
        return os.path.join(self.root, self.relative_paths[i])

    def read(self, i: int) -> bytes:
        return read_named(self.relative_paths[i], self.root, source=self.name(i), reading=self.reading)


def read_named(path: str, root: str, *, source: str, reading: Reading) -> bytes:
    """The bytes of the file that a table names. Raises ImageError, with `source`."""
    try:
        return read(LocalFile(os.path.join(root, path)), reading.limits, source=source)
    except ImageError as error:
        if error.kind == "missing" and (what := _other_than_a_file(path, root)):
            raise ImageError("missing", f"is {what}; a table names files on this machine", source) from None
        raise


def files_at(
    *,
    root: str,
    relative_paths: Sequence[str | None],
    source: str,
    labels: Labels,
    soft: SoftLabels | None,
    notes: tuple[str, ...],
) -> Files:
    """The files named in a table. The notes say how many of them are missing.

    Raises InputError for a row without a path, and if all files are missing.
    """
    if without := [row for row, path in enumerate(relative_paths) if not (path and path.strip())]:
        raise InputError(f"{source}: row {without[0]} has no path; wanted one in each")
    found = [found_at(path or "", root) for path in relative_paths]
    missing = [(path or "").strip() for path, place in zip(relative_paths, found, strict=True) if place is None]
    others = [(path, what) for path in missing if (what := _other_than_a_file(path, root))]
    why = f"; {others[0][0]} is {others[0][1]}, and a table names files on this machine" if others else ""
    if len(missing) == len(relative_paths):
        raise InputError(
            f"{source} names {abbreviate(missing)}, but none exists{why}; wanted paths that start "
            f"from {os.path.abspath(root)}"
        )
    present = [place or str(path).strip() for path, place in zip(relative_paths, found, strict=True)]
    if again := len(present) - len(set(present)):
        many = counted(again, "row names", "rows name")
        notes = (*notes, f"{many} a file that another row names too; each row counts")
    if missing:
        many = counted(len(missing), "file is", "files are")
        notes = (
            *notes,
            f"{many} named but missing ({abbreviate(missing)}): the number of images includes missing files{why}",
        )
    return Files(
        source=source,
        classes=labels.classes,
        labels=labels.index,
        written=labels.written,
        soft=soft,
        notes=notes,
        root=root,
        relative_paths=present,
    )


def found_at(path: str, root: str) -> str | None:
    """The path by which the file exists: as it is written, else as another system may have written the same name.

    Those are white space at the ends, backslashes for slashes, and the composed or decomposed form of letters.
    """
    if os.path.lexists(os.path.join(root, path)):
        return path
    plain = path.strip()
    slashed = plain.replace("\\", "/")
    spellings = (plain, slashed, unicodedata.normalize("NFC", slashed), unicodedata.normalize("NFD", slashed))
    return next((spelling for spelling in spellings if os.path.lexists(os.path.join(root, spelling))), None)


def _other_than_a_file(path: str, root: str) -> str | None:
    """What a path that names no file is, in words; None if it is just a missing file."""
    if not is_local(path):
        return "a URL"
    if split_member(os.path.join(root, path)):
        return "a member of an archive"
    if _WINDOWS.match(path):
        return "a path of Windows, with a drive or a server"
    return None
