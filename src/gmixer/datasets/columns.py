"""The names and contents of a table's columns, for CSV, Parquet and Hugging Face `datasets`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets.class_index import checked, numbered
from gmixer.datasets.labeled_images import UNKNOWN, SoftLabels
from gmixer.errors import ImageError, InputError
from gmixer.options import Reading
from gmixer.sources.entry import read, too_many_bytes
from gmixer.sources.local import LocalFile

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE = ("image", "img", "jpg", "jpeg", "png", "webp")  # bytes, or Hugging Face's {bytes, path}
PATH = ("path", "file_name", "filename", "file", "filepath", "file_path", "image_path", "image")
LABEL = ("label", "labels", "class", "class_name", "category", "target", "cls", "fine_label")
SPLIT = ("split", "subset", "partition", "set", "data set", "data_set", "dataset", "phase")
TEACHER = ("teacher_index", "teacher_probability")


def find(wanted: Sequence[str], columns: Sequence[str]) -> str | None:
    """The first of the wanted names that is a column, ignoring case; spelled as the column is."""
    there = {column.strip().lower(): column for column in reversed(columns)}
    return next((there[name] for name in wanted if name in there), None)


def label_column(columns: Sequence[str], source: str) -> str:
    """Raises InputError if there is none."""
    if (column := find(LABEL, columns)) is None:
        raise InputError(f"{source} has the columns {', '.join(columns)}; wanted one with the name label")
    return column


def labels_in(
    column: pa.ChunkedArray, names: Sequence[str] | None, source: str
) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """(n,) labels and their classes. names: the classes for whole numbers, if the table holds their names.

    Raises InputError for labels that are neither whole numbers nor texts, and for a number without a name.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return numbered(column.to_pylist(), source)
    try:  # also floats: pandas makes them from whole numbers if some rows have none
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        column = column.cast(pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"{source} has labels of the type {column.type}; wanted whole numbers or names") from None
    labels = checked(pc.fill_null(column, UNKNOWN).to_numpy(), source)
    if names is not None and labels.size and labels.max() >= len(names):
        raise InputError(
            f"{source} has the label {labels.max()}, but names for {len(names)} classes; wanted a name for each"
        )
    return labels, tuple(names) if names is not None else None


def bytes_of(value: Any, *, name: str, folder: str, reading: Reading) -> bytes:
    """A cell of the image column (bytes, a path or Hugging Face's {bytes, path}) → the bytes of the file.

    folder: the folder that a path starts from. Raises ImageError with `name`.
    """
    path = None
    if isinstance(value, Mapping):
        value, path = value.get("bytes"), value.get("path")
    elif isinstance(value, str):
        value, path = None, value
    if value is None and path:
        return read(LocalFile(os.path.join(folder, path)), reading.limits, source=name)
    if value is None:
        raise ImageError("empty", "has no image in its row", name)
    if len(value) > reading.limits.max_bytes:
        raise too_many_bytes(f"{len(value):,}", name, reading.limits)
    return bytes(value)


def teacher_columns(columns: Sequence[str]) -> list[str]:
    """The columns that `soft_labels` reads; none unless all of them exist."""
    return [*TEACHER] if all(name in columns for name in TEACHER) else []


def soft_labels(table: pa.Table, source: str) -> SoftLabels | None:
    """The columns TEACHER, with lists of at most k numbers in each row → arrays (n, k); None if there are none.

    Raises InputError if the two columns do not fit together.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if not teacher_columns(table.column_names):
        return None
    index, probability = (table[name] for name in TEACHER)
    counts, others = (pc.fill_null(pc.list_value_length(lists), 0).to_numpy() for lists in (index, probability))
    if not np.array_equal(counts, others):
        row = int(np.flatnonzero(counts != others)[0])
        raise InputError(
            f"{source}: row {row} has {counts[row]} in teacher_index and {others[row]} in teacher_probability; "
            "wanted equal numbers"
        )
    filled = np.arange(counts.max(initial=0))[None, :] < counts[:, None]
    soft = SoftLabels(np.full(filled.shape, -1, np.int32), np.zeros(filled.shape, np.float32))
    soft.index[filled] = pc.list_flatten(index).cast(pa.int32()).to_numpy()
    soft.probability[filled] = pc.list_flatten(probability).cast(pa.float32()).to_numpy()
    if (soft.index[filled] < 0).any() or not ((soft.probability >= 0) & (soft.probability <= 1)).all():
        raise InputError(f"{source} has a teacher_index below 0 or a teacher_probability outside 0 … 1; wanted no such")
    return soft
