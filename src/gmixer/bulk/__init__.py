"""A large collection of images → stored embeddings: rows in Parquet, one for each image, with the stamp of the model.

    embed           sources → an Arrow table, a Parquet file, or a folder of parts (run.py)
    open_stored     a Parquet file or a folder of parts → StoredEmbeddings (stored.py)

Its three pieces, each usable alone:

    read_ahead      Records → their bytes, read ahead of use (reader.py)
    rows_of         Records and a Predictor → rows (predict.py)
    parquet_bytes   rows → Parquet (parquet_file.py)

record.py        Record: one input, before it is read
listing.py       list_records: sources → Records
row_options.py   RowOptions: what a row holds, as the user chooses it
part_options.py  PartOptions: how the output is divided, and which parts to make; Ray: where
on_ray.py        the parts, made by the actors of a Ray cluster
stamp.py         Stamp: what computed the vectors; only vectors of one stamp compare
space.py         which vectors compare
schema.py        the Arrow schema of a row
tally.py         Tally: what a run has done so far

Names are loaded when first used: pyarrow takes 0.1 s.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gmixer.bulk.listing import list_records as list_records
    from gmixer.bulk.parquet_file import parquet_bytes as parquet_bytes
    from gmixer.bulk.part_options import PartOptions as PartOptions
    from gmixer.bulk.part_options import Ray as Ray
    from gmixer.bulk.predict import rows_of as rows_of
    from gmixer.bulk.reader import read_ahead as read_ahead
    from gmixer.bulk.record import Record as Record
    from gmixer.bulk.row_options import RowOptions as RowOptions
    from gmixer.bulk.run import embed as embed
    from gmixer.bulk.stored import StoredEmbeddings as StoredEmbeddings
    from gmixer.bulk.stored import open_stored as open_stored
    from gmixer.bulk.tally import Tally as Tally

_HOMES = {
    "PartOptions": "part_options",
    "Ray": "part_options",
    "Record": "record",
    "RowOptions": "row_options",
    "StoredEmbeddings": "stored",
    "Tally": "tally",
    "embed": "run",
    "list_records": "listing",
    "open_stored": "stored",
    "parquet_bytes": "parquet_file",
    "read_ahead": "reader",
    "rows_of": "predict",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gmixer.bulk' has no attribute {name!r}")
    from gmixer.errors import require

    with require(f"gmixer.bulk.{name}", "bulk", ["pyarrow", "fsspec"]):
        value = getattr(importlib.import_module(f"gmixer.bulk.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
