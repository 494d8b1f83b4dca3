"""Stored embeddings → an index: a LanceDB table with one row for each path.

B rows of a batch, C channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gmixer.bulk.space import check_same_space
from gmixer.bulk.stored import StoredEmbeddings, directions, vectors_of
from gmixer.errors import InputError
from gmixer.search import approximate
from gmixer.search.table import (
    COLUMNS,
    EXACT_ROWS,
    VECTOR,
    Approximate,
    lance_errors,
    open_or_create,
    settings_of,
    stamp_of,
    text_of,
)

CHUNK_ROWS = 16_384  # are written at once: 25 MB of 384 channels
OUTSIDE_ROWS = 10_000  # a search compares so many more rows in 8 ms; with more, the index is built again


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """rows: of the whole index. added, replaced, unchanged: rows of this call.

    without_vector: images that could not be read. without_direction: rows with a vector that is zero, or not finite.
    approximate: how the index is searched; None: exactly.
    """

    rows: int
    added: int
    replaced: int
    unchanged: int
    without_vector: int
    without_direction: int
    approximate: Approximate | None


def build_index(
    sources: Sequence[StoredEmbeddings],
    place: str,
    *,
    options: Mapping[str, str] | None = None,
    exact_rows: int = EXACT_ROWS,
    on_progress: Callable[[int], None] = lambda rows: None,
    on_training: Callable[[int], None] = lambda rows: None,
) -> Built:
    """Writes the rows of the sources into the index at `place`, which may exist: rows of new paths are added, and rows
    that changed are replaced. A path never stands twice; the row of the last source counts.

    place: a folder, or a URL that LanceDB opens. options: LanceDB's storage options. exact_rows: with more rows, an
    approximate index is built. on_progress: gets the number of rows read. on_training: gets the number of rows, before
    an approximate index is built.

    Memory holds CHUNK_ROWS rows. After an interruption the index is whole and holds the rows written so far.

    Raises InputError, before it writes, for sources or an index of other vectors; MissingExtraError.
    """
    if not sources:
        raise InputError("sources is empty; wanted the outputs of gmixer embed")
    for other in sources[1:]:
        check_same_space(
            sources[0].place,
            sources[0].stamp,
            other.place,
            other.stamp,
            way_out="Make an index of each, or embed both with the same model and options.",
        )
    table = open_or_create(place, sources[0].stamp, options)
    check_same_space(
        place,
        stamp_of(place, table),
        sources[0].place,
        sources[0].stamp,
        way_out="Write another index (-o), or embed with the model and options of this one.",
    )
    counted: Counter[str] = Counter()
    for source in sources:
        for chunk in _chunks(source):
            with lance_errors(place):
                counted += _write(table, chunk)
            on_progress(counted.total())
    failed = sum(source.count() - source.count(readable=True) for source in sources)
    with lance_errors(place):
        rows = table.count_rows()
        if _is_outdated(table, "path"):
            from lancedb.index import BTree

            table.create_index("path", config=BTree(), replace=True)
        found = settings_of(place, table)
        if rows > exact_rows and (found is None or _is_outdated(table, VECTOR)):
            on_training(rows)
            found = approximate.build(table)
    names = ("added", "replaced", "unchanged", "without_direction")
    return Built(rows=rows, without_vector=failed, **{name: counted[name] for name in names}, approximate=found)


def _chunks(source: StoredEmbeddings) -> Iterator[pa.Table]:
    """The readable rows, in tables of CHUNK_ROWS."""
    batches: list[pa.RecordBatch] = []
    for batch in source.batches(COLUMNS, readable=True):
        batches.append(batch)
        if sum(map(len, batches)) >= CHUNK_ROWS:
            yield pa.Table.from_batches(batches).combine_chunks()
            batches = []
    if batches:
        yield pa.Table.from_batches(batches).combine_chunks()


def _write(table: Any, chunk: pa.Table) -> Counter[str]:
    """Adds and replaces rows, in one version of the table."""
    _, has_direction_B = directions(vectors_of(chunk[VECTOR].chunk(0)))
    kept = chunk.filter(pa.array(has_direction_B))
    last = {path: i for i, path in enumerate(kept["path"].to_pylist())}  # of rows of one path
    kept = kept.take(pa.array(last.values(), pa.int64())).cast(table.schema.remove_metadata())
    present = _present(table, kept)
    same_B = _equal(kept, present)
    known = pc.is_valid(present["path"]).to_numpy()
    if not same_B.all():
        merge = table.merge_insert("path").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(kept.filter(pa.array(~same_B)))
    return Counter(
        added=int((~known).sum()),
        replaced=int((known & ~same_B).sum()),
        unchanged=int(same_B.sum()),
        without_direction=int((~has_direction_B).sum()),
    )


def _present(table: Any, rows: pa.Table) -> pa.Table:
    """The rows of the table with the same paths, in the same order. A path that the table lacks has only nulls."""
    found = table.schema.empty_table()
    if len(rows):
        paths = ",".join(map(text_of, rows["path"].to_pylist()))
        found = table.search().where(f"path IN ({paths})").limit(len(rows)).to_arrow()
    found = found.select(rows.column_names).combine_chunks()
    return found.take(pc.index_in(rows["path"], found["path"]))


def _equal(rows: pa.Table, others: pa.Table) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(B,): whether two rows are equal in all columns. Null equals null."""
    same_B = np.ones(len(rows), np.bool_)
    for name in rows.column_names:
        mine, theirs = rows[name].combine_chunks(), others[name].combine_chunks()
        if name == VECTOR:
            there_B = pc.is_valid(theirs).to_numpy(zero_copy_only=False)
            equal_B = there_B.copy()
            equal_B[there_B] = (vectors_of(mine.filter(there_B)) == vectors_of(theirs.filter(there_B))).all(axis=1)
            same_B &= equal_B
            continue
        both_null = pc.and_(pc.is_null(mine), pc.is_null(theirs))
        same_B &= pc.or_kleene(pc.fill_null(pc.equal(mine, theirs), False), both_null).to_numpy(zero_copy_only=False)
    return same_B


def _is_outdated(table: Any, column: str) -> bool:
    """Whether too many rows are in no index of this column."""
    for index in table.list_indices():
        if column in index.columns:
            return bool(table.index_stats(index.name).num_unindexed_rows > OUTSIDE_ROWS)
    return bool(table.count_rows())
