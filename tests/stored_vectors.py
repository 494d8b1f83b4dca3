"""Stored embeddings as `gmixer embed` writes them, from images on this machine, for the tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gmixer.bulk.output import OutputFolder
from gmixer.bulk.part import Part
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import Stamp
from gmixer.errors import ImageError
from gmixer.options import Storage
from gmixer.predictor import Predictor

DEFAULT = RowOptions()

Labelled = Sequence[tuple[Path, str | None]]


def write_stored(
    path: Path,
    predictor: Predictor,
    images: Labelled,
    options: RowOptions = DEFAULT,
    *,
    parts: int = 0,
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """One Parquet file, or a folder of so many parts. changes: of the stamp."""
    stamp = replace(Stamp.of(predictor, options, None), **(changes or {}))
    rows = [_row(file, label, predictor, options) for file, label in images]
    table = pa.Table.from_pylist(rows, schema=schema_of(stamp))
    if not parts:
        pq.write_table(table, path)
        return path
    output = OutputFolder.open(str(path), stamp, Storage())
    for number, chosen in enumerate(np.array_split(np.arange(len(rows)), parts)):
        output.write(Part(number, [], []), table.take(chosen))
    return path


def _row(file: Path, label: str | None, predictor: Predictor, options: RowOptions) -> dict[str, Any]:
    row: dict[str, Any] = {"path": str(file), "label": label}
    try:
        vector = predictor.embed(str(file)).vectors
    except ImageError as error:
        return row | {"error_kind": error.kind, "error_message": error.reason}
    if options.normalize:
        vector = vector / np.linalg.norm(vector)
    return row | {"vector": vector.astype(options.dtype)}
