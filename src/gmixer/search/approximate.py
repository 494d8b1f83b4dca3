"""An approximate index over the vectors of a table, and its recall against an exact search.

Q queries, B rows of a batch, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gmixer.bulk.stored import vectors_of
from gmixer.search.table import VECTOR, Approximate

RECALL = 0.95  # of the 10 nearest rows, at least
NEAREST = 10
QUERIES = 100
ROWS_PER_LIST = 1_000
SAMPLE_RATE = 64  # rows for each list, of which k-means learns: with LanceDB's 256 it took twice as long
# Pairs of nprobes and refine. At 1,000,000 made rows of 384, 80 of 1,000 lists gave a recall of 0.995, 40 gave 0.98.
STEPS = ((80, 5), (160, 5), (320, 20), (640, 20), (1_280, 50))
ALIKE = 1e-5  # two cosines that differ by less: a duplicate of a row is as near as the row


class Queries(NamedTuple):
    """Rows of the table as queries. tenth_Q: the cosine of the 10th nearest other row."""

    id_Q: NDArray[np.uint64]
    vector_QC: NDArray[np.float32]
    tenth_Q: NDArray[np.float32]


def build(table: Any, *, steps: Sequence[tuple[int, int]] = STEPS) -> Approximate:
    """Builds the index, in place of an older one, and chooses how to search it.

    steps: pairs (nprobes, refine), tried in order until RECALL is reached.

    IVF_SQ: k-means divides the vectors into lists, and each list holds 8 bits for a number. At 200,000 rows of 384,
    IVF_PQ and IVF_HNSW_SQ found no more and took 10 times as long to build; IVF_FLAT was 4 times as large.
    """
    from lancedb.index import IvfSq

    lists = max(1, table.count_rows() // ROWS_PER_LIST)
    table.create_index(
        VECTOR, config=IvfSq(distance_type="cosine", num_partitions=lists, sample_rate=SAMPLE_RATE), replace=True
    )
    queries = _sample(table)
    for nprobes, refine in steps:
        recall = _recall(table, queries, nprobes=min(nprobes, lists), refine=refine)
        if recall >= RECALL:
            break
    chosen = Approximate(
        lists=lists, nprobes=min(nprobes, lists), refine=refine, recall=recall, queries=len(queries.id_Q)
    )
    chosen.write_to(table)
    return chosen


def _sample(table: Any) -> Queries:
    """Rows at even distances. The 10th nearest row of each is found in one pass over all vectors, in numpy."""
    rows = table.count_rows()
    offsets = np.unique(np.linspace(0, rows - 1, min(QUERIES, rows), dtype=np.int64))
    taken = table.take_offsets(offsets.tolist()).select([VECTOR]).with_row_id().to_arrow()
    id_Q = taken["_rowid"].to_numpy()
    vector_QC = vectors_of(taken[VECTOR].combine_chunks())
    best_QK = np.full((len(id_Q), NEAREST), -1, np.float32)
    for id_B, vector_BC in _all_vectors(table):
        cosine_QB = _unit(vector_QC) @ _unit(vector_BC).T
        cosine_QB[id_Q[:, None] == id_B[None, :]] = -1  # a row is no neighbour of itself
        candidates = np.concatenate([best_QK, cosine_QB], axis=1)
        best_QK = np.partition(candidates, -NEAREST, axis=1)[:, -NEAREST:]
    return Queries(id_Q, vector_QC, best_QK.min(axis=1))


def _all_vectors(table: Any) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.float32]]]:
    for batch in table.search().select([VECTOR]).with_row_id(True).to_batches(batch_size=4_096):
        yield batch.column("_rowid").to_numpy(), vectors_of(batch.column(VECTOR))


def _recall(table: Any, queries: Queries, *, nprobes: int, refine: int) -> float:
    found = 0
    for row, vector_C, tenth in zip(*queries, strict=True):
        search = table.search(vector_C).distance_type("cosine").limit(NEAREST + 1).select(["_distance"])
        nearest = search.nprobes(nprobes).refine_factor(refine).with_row_id(True).to_arrow()
        others = nearest.filter(np.asarray(nearest["_rowid"]) != row)[:NEAREST]
        found += int((1 - others["_distance"].to_numpy() >= tenth - ALIKE).sum())
    return found / (NEAREST * len(queries.id_Q))


def _unit(vector_BC: NDArray[np.float32]) -> NDArray[np.float32]:
    unit_BC: NDArray[np.float32] = vector_BC / np.linalg.norm(vector_BC, axis=1, keepdims=True)
    return unit_BC
