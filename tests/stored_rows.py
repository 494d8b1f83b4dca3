"""Stored embeddings for tests, as `gmixer embed` writes them: from images, or from given vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import gmixer
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import Stamp
from gmixer.bulk.stored import StoredEmbeddings, open_stored
from gmixer.errors import ImageError
from gmixer.images.decode import decode

MODEL = "gmixer_8_64.distill_in1k"


def stamp(channels: int = 4, *, model: str = MODEL, dtype: str = "float32", with_hash: bool = False) -> Stamp:
    rows = {"dtype": dtype, "normalize": False, "classes": 0, "hash": with_hash}
    return Stamp(
        model=model, weights_sha256="0" * 64, channels=channels, precision="fp32", preprocessing={}, reading={},
        rows=rows, part_size=4_096, gmixer=gmixer.__version__,
    )  # fmt: skip


def write_rows(folder: Path, stamp: Stamp, rows: Sequence[dict[str, Any]], part_size: int = 100) -> StoredEmbeddings:
    """A row may leave out columns."""
    folder.mkdir(exist_ok=True)
    schema = schema_of(stamp)
    for number, start in enumerate(range(0, max(len(rows), 1), part_size)):
        part = rows[start : start + part_size]
        columns = [_column(field, [row.get(field.name) for row in part]) for field in schema]
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), folder / f"part-{number:06}.parquet")
    return open_stored(str(folder))


def embed_files(
    folder: Path, predictor: gmixer.Predictor, paths: Sequence[Path], *, with_hash: bool = False, **options: Any
) -> StoredEmbeddings:
    """A row for each file; its folder is its label."""
    rows = []
    for path in paths:
        data = path.read_bytes()
        row: dict[str, Any] = {"path": str(path), "bytes": len(data), "label": path.parent.name}
        try:
            pixels = decode(data, name=str(path))
            row |= {"height": pixels.shape[0], "width": pixels.shape[1]}
            row |= {"vector": predictor.embed(pixels).vectors, "top_label": path.suffix}
        except ImageError as error:
            row |= {"error_kind": error.kind, "error_message": error.reason}
        if with_hash:
            row["sha256"] = hashlib.sha256(data).hexdigest()
        rows.append(row)
    written = Stamp.of(predictor, RowOptions(hash=with_hash, **options), 4_096)
    return write_rows(folder, written, rows)


def _column(field: pa.Field, values: Sequence[Any]) -> pa.Array:
    if field.name != "vector":
        return pa.array(values, field.type)
    number = np.float16 if field.type.value_type == pa.float16() else np.float32
    none = np.zeros(field.type.list_size, number)
    flat = [none if value is None else np.asarray(value, number) for value in values]
    numbers = pa.array(np.concatenate(flat) if flat else np.empty(0, number), field.type.value_type)
    empty = pa.array([value is None for value in values], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(numbers, type=field.type, mask=empty)
