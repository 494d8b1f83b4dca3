"""A CSV file with a header row: a column of paths, relative to the folder of the file, and a column of labels."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence

from gmixer.datasets import columns
from gmixer.datasets.class_index import numbered
from gmixer.datasets.dataset_base import Splits
from gmixer.datasets.image_files import files_at
from gmixer.datasets.splits import by_column
from gmixer.errors import InputError

DELIMITERS = ",;\t|"


def open_csv(file: str, source: str) -> Splits:
    """Labels are numbers if all of them are whole numbers, otherwise names; an empty label is UNKNOWN. A column split
    says which rows are train and which are val.

    Raises InputError for a missing column, a row of another length, and if all files are missing.
    """
    header, rows = _table(file)
    path = columns.find(columns.PATH, header)
    if path is None:
        raise InputError(f"{file} has the columns {', '.join(header)}; wanted a header row with path and label")
    label = columns.label_column(header, file)
    split = columns.find(columns.SPLIT, header)
    labels, classes = numbered(_values([row[header.index(label)].strip() for row in rows]), source)
    whole = files_at(
        root=os.path.dirname(file),
        relative_paths=[row[header.index(path)].strip() for row in rows],
        source=source,
        classes=classes,
        labels=labels,
        soft=None,
        notes=(),
    )
    return by_column(whole, [row[header.index(split)] for row in rows] if split else None, source)


def _table(file: str) -> tuple[list[str], list[list[str]]]:
    """The header, and the rows that are not empty. Raises InputError."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as text:
            first = text.readline()
            text.seek(0)
            reader = csv.reader(text, delimiter=max(DELIMITERS, key=first.count), strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            rows = []
            for row in reader:
                if row and len(row) != len(header):
                    raise InputError(
                        f"{file}: line {reader.line_num} has {len(row)} cells, the header {len(header)}; wanted equal "
                        "numbers: put cells that hold the delimiter in quotes"
                    )
                if row:
                    rows.append(row)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{file} cannot be read as a table: {error}; wanted CSV in UTF-8") from None
    if not rows:
        raise InputError(f"{file} has no rows; wanted a header row with path and label, and an image in each row")
    return header, rows


def _values(cells: Sequence[str]) -> list[int | str | None]:
    try:
        return [int(cell) if cell else None for cell in cells]
    except ValueError:
        return list(cells)  # `numbered` recognizes empty cells
