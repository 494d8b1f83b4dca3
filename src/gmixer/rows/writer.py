"""The protocol of a file of rows. A file is complete, or it is not there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from gmixer.errors import InputError
from gmixer.files import atomic_write, check_writable
from gmixer.rows.row import ColumnTypes

FORMATS = (".csv", ".jsonl", ".parquet")


class RowWriter(Protocol):
    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes one batch of rows. None, and a column that a row lacks, is an empty cell."""
        ...


@contextmanager
def open_writer(path: Path, columns: ColumnTypes) -> Iterator[RowWriter]:
    """The writer for the path's suffix, one of FORMATS. The file takes its place when the block ends.

    Where the block raises, a file that was there before stays as it was.
    """
    with atomic_write(path, shared=True) as unfinished, _open_format(path.suffix, unfinished, columns) as writer:
        yield writer


def _open_format(suffix: str, path: Path, columns: ColumnTypes) -> AbstractContextManager[RowWriter]:
    match suffix:
        case ".csv":
            from gmixer.rows.csv_file import open_csv

            return open_csv(path, columns)
        case ".jsonl":
            from gmixer.rows.jsonl import open_jsonl

            return open_jsonl(path)
        case _:
            from gmixer.rows.parquet import open_parquet_writer

            return open_parquet_writer(path, columns)


def check_output(path: Path, formats: Sequence[str] = FORMATS) -> None:
    """Refuses a path before minutes of work. Raises InputError for another format, a folder, or no folder to write in;
    MissingExtraError without the package that the format needs.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; wanted the name of a file")
    if path.suffix not in formats:
        wanted = formats[0] if len(formats) == 1 else f"one of {', '.join(formats)}"
        raise InputError(f"{path} {f'ends in {path.suffix}' if path.suffix else 'has no extension'}; wanted {wanted}")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise InputError(f"{path} cannot be written: {folder} is no folder")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path} cannot be written: no permission to write in {folder}")
    try:
        check_writable(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    if path.suffix == ".parquet":
        from gmixer.rows.parquet import require_parquet

        require_parquet()
