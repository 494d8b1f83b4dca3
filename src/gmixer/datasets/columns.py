"""The names and contents of a table's columns, for CSV, Parquet and Hugging Face `datasets`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gmixer.datasets.image_files import found_at, read_named
from gmixer.datasets.label_values import Labels, numbered
from gmixer.datasets.labeled_images import UNKNOWN, SoftLabels
from gmixer.errors import ImageError, InputError
from gmixer.options import Reading
from gmixer.sources.entry import too_many_bytes

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE = ("image", "img", "jpg", "jpeg", "png", "webp")  # bytes, or Hugging Face's {bytes, path}
PATH = ("path", "file_name", "filename", "file", "filepath", "file_path", "image_path", "image", "img", "image_name")
LABEL = ("label", "labels", "class", "class_name", "category", "target", "cls", "fine_label")
SPLIT = ("split", "subset", "partition", "set", "data set", "data_set", "dataset", "phase", "usage")
UNREAD_SPLIT = ("is_valid", "is_val", "is_validation", "is_test", "is_train", "is_training", "fold")
MAX_PADDING = 1_000  # times the answers stored: every row takes the memory of the longest. Guessed
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


def unread_splits(columns: Sequence[str]) -> tuple[str, ...]:
    """A note where a column may tell the split in a form that is not read."""
    if find(SPLIT[:1], columns) or (column := find(UNREAD_SPLIT, columns)) is None:
        return ()
    return (f"the column {column} is not read; a column split, with train or val in each row, names the splits",)


def labels_in(column: pa.ChunkedArray, names: Sequence[str] | None, source: str) -> Labels:
    """names: the classes that whole numbers index, if the table holds their names.

    Raises InputError as `numbered` does, and for a number without a name.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)  # a categorical may hold categories that no row has
    try:
        encoded = pc.dictionary_encode(column).combine_chunks()  # the meaning of a value is found once, not by row
    except pa.ArrowNotImplementedError:
        labels = numbered(column.to_pylist(), source)
    else:
        distinct = numbered([*encoded.dictionary.to_pylist(), None], source)
        place = pc.fill_null(encoded.indices, len(encoded.dictionary)).to_numpy(zero_copy_only=False)
        labels = replace(distinct, index=distinct.index[place])
    if names is None or labels.classes is not None:
        return labels
    if labels.index.max(initial=UNKNOWN) >= len(names):
        raise InputError(
            f"{source} has the label {labels.index.max()}, but names for {len(names)} classes; wanted a name for each"
        )
    return Labels(labels.index, tuple(names))


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
        return read_named(found_at(path, folder) or path, folder, source=name, reading=reading)
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
    if len(counts) * int(counts.max(initial=0)) > MAX_PADDING * (int(counts.sum()) + len(counts)):
        row = int(counts.argmax())
        raise InputError(
            f"{source}: row {row} has {counts[row]:,} in teacher_index, and the mean row {counts.mean():.3g}; wanted "
            "about as many in each row"
        )
    filled = np.arange(counts.max(initial=0))[None, :] < counts[:, None]
    soft = SoftLabels(np.full(filled.shape, -1, np.int32), np.zeros(filled.shape, np.float32))
    soft.index[filled] = pc.list_flatten(index).cast(pa.int32()).to_numpy()
    soft.probability[filled] = pc.list_flatten(probability).cast(pa.float32()).to_numpy()
    if (soft.index[filled] < 0).any() or not ((soft.probability >= 0) & (soft.probability <= 1)).all():
        raise InputError(f"{source} has a teacher_index below 0 or a teacher_probability outside 0 … 1; wanted no such")
    return soft
