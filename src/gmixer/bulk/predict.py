"""Records and a Predictor → rows, with every column of schema.py. The second of the three pieces of a bulk run.

    for batch in rows_of(records, gmixer.load("gmixer_24_224")):
        print(batch.to_pandas())

B images of a batch, C channels.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmixer.bulk.reader import ReadableFile, read_ahead
from gmixer.bulk.record import Record
from gmixer.bulk.row_options import RowOptions
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import Stamp
from gmixer.errors import ImageError
from gmixer.prediction import Prepared, decoding_threads
from gmixer.predictor import ImageOutput, Predictor
from gmixer.prefetch import prefetch
from gmixer.results import top_k
from gmixer.rows.text import valid_text

_PART_END: Final = None  # among the items: the part has no more of them


def rows_of(
    records: Iterable[Record], predictor: Predictor, options: RowOptions | None = None
) -> Iterator[pa.RecordBatch]:
    """One row for each record, in order, in constant memory. The schema holds the stamp, without a part size.

    A record that cannot be read gets a row with its error; all other rows are unchanged. Other threads read and decode
    the next images meanwhile; `records` is advanced in the caller's thread only, less than 50 more than were given.
    """
    stamp = Stamp.of(predictor, options or RowOptions(), None)
    with closing(_batches([records], predictor, stamp)) as batches:
        yield from (rows for rows in batches if rows is not _PART_END)


def tables_of(
    parts: Iterable[Iterable[Record]],
    predictor: Predictor,
    stamp: Stamp,
    on_rows: Callable[[pa.RecordBatch], None] = lambda batch: None,
) -> Generator[pa.Table, None, None]:
    """The rows of each part, in order. The images of the next part are read and decoded before the last is done.

    stamp: of this predictor. No batch has images of two parts, so a part has the same bits in every run.
    on_rows: gets the rows of each batch, before the part is complete.
    """
    rows: list[pa.RecordBatch] = []
    with closing(_batches(parts, predictor, stamp)) as batches:
        for batch in batches:
            if batch is not _PART_END:
                rows.append(batch)
                on_rows(batch)
            else:
                yield pa.Table.from_batches(rows, schema_of(stamp)).combine_chunks()
                rows = []


class _File(NamedTuple):
    """A record before the network runs, decoded or failed.

    byte_count: as the listing states it, since an update compares it with the next listing; else of the bytes that were
    read. byte_count, sha256: None where it could not be read.
    """

    record: Record
    byte_count: int | None
    sha256: str | None
    prepared: Prepared


def _batches(
    parts: Iterable[Iterable[Record]], predictor: Predictor, stamp: Stamp
) -> Generator[pa.RecordBatch | None, None, None]:
    """The rows of each part, in batches, then _PART_END."""
    options, schema, size = RowOptions(**stamp.rows), schema_of(stamp), predictor.runtime.batch_hint
    prepare = partial(_prepared, predictor=predictor, hashed=options.hash)
    with (
        closing(read_ahead(_items(parts), predictor.preprocess.reading)) as files,
        closing(prefetch(prepare, files, threads=decoding_threads(), ahead=size)) as prepared,
    ):
        batch: list[_File] = []
        for file in prepared:
            if file is not _PART_END:
                batch.append(file)
            if batch and (file is _PART_END or len(batch) == size):
                outputs = predictor.outputs_of([file.prepared for file in batch])
                rows = (_row(*pair, predictor, options) for pair in zip(batch, outputs, strict=True))
                yield _batch(list(rows), schema)
                batch = []
            if file is _PART_END:
                yield _PART_END


def _items(parts: Iterable[Iterable[Record]]) -> Iterator[Record | None]:
    for part in parts:
        yield from part
        yield _PART_END


def _prepared(file: ReadableFile | None, *, predictor: Predictor, hashed: bool) -> _File | None:
    if file is _PART_END:
        return _PART_END
    record = file.record
    try:
        data = file.read()
    except ImageError as error:
        return _File(record, record.size, None, error)
    sha256 = hashlib.sha256(data).hexdigest() if hashed else None
    prepared: Prepared
    try:
        prepared = predictor.preprocess.with_note(data, name=record.key)
    except ImageError as error:
        prepared = error
    return _File(record, len(data) if record.size is None else record.size, sha256, prepared)


def _row(file: _File, output: ImageOutput | ImageError, predictor: Predictor, options: RowOptions) -> dict[str, Any]:
    """The columns that are not null, by name."""
    record = file.record
    row: dict[str, Any] = {
        "path": valid_text(record.key),
        "bytes": file.byte_count,
        "version": valid_text(record.version),
        "sha256": file.sha256,
        "label": valid_text(record.label),
    }
    if isinstance(output, ImageError):
        return row | {"error_kind": output.kind, "error_message": valid_text(output.reason)}
    vector_C = _stored_vector(output.features_C, options)
    if not np.isfinite(vector_C).all():
        return row | {"error_kind": "unsupported", "error_message": _not_finite(output, predictor, options)}
    width, height = output.size_px
    row |= {"width": width, "height": height, "vector": vector_C, "note": output.note}
    return row | _classes(output, predictor, options.classes)


def _stored_vector(features_C: NDArray[np.float32], options: RowOptions) -> NDArray[Any]:
    """In options.dtype. A number beyond float16 is infinite. A vector of zeros has no direction and stays as it is."""
    vector_C: NDArray[Any] = features_C
    if options.normalize:
        exact_C = features_C.astype(np.float64)
        # Squares of float32 are exact in float64, and fsum rounds once: every CPU gives the same length.
        length = math.sqrt(math.fsum((exact_C * exact_C).tolist()))
        vector_C = exact_C / length if length else features_C
    with np.errstate(over="ignore"):
        return vector_C.astype(options.dtype)


def _not_finite(output: ImageOutput, predictor: Predictor, options: RowOptions) -> str:
    if np.isfinite(output.features_C).all():
        return "its vector holds a number beyond float16, which ends at 65,504: take float32, or normalize the vectors"
    return f"the network gives it no finite vector in {predictor.precision}: run it in fp32"


def _classes(output: ImageOutput, predictor: Predictor, count: int) -> dict[str, Any]:
    """Nothing for a model without classes."""
    if not predictor.labels:
        return {}
    (prediction,) = top_k(output.logits_K[None], max(count, 1), predictor.labels, predictor.name)
    classes = [c.to_dict() | {"synset": c.synset or None, "label": valid_text(c.label)} for c in prediction]
    top = {"top_label": classes[0]["label"], "top_probability": classes[0]["probability"]}
    return top | ({"predictions": classes} if count else {})


def _batch(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        _vectors([row.get("vector") for row in rows], column.type)
        if column.name == "vector"
        else pa.array([row.get(column.name) for row in rows], column.type)
        for column in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _vectors(vectors: Sequence[NDArray[Any] | None], kind: pa.FixedSizeListType) -> pa.Array:
    zeros_C = np.zeros(kind.list_size, kind.value_type.to_pandas_dtype())  # in the place of a null
    values = np.concatenate([zeros_C if vector_C is None else vector_C for vector_C in vectors])
    is_null = pa.array([vector_C is None for vector_C in vectors], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(pa.array(values, kind.value_type), type=kind, mask=is_null)
