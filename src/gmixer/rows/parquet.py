"""Parquet. The types of columns do not depend on the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gmixer.errors import require
from gmixer.rows.row import ColumnTypes
from gmixer.rows.text import valid_text


class ParquetWriter:
    """Each batch is one row group."""

    def __init__(self, path: Path, columns: ColumnTypes) -> None:
        self._pa, parquet = require_parquet()
        self._schema = self._pa.schema({name: _arrow_type(self._pa, kind) for name, kind in columns.items()})
        self._texts = [name for name, kind in columns.items() if kind is str]
        self._file = parquet.ParquetWriter(path.absolute(), self._schema)  # Arrow takes ~/a for the home

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        valid = [dict(row) | {name: valid_text(row.get(name)) for name in self._texts} for row in rows]
        self._file.write_table(self._pa.Table.from_pylist(valid, self._schema))

    def close(self) -> None:
        self._file.close()


@contextmanager
def open_parquet_writer(path: Path, columns: ColumnTypes) -> Iterator[ParquetWriter]:
    writer = ParquetWriter(path, columns)
    try:
        yield writer
    finally:
        writer.close()


def require_parquet(extra: str = "train") -> tuple[Any, Any]:
    """pyarrow and pyarrow.parquet. Raises MissingExtraError, which names the extra, where they are not installed."""
    with require("a Parquet file", extra, ["pyarrow"]):
        import pyarrow
        import pyarrow.parquet
    return pyarrow, pyarrow.parquet


def _arrow_type(pa: Any, kind: Any) -> Any:
    if kind == list[int]:
        return pa.list_(pa.int64())
    return {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}[kind]
