"""Images beside a metadata file, as Hugging Face's imagefolder has them: a column file_name, and one of labels.

`photos/metadata.csv` and `photos/7.jpg`, or `photos/train/metadata.jsonl` and `photos/train/7.jpg`, and so on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gmixer.datasets import columns
from gmixer.datasets.dataset_base import DatasetBase, Splits
from gmixer.datasets.image_files import Files
from gmixer.datasets.split_folders import folders_in, metadata_in
from gmixer.datasets.splits import abbreviate, by_column, by_folders, counted
from gmixer.errors import ImageError, InputError, require
from gmixer.sources.entry import may_be_image
from gmixer.sources.listing import list_files
from gmixer.sources.text_file import read_text


def open_metadata(folder: str, source: str) -> Splits | None:
    """The images that the folder's metadata file names, a split for each that its column split or the paths name.

    None without such a file, and for one without file names or labels if there are class folders instead. The notes
    name images that are in no row. Raises InputError for a file that cannot be read, and as CSV and Parquet do.
    """
    files = metadata_in(folder)
    if not files:
        return None
    file = files[0]
    header, rows = _table(file)
    path = file_name_column(header)
    if path is None or columns.find(columns.LABEL, header) is None:
        if folders_in(folder):
            return None
        raise InputError(f"{file} has the columns {', '.join(header)}; wanted file_name and label")
    if len(files) > 1:
        raise InputError(f"{folder} holds {' and '.join(map(os.path.basename, files))}; wanted one of them")
    if rows is None:
        from gmixer.datasets.parquet import open_rows

        whole, column, cells = open_rows([file], source)
    else:
        from gmixer.datasets.csv_table import labelled_rows

        whole, column, cells = labelled_rows(header, rows, path=path, file=file, source=source)
    notes = _unlisted(folder, whole, os.path.basename(file))
    splits = by_column(whole, column, cells, source)
    if "whole" in splits and isinstance(whole, Files):
        splits = by_folders(splits["whole"], whole.relative_paths, source)
    return {split: replace(images, notes=images.notes + notes) for split, images in splits.items()}


def file_name_column(header: Sequence[str]) -> str | None:
    """file_name, or the only column with such an end, as `image_file_name`; else a column of paths, as in CSV."""
    if found := columns.find(("file_name",), header):
        return found
    others = [name for name in header if name.lower().endswith("_file_name")]
    return others[0] if len(others) == 1 else columns.find(columns.PATH, header)


def _table(file: str) -> tuple[list[str], list[list[Any]] | None]:
    """The header and the rows. Parquet: None instead of rows, which its own reader reads."""
    if file.lower().endswith(".csv"):
        from gmixer.datasets.csv_table import table_in

        return table_in(file)
    if file.lower().endswith(".jsonl"):
        return _table_of(list(_objects_in(file)), file)
    with require("reading Parquet", "train", ["pyarrow"]):
        import pyarrow.parquet as pq
    try:
        return pq.read_schema(file).names, None
    except (OSError, ValueError):
        raise InputError(f"{file} cannot be read; wanted a complete Parquet file") from None


def _objects_in(file: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(read_text(file).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise InputError(
                f"{file}: line {number} is no JSON object; wanted one in each line, such as "
                '{"file_name": "7.jpg", "label": "cat"}'
            )
        yield row


def _table_of(objects: Sequence[dict[str, Any]], file: str) -> tuple[list[str], list[list[Any]]]:
    header = list(dict.fromkeys(key for row in objects for key in row))
    if not header:
        raise InputError(f"{file} has no rows; wanted an object with file_name and label in each line")
    return header, [[row.get(key) for key in header] for row in objects]


def _unlisted(folder: str, images: DatasetBase, file_name: str) -> tuple[str, ...]:
    listed = {os.path.normpath(images.name(i)) for i in range(len(images))}
    unlisted = [
        os.path.relpath(entry.key, folder)
        for entry in list_files(folder)
        if not isinstance(entry, ImageError) and os.path.normpath(entry.key) not in listed and may_be_image(entry)
    ]
    if not unlisted:
        return ()
    many = counted(len(unlisted), "image is", "images are")
    return (f"{many} in no row of {file_name} and left out ({abbreviate(unlisted)})",)
