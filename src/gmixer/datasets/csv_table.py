"""A CSV file with a header row: a column of paths, relative to the folder of the file, and a column of labels."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gmixer.datasets import columns
from gmixer.datasets.dataset_base import Splits
from gmixer.datasets.image_files import Files, files_at
from gmixer.datasets.label_values import numbered
from gmixer.datasets.splits import by_column
from gmixer.errors import InputError
from gmixer.sources.text_file import read_text

DELIMITERS = ",;\t|"
DELIMITER_LINE = "sep="  # Excel's own first line, such as `sep=;`


def open_csv(file: str, source: str) -> Splits:
    """What a label means: label_values.numbered. A column split says which rows are train and which are val.

    Raises InputError for a missing column, a row of another length, and if all files are missing.
    """
    header, rows = table_in(file)
    path = columns.find(columns.PATH, header)
    if path is None:
        raise InputError(f"{file} has the columns {', '.join(header)}; wanted a header row with path and label")
    whole, split, cells = labelled_rows(header, rows, path=path, file=file, source=source)
    return by_column(whole, split, cells, source)


def labelled_rows(
    header: Sequence[str], rows: Sequence[Sequence[Any]], *, path: str, file: str, source: str
) -> tuple[Files, str | None, list[Any]]:
    """The images of a table; a column that may tell the split and its cells, if there is one.

    path: the column of paths, which start from the folder of `file`.
    """
    label = columns.label_column(header, file)
    split = columns.find(columns.SPLIT, header)
    whole = files_at(
        root=os.path.dirname(file),
        relative_paths=[str(row[header.index(path)] or "") for row in rows],
        source=source,
        labels=numbered([row[header.index(label)] for row in rows], source),
        soft=None,
        notes=columns.unread_splits(header),
    )
    return whole, split, [row[header.index(split)] for row in rows] if split else []


def table_in(file: str) -> tuple[list[str], list[list[str]]]:
    """The header, and the rows that are not empty. Raises InputError."""
    text = read_text(file)
    first = io.StringIO(text, newline="").readline()
    skipped = first.lower().startswith(DELIMITER_LINE)
    with _cells_of_any_length(len(text)):
        if skipped:
            text, delimiter = text[len(first) :], first.rstrip("\r\n")[len(DELIMITER_LINE) :][:1] or ","
        else:
            delimiter = _delimiter_of(first)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            header = [cell.strip() for cell in next(reader, [])]
            rows = []
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                if len(row) != len(header):
                    raise InputError(
                        f"{file}: line {reader.line_num + skipped} has {len(row)} cells, the header {len(header)}; "
                        "wanted equal numbers: put cells that hold the delimiter in quotes"
                    )
                rows.append(row)
        except csv.Error:
            raise InputError(
                f"{file} cannot be read as a table: up to line {reader.line_num + skipped}, a quotation mark opens a "
                'cell that does not end with one; wanted a quotation mark inside a cell twice, as in "5"" pipe"'
            ) from None
    if not rows:
        raise InputError(f"{file} has no rows; wanted a header row with path and label, and an image in each row")
    return header, rows


def _delimiter_of(first: str) -> str:
    """The one that gives a column of paths and one of labels; else the commonest in the line."""
    for delimiter in DELIMITERS:
        header = next(csv.reader([first], delimiter=delimiter), [])
        if columns.find(columns.PATH, header) and columns.find(columns.LABEL, header):
            return delimiter
    return max(DELIMITERS, key=first.count)


@contextmanager
def _cells_of_any_length(length: int) -> Iterator[None]:
    """The limit of the module csv, 131,072 characters, holds for the whole process: other code may rely on it."""
    before = csv.field_size_limit(max(length, csv.field_size_limit()))
    try:
        yield
    finally:
        csv.field_size_limit(before)
