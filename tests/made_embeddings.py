"""Stored embeddings without images: made vectors as `gmixer embed` would store them; and those of real images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmixer import Predictor
from gmixer.bulk.parquet_file import parquet_bytes
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import Stamp
from gmixer.bulk.stored import StoredEmbeddings, open_stored
from gmixer.errors import ImageError

STAMP = Stamp(
    model="made",
    weights_sha256="ab" * 32,
    channels=16,
    precision="fp32",
    preprocessing={"image_px": 64, "in_chans": 3},
    reading={"orientation": "apply", "range": "full", "fast_decode": False, "limits": {"max_pixels": 1}},
    rows={"dtype": "float32", "normalize": False, "classes": 5, "hash": False},
    part_size=1000,
    gmixer="0.1.0",
)


def made_vectors(rows: int, *, channels: int = 16, seed: int = 0) -> NDArray[np.float32]:
    """(rows, channels): clusters of about 50, neither centred nor of length 1."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, rows // 50), channels)) + 0.3
    vectors = centres[rng.integers(len(centres), size=rows)] + 0.5 * rng.standard_normal((rows, channels))
    return (3 * vectors).astype(np.float32)


def write_part(
    file: Path, vectors_NC: NDArray[np.floating[Any]], *, stamp: Stamp = STAMP, **columns: Sequence[Any]
) -> StoredEmbeddings:
    """One Parquet file. columns: those that are not given are null; paths are 0.jpg, 1.jpg, … unless they are given."""
    schema = schema_of(replace(stamp, channels=vectors_NC.shape[1]))
    rows = len(vectors_NC)
    number = schema.field("vector").type.value_type
    flat = pa.array(vectors_NC.ravel().astype(number.to_pandas_dtype()))
    given: dict[str, Any] = {"path": [f"{i}.jpg" for i in range(rows)]} | columns
    failed = pa.array([kind is not None for kind in given.get("error_kind", [None] * rows)], pa.bool_())
    given["vector"] = pa.FixedSizeListArray.from_arrays(flat, vectors_NC.shape[1], mask=failed)
    arrays = [pa.array(given.get(field.name, [None] * rows), field.type) for field in schema]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(parquet_bytes(pa.table(arrays, schema=schema)))
    return open_stored(str(file))


def embed_into(file: Path, predictor: Predictor, images: Mapping[str, str]) -> StoredEmbeddings:
    """A row for each of the images: path → label."""
    stamp = Stamp.of(predictor, RowOptions(), None)
    vectors, kinds = [], []
    for output in predictor.outputs(images):
        failed = isinstance(output, ImageError)
        vectors.append(np.zeros(stamp.channels, np.float32) if failed else output.features_C)
        kinds.append(output.kind if failed else None)
    sizes = [Path(path).stat().st_size for path in images]
    return write_part(
        file,
        np.stack(vectors),
        stamp=stamp,
        path=list(images),
        label=list(images.values()),
        bytes=sizes,
        error_kind=kinds,
    )
