"""Stored embeddings as data of a run: `gmixer train OUT`, where OUT is what `gmixer embed` wrote. No image is read.

N rows with a vector, C channels of a vector.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets import LabeledImages, Split, Subset, abbreviate, as_split
from gmixer.datasets.class_index import align_classes
from gmixer.datasets.columns import labels_in
from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.splits import by_folders, counted
from gmixer.errors import InputError
from gmixer.sources.remote import is_remote

if TYPE_CHECKING:
    from gmixer.bulk.stamp import Stamp
    from gmixer.bulk.stored import StoredEmbeddings

HINT = ": embed a folder of class folders, or a list with a column label"
COLUMNS = ["path", "vector", "label", "error_kind", "error_message"]


@dataclass(frozen=True, kw_only=True)
class StoredRows(DatasetBase):
    """The rows with a vector, in the order of their names. keys: their paths, below the folder that holds all of them.

    features_NC: (N, C) float32. unreadable: the rows without a vector, path → reason.
    """

    stamp: Stamp
    root: str
    keys: Sequence[str]
    features_NC: NDArray[np.float32]
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def key(self, i: int) -> str:
        return self.keys[i]

    def name(self, i: int) -> str:
        return self.root + self.keys[i]

    def read(self, i: int) -> bytes:
        """The bytes of the vector. They identify the data (run_data.identity), and are no image."""
        data: bytes = self.features_NC[i].tobytes()
        return data

    def fields_of(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        return {"keys": [self.keys[row] for row in rows], "features_NC": self.features_NC[rows]}


@dataclass(frozen=True, slots=True)
class StoredSplit(Split):
    """Both splits of stored embeddings."""

    train: StoredRows
    val: StoredRows


def holds_embeddings(data: str | os.PathLike[str]) -> bool:
    """Whether `data` is the output of `gmixer embed`: a folder of parts, a Parquet file with a stamp, or a place on
    object storage, where a run has no other data.
    """
    place = os.fspath(data)
    if is_remote(place):
        return True
    if os.path.isdir(place):
        if os.path.exists(os.path.join(place, "_gmixer", "manifest.json")):
            return True
        place = os.path.join(place, min((n for n in os.listdir(place) if n.endswith(".parquet")), default=""))
    if not os.path.isfile(place):
        return False
    with open(place, "rb") as file:
        if file.read(4) != b"PAR1":
            return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    from gmixer.bulk.stamp import KEY

    try:
        return KEY in (pq.read_schema(place).metadata or {})
    except (OSError, pa.ArrowInvalid):
        return False


def open_rows(
    stored: StoredEmbeddings, *, val_fraction: float, num_classes: int | None = None, val_folder: str | None = None
) -> StoredSplit:
    """The rows with a vector, in train and val, as open_split divides images.

    The folders train and val in the paths are the splits. Without them, val_fraction of each class is held out by name.
    num_classes: the labels are class indices below it. val_folder: the folder in the paths that is the val split.

    Raises InputError: no labels, one class, a vector that is not finite, nothing held out.
    """
    whole = _in_order(_read(stored))
    if not len(whole):
        raise InputError(f"{whole.source} has no row with a vector: {'; '.join(whole.notes) or 'it is empty'}")
    splits = _by_folder(whole, val_folder) if val_folder else by_folders(whole, whole.keys, whole.source)
    split = as_split(align_classes(splits, None, num_classes), val_fraction)
    return StoredSplit(_rows_of(split.train), _rows_of(split.val), split.is_drawn, val_folder or "")


def _read(stored: StoredEmbeddings) -> StoredRows:
    import pyarrow as pa

    from gmixer.bulk.stored import vectors_of

    features_NC = np.empty((stored.count(), stored.stamp.channels), np.float32)
    paths: list[str] = []
    labels: list[pa.Array] = []
    unreadable: dict[str, str] = {}
    kinds: Counter[str] = Counter()
    for batch in stored.batches(COLUMNS):
        has_vector = batch.column("vector").is_valid()
        for row in (
            batch.filter(batch.column("vector").is_null()).select(["path", "error_kind", "error_message"]).to_pylist()
        ):
            unreadable[row["path"]] = str(row["error_message"])
            kinds[str(row["error_kind"])] += 1
        readable = batch.filter(has_vector)
        begin = len(paths)
        paths += readable.column("path").to_pylist()
        features_NC[begin : len(paths)] = vectors_of(readable.column("vector"))
        labels.append(readable.column("label"))
        if not (finite_B := np.isfinite(features_NC[begin : len(paths)]).all(axis=1)).all():
            raise InputError(
                f"{stored.place} has a vector that is not finite, of {paths[begin + int(finite_B.argmin())]}; wanted "
                "finite numbers: remove its part, and embed again"
            )
    column = pa.chunked_array(labels, type=stored.dataset.schema.field("label").type)
    found = labels_in(column, None, stored.place)
    root = _folder_of_all([*paths, *unreadable])
    notes: tuple[str, ...] = ()
    if unreadable:
        by_kind = ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())
        notes = (f"{counted(len(unreadable), 'row')} without a vector left out: {by_kind} ({abbreviate(unreadable)})",)
    return StoredRows(
        source=stored.place,
        classes=found.classes,
        labels=found.index,
        notes=notes,
        written=found.written,
        hint=HINT,
        stamp=stored.stamp,
        root=root,
        keys=[path[len(root) :] for path in paths],
        features_NC=features_NC[: len(paths)],
        unreadable=unreadable,
    )


def _in_order(rows: StoredRows) -> StoredRows:
    """By their names, folder by folder, as the images of a folder are: after `embed --update` new rows stand last."""
    return rows.take(np.array(sorted(range(len(rows)), key=lambda i: rows.keys[i].split("/")), np.int64))


def _folder_of_all(paths: Sequence[str]) -> str:
    """The folder that all paths are in, with a slash; below it the names are those of the folder as data of a run."""
    common = os.path.commonprefix(paths)  # noqa: RUF071 - commonpath refuses URLs beside paths, and changes s3://
    return common[: common.rfind("/") + 1]


def _by_folder(whole: StoredRows, val_folder: str) -> Splits:
    is_val = np.array([val_folder in key.split("/")[:-1] for key in whole.keys], bool)
    if is_val.all() or not is_val.any():
        got = "all rows" if is_val.all() else "no row"
        raise InputError(f"{whole.source} has {got} in a folder {val_folder}; wanted some rows there (--val-folder)")
    return {"train": whole.take(np.flatnonzero(~is_val)), "val": whole.take(np.flatnonzero(is_val))}


def _rows_of(part: LabeledImages) -> StoredRows:
    rows = part.whole.take(part.chosen) if isinstance(part, Subset) else part  # type: ignore[attr-defined]
    assert isinstance(rows, StoredRows)
    return rows
