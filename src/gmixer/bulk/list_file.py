"""A list of images in a file: .csv and .parquet with a column of paths or URLs, .txt with one in each line."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from typing import NamedTuple

from gmixer.bulk.table_images import opened_table
from gmixer.datasets import columns
from gmixer.datasets.csv_table import DELIMITER_LINE, DELIMITERS
from gmixer.datasets.label_values import label_text
from gmixer.datasets.parquet import class_names, is_text
from gmixer.errors import ImageError, InputError
from gmixer.options import Storage
from gmixer.sources.local import LocalFile
from gmixer.sources.remote import RemoteFile, described, file_at, is_remote, open_to_seek
from gmixer.sources.text_file import lines_in

PLACES = (*columns.PATH, "url", "image_url", "uri")
_ROWS = 4_096  # read at a time


class Row(NamedTuple):
    """path: a path or a URL, as it is written; "" for none. at: where the row is. problem: why it cannot be read."""

    path: str
    label: str | None
    at: str
    problem: str | None = None


def list_rows(file: str, storage: Storage) -> Iterator[Row]:
    """The rows of a list, one at a time. file: on this machine or on object storage.

    Raises InputError for another suffix, a list that cannot be read, and one without a column of paths or URLs.
    """
    suffix = os.path.splitext(file)[1].lower()
    rows = {".csv": _csv_rows, ".parquet": _parquet_rows, ".txt": _text_rows}.get(suffix)
    if rows is None:
        raise InputError(f"{file} ends in {suffix or 'no suffix'}; wanted a list that ends in .csv, .parquet or .txt")
    try:
        yield from rows(described(file_at(file, storage)) if is_remote(file) else LocalFile(file))
    except ImageError as error:
        raise InputError(f"{error}; wanted a list of images") from None


def _text_rows(file: LocalFile | RemoteFile) -> Iterator[Row]:
    for number, line in enumerate(_lines(file), 1):
        if path := line.strip():
            yield Row(path, None, f"{file.key}: line {number}")


def _csv_rows(file: LocalFile | RemoteFile) -> Iterator[Row]:
    lines = _lines(file)
    first = next(lines, "")
    skipped = 1
    if first.lower().startswith(DELIMITER_LINE):  # Excel's own first line
        delimiter, first = first.rstrip("\r\n")[len(DELIMITER_LINE) :][:1] or ",", next(lines, "")
        skipped = 2
    else:
        delimiter = max(DELIMITERS, key=first.count)
    header = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    place, label = _places(header, file.key)
    reader = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            row = [str(error)]
        if row is None:
            return
        at = f"{file.key}: line {reader.line_num + skipped}"
        if len(row) == len(header):
            cell = None if label is None else row[header.index(label)]
            yield Row(row[header.index(place)].strip(), label_text(cell), at)
        elif any(cell.strip() for cell in row):
            why = f"has {len(row)} cells, the header {len(header)}: put cells that hold the delimiter in quotes"
            yield Row("", None, at, why)


def _parquet_rows(file: LocalFile | RemoteFile) -> Iterator[Row]:
    with opened_table(file) as table:
        schema = table.schema_arrow
        place, label = _places(schema.names, file.key)
        texts = [field.name for field in schema if is_text(field.type)]
        if (text := columns.find(PLACES, texts)) is None:
            kind = schema.field(place).type
            raise InputError(f"{file.key} has {kind} in the column {place}; wanted text: paths or URLs")
        place = text
        names = class_names(schema, label) if label else None
        number = 0
        for batch in table.iter_batches(_ROWS, columns=[place, *([label] if label else [])], use_threads=False):
            paths = batch.column(place).to_pylist()
            labels = batch.column(label).to_pylist() if label else [None] * len(paths)
            for path, value in zip(paths, labels, strict=True):
                yield Row(path or "", label_text(value, names), f"{file.key}[{number}]")
                number += 1


def _places(header: list[str], file: str) -> tuple[str, str | None]:
    """The columns of places and of labels. Raises InputError if there are no places."""
    place, label = columns.find(PLACES, header), columns.find(columns.LABEL, header)
    if place is None:
        raise InputError(f"{file} has the columns {', '.join(header)}; wanted one with the name path or url")
    return place, label


def _lines(file: LocalFile | RemoteFile) -> Iterator[str]:
    with open_to_seek(file) as opened:
        yield from lines_in(opened, file.key)
