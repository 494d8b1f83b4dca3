"""The Arrow schema of a row. Every input has one row, also an image that could not be read.

C channels of a vector.
"""

from __future__ import annotations

import pyarrow as pa

from gmixer.bulk.stamp import KEY, Stamp

PREDICTION = pa.struct(
    [("index", pa.int32()), ("synset", pa.string()), ("label", pa.string()), ("probability", pa.float32())]
)


def schema_of(stamp: Stamp) -> pa.Schema:
    """The columns, with the stamp in the schema's metadata.

    path: the key of the entry. bytes: the size of the file, as the source states it, else as read. version: an etag or
    a time of change, as the source has it. sha256: of the file's bytes, hexadecimal. width, height: in pixels, as
    decoded. vector: C numbers. label: the class that the source states. error_kind, error_message: of ImageError. Null
    stands for all that a row does not have.
    """
    number = pa.float16() if stamp.rows["dtype"] == "float16" else pa.float32()
    columns = [
        ("path", pa.string()),
        ("bytes", pa.int64()),
        ("version", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("vector", pa.list_(number, stamp.channels)),
        ("label", pa.string()),
        ("top_label", pa.string()),
        ("top_probability", pa.float32()),
        ("predictions", pa.list_(PREDICTION)),
        ("note", pa.string()),
        ("error_kind", pa.string()),
        ("error_message", pa.string()),
    ]
    return pa.schema(columns, metadata={KEY: stamp.to_json().encode()})
