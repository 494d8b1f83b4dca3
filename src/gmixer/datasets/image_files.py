"""Images that are files of their own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.dataset_base import DatasetBase
from gmixer.datasets.label_values import Labels
from gmixer.datasets.labeled_images import SoftLabels
from gmixer.datasets.splits import abbreviate
from gmixer.errors import InputError
from gmixer.sources.entry import read
from gmixer.sources.local import LocalFile


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
        return read(LocalFile(self.name(i)), self.reading.limits)


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
    present = [relative_path for relative_path in relative_paths if relative_path]
    if len(present) < len(relative_paths):
        row = next(row for row, relative_path in enumerate(relative_paths) if not relative_path)
        raise InputError(f"{source}: row {row} has no path; wanted one in each")
    missing = [relative_path for relative_path in present if not os.path.lexists(os.path.join(root, relative_path))]
    if len(missing) == len(relative_paths):
        raise InputError(f"{source} names {abbreviate(missing)}, but none exists; wanted paths from {root or '.'}")
    if again := len(relative_paths) - len(set(relative_paths)):
        notes = (*notes, f"{again:,} rows name a file that another row names too; each row counts")
    if missing:
        notes = (*notes, f"{len(missing):,} files are named but missing ({abbreviate(missing)})")
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
