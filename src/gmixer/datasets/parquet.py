"""Parquet files: a column with the bytes or paths of images, and one of labels; also in Hugging Face's layout."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gmixer.datasets import columns
from gmixer.datasets.columns import bytes_of
from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.image_files import Files, files_at
from gmixer.datasets.label_values import Labels
from gmixer.datasets.splits import by_column, splits_of, words_of_files
from gmixer.errors import ImageError, InputError, require, words_of

if TYPE_CHECKING:
    import pyarrow as pa

MAX_HELD_BYTES = 2 * 2**30  # guessed: up to this size, unpacked, all images are kept in memory
_ARROW_ERRORS = (OSError, ValueError, NotImplementedError)  # Arrow's own errors are of these classes


def open_parquet(files: Sequence[str], source: str) -> Splits:
    """files: of one data set, in order. Their names, such as train-* and val-*, or their folders tell the
    split, otherwise a column split.

    Raises InputError for damaged files and for columns that are missing or do not fit; MissingExtraError.
    """
    splits, notes = splits_of(words_of_files(files, source), source)
    if "whole" not in splits:
        return {split: _opened(of_split, source, notes)[0] for split, of_split in splits.items()}
    whole, column, cells = open_rows(files, source)
    return by_column(whole, column, cells, source)


def open_rows(files: Sequence[str], source: str) -> tuple[Rows | Files, str | None, list[Any]]:
    """All rows, whatever the files are called; a column that may tell the split and its cells, if there is one."""
    return _opened(files, source, ())


class ImageColumn:
    """One column of several Parquet files, by row: bytes, a path, or {bytes, path}; None for an empty cell.

    A row group is unpacked as a whole. All row groups are kept if they take at most MAX_HELD_BYTES together, otherwise
    only the last one. A copy in another process starts without any.
    """

    def __init__(self, files: Sequence[str], column: str) -> None:
        self.files = tuple(files)
        self._column = column
        self._groups: list[tuple[int, int]] = []  # (file, group in it)
        rows, held_bytes = [0], 0
        self._first_rows: list[int] = []
        self._metadata: list[Any] = []  # parsed once: with many row groups this takes milliseconds
        for i, file in enumerate(files):
            self._first_rows.append(rows[-1])
            metadata = _parquet_file(file).metadata
            self._metadata.append(metadata)
            for group in range(metadata.num_row_groups):
                of_group = metadata.row_group(group)
                chunks = (of_group.column(j) for j in range(of_group.num_columns))
                held_bytes += sum(
                    chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] == column
                )
                self._groups.append((i, group))
                rows.append(rows[-1] + of_group.num_rows)
        self._starts = np.array(rows)
        self._paths = _paths(files, self._metadata, column)
        self.is_held = held_bytes <= MAX_HELD_BYTES
        self._held: dict[int, pa.ChunkedArray] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": {}}

    def hold(self) -> None:
        """Unpacks everything now, if it is kept."""
        if self.is_held:
            for group in range(len(self._groups)):
                with suppress(*_ARROW_ERRORS):  # a damaged one costs its images, when they are read
                    self._unpacked(group)

    def place(self, row: int) -> tuple[str, int]:
        """The file, and the row in it."""
        group = self._group_of(row)
        file = self._groups[group][0]
        return self.files[file], row - self._first_rows[file]

    def path(self, row: int) -> str:
        """The path in the row; "" if there is none."""
        return "" if self._paths is None else self._paths[row].as_py() or ""

    def __getitem__(self, row: int) -> Any:
        group = self._group_of(row)
        return self._unpacked(group)[row - int(self._starts[group])].as_py()

    def _group_of(self, row: int) -> int:
        return int(np.searchsorted(self._starts, row, side="right")) - 1

    def _unpacked(self, group: int) -> pa.ChunkedArray:
        held = self._held.get(group)
        if held is None:
            file, number = self._groups[group]
            # One thread: a forked process may be reading here, and it has none of Arrow's threads.
            parquet = _parquet_file(self.files[file], self._metadata[file])
            table = parquet.read_row_group(number, columns=[self._column], use_threads=False)
            held = table.column(0)
            if not self.is_held:
                self._held = {}  # not clear(): another thread may still use the old one
            self._held[group] = held
        return held


@dataclass(frozen=True, kw_only=True)
class Rows(DatasetBase):
    """rows: (n,) the rows of these images in the column."""

    column: ImageColumn
    rows: NDArray[np.int64]

    def fields_of(self, rows: NDArray[np.int64]) -> dict[str, Any]:
        return {"rows": self.rows[rows]}

    def key(self, i: int) -> str:
        file, row = self.column.place(int(self.rows[i]))
        return f"{os.path.basename(file)}[{row}]"

    def name(self, i: int) -> str:
        file, row = self.column.place(int(self.rows[i]))
        path = self.column.path(int(self.rows[i]))
        return f"{file}[{row}]::{path}" if path else f"{file}[{row}]"

    def read(self, i: int) -> bytes:
        name = self.name(i)
        try:
            value = self.column[int(self.rows[i])]
        except _ARROW_ERRORS as error:
            raise ImageError(
                "corrupt", f"cannot be unpacked: {_first_line(error)}; the file is damaged", name
            ) from None
        folder = os.path.dirname(self.column.place(int(self.rows[i]))[0])
        return bytes_of(value, name=name, folder=folder, reading=self.reading)

    def prepare(self) -> None:
        self.column.hold()


def _opened(files: Sequence[str], source: str, notes: tuple[str, ...]) -> tuple[Rows | Files, str | None, list[Any]]:
    """The rows of the files; a column that may tell the split and its cells, if there is one."""
    try:
        return _rows(files, source, notes)
    except InputError:
        raise
    except _ARROW_ERRORS as error:
        raise InputError(f"{source} cannot be read: {_first_line(error)}; wanted complete Parquet files") from None


def _rows(files: Sequence[str], source: str, notes: tuple[str, ...]) -> tuple[Rows | Files, str | None, list[Any]]:
    import pyarrow as pa

    schemas = {file: _parquet_file(file).schema_arrow for file in files}
    schema = schemas[files[0]]
    image = image_column(schema, files[0])
    label = columns.find(columns.LABEL, schema.names) or only_of_type("ClassLabel", schema)
    label = label or columns.label_column(schema.names, files[0])
    split = columns.find(columns.SPLIT, schema.names)
    is_path = is_text(schema.field(image).type)
    wanted = [label, *columns.teacher_columns(schema.names), *([split] if split else []), *([image] if is_path else [])]
    tables = []
    for file in files:
        if strange := [column for column in (image, *wanted) if column not in schemas[file].names]:
            raise InputError(f"{file} has no column {strange[0]}, unlike {files[0]}; wanted the same columns in all")
        try:
            tables.append(_parquet_file(file).read(columns=wanted))
        except _ARROW_ERRORS as error:
            raise InputError(f"{file} cannot be read: {_first_line(error)}; wanted a complete Parquet file") from None
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"{source}: {_first_line(error)}; wanted the same columns in all files") from None
    if not table.num_rows:
        raise InputError(f"{source} has no rows; wanted an image in each")
    labels = columns.labels_in(table[label], _class_names_of(schemas, label), source)
    soft = columns.soft_labels(table, source)
    cells = table[split].to_pylist() if split else []
    rows = np.arange(table.num_rows)
    column = ImageColumn(files, image)
    whole = Rows(
        source=source,
        classes=labels.classes,
        labels=labels.index,
        written=labels.written,
        soft=soft,
        notes=notes + columns.unread_splits(schema.names),
        column=column,
        rows=rows,
    )
    return (_as_files(whole, table[image].to_pylist()) if is_path else whole), split, cells


def image_column(schema: pa.Schema, file: str) -> str:
    """The column of bytes, of paths, or of Hugging Face's {bytes, path}. file: its name in errors.

    Raises InputError if there is none.
    """
    fitting = [field.name for field in schema if _holds_images(field.type)]
    names = (*columns.IMAGE, *columns.PATH)
    image = columns.find(names, fitting) or only_of_type("Image", schema)
    if image is not None and image in fitting:
        return image
    if unfit := image or columns.find(names, schema.names):
        raise InputError(
            f"{file} has {schema.field(unfit).type} in the column {unfit}; wanted the bytes of images, paths, or a "
            "struct of bytes and path"
        )
    raise InputError(f"{file} has the columns {', '.join(schema.names)}; wanted one with the name image or path")


def _holds_images(kind: pa.DataType) -> bool:
    import pyarrow.types as of

    if of.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        return all(fits(fields[name]) for name, fits in (("bytes", is_binary), ("path", is_text)) if name in fields)
    return is_binary(kind) or is_text(kind)


def is_binary(kind: pa.DataType) -> bool:
    """Also for a categorical column of pandas, and for one in which every cell is null."""
    import pyarrow.types as of

    kind = kind.value_type if of.is_dictionary(kind) else kind
    tests = (of.is_binary, of.is_large_binary, of.is_fixed_size_binary, of.is_binary_view, of.is_null)
    return any(test(kind) for test in tests)


def is_text(kind: pa.DataType) -> bool:
    """As is_binary."""
    import pyarrow.types as of

    kind = kind.value_type if of.is_dictionary(kind) else kind
    return any(test(kind) for test in (of.is_string, of.is_large_string, of.is_string_view, of.is_null))


def _paths(files: Sequence[str], metadata: Sequence[Any], column: str) -> pa.ChunkedArray | None:
    """The paths of a column of Hugging Face's {bytes, path}, by row; None if there are none, or they cannot be read.

    metadata: of each file.
    """
    import pyarrow as pa

    chunks: list[pa.Array] = []
    for file, of_file in zip(files, metadata, strict=True):
        parquet = _parquet_file(file, of_file)
        kind = parquet.schema_arrow.field(column).type
        none = pa.nulls(of_file.num_rows, pa.string())
        if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
            chunks.append(none)
            continue
        try:
            paths = parquet.read(columns=[f"{column}.path"]).column(0)
            chunks += [chunk.field("path").cast(pa.string()) for chunk in paths.chunks]
        except (OSError, pa.ArrowException):  # with damage there, the images only lose their names
            chunks.append(none)
    found = pa.chunked_array(chunks, pa.string())
    return found if found.null_count < len(found) else None


def _as_files(rows: Rows, paths: list[str | None]) -> Files:
    """For a column of paths alone: they start from the folder of their Parquet file."""
    folders = {os.path.dirname(file) for file in rows.column.files}
    if len(folders) > 1:
        raise InputError(
            f"{rows.source} holds paths in files of {len(folders)} folders; wanted the files in one folder"
        )
    return files_at(
        root=folders.pop(),
        relative_paths=paths,
        source=rows.source,
        labels=Labels(rows.labels, rows.classes, rows.written),
        soft=rows.soft,
        notes=rows.notes,
    )


def _class_names_of(schemas: Mapping[str, pa.Schema], label: str) -> list[str] | None:
    """schemas: by file. Raises InputError if the files have different lists of classes."""
    first: tuple[str, list[str]] | None = None
    for file, schema in schemas.items():
        names = class_names(schema, label)
        if names is not None and first is None:
            first = file, names
        elif first is not None and names not in (None, first[1]):
            raise InputError(f"{file} names other classes than {first[0]}; wanted the same in all files, in one order")
    return first and first[1]


def class_names(schema: pa.Schema, label: str) -> list[str] | None:
    feature = _features(schema).get(label)
    names = feature.get("names") if isinstance(feature, Mapping) else None
    return [str(name) for name in names] if isinstance(names, list) else None


def only_of_type(kind: str, schema: pa.Schema) -> str | None:
    """The only column that is an "Image" or a "ClassLabel" of Hugging Face `datasets`, under any name."""
    features = {name: of for name, of in _features(schema).items() if name in schema.names and isinstance(of, Mapping)}
    names = [name for name, feature in features.items() if feature.get("_type") == kind]
    return names[0] if len(names) == 1 else None


def _features(schema: pa.Schema) -> Mapping[str, Any]:
    """From the metadata that Hugging Face `datasets` writes: {"info": {"features": {label: {"names": […]}}}}."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):  # a file written by another program
        return {}
    return features if isinstance(features, Mapping) else {}


def _parquet_file(file: str, metadata: Any = None) -> Any:
    """metadata: of the file, if it was parsed before."""
    with require("reading Parquet", "train", ["pyarrow"]):
        import pyarrow.parquet as pq
    path = os.path.join(os.getcwd(), file)  # Arrow takes a relative path such as ~/a or s3:a for another place
    try:
        return pq.ParquetFile(path, memory_map=True, metadata=metadata)
    except _ARROW_ERRORS as error:
        raise InputError(f"{file} cannot be read: {_first_line(error)}; wanted a complete Parquet file") from None


def _first_line(error: Exception) -> str:
    return words_of(error, "it is cut short or damaged")
