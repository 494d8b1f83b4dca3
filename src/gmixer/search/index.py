"""Index: the rows that are most similar to images, to vectors or to rows.

Q queries, C channels.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gmixer.bulk.stamp import Stamp
from gmixer.bulk.stored import vectors_of
from gmixer.checks import path_text, whole
from gmixer.errors import InputError
from gmixer.images.decode import ImageLike
from gmixer.options import DEFAULT_READING, Native, WeightsSource
from gmixer.predictor import Predictor
from gmixer.search.approximate import NEAREST
from gmixer.search.match import Match
from gmixer.search.model import open_model_of
from gmixer.search.table import (
    SHOWN,
    VECTOR,
    Approximate,
    lance_errors,
    open_table,
    said_by_lance,
    settings_of,
    stamp_of,
    text_of,
)

# A condition that leaves so few rows: their vectors are read and compared. 5,000 of 1,000,000 rows take 80 ms so.
FEW_ROWS = 5_000

Found: TypeAlias = tuple[float, dict[str, Any]]  # the cosine, and the columns SHOWN


def open_index(
    place: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    storage_options: Mapping[str, str] | None = None,
) -> Index:
    """The index that `gmixer index` wrote, as it is now: open it again to see later changes.

    model: where the weights that made the index are, for queries by image; None: the model that the index names.
    storage_options: LanceDB's, for an index on object storage.

    Raises InputError if there is no index; MissingExtraError.
    """
    place = path_text("place", place)
    if not all(isinstance(text, str) for pair in dict(storage_options or {}).items() for text in pair):
        raise InputError("storage_options are not all texts, as LanceDB takes them; wanted {'allow_http': 'true'}")
    table = open_table(place, storage_options)
    return Index(place, table, stamp_of(place, table), settings_of(place, table), model)


@dataclass(frozen=True)
class Index:
    """place: as typed. table: of LanceDB. stamp: what made the vectors. approximate: None: every search is exact."""

    place: str
    table: Any
    stamp: Stamp
    approximate: Approximate | None
    model: str | os.PathLike[str] | None = None

    @cached_property
    def rows(self) -> int:
        with lance_errors(self.place):
            return int(self.table.count_rows())

    @cached_property
    def predictor(self) -> Predictor:
        """The model that made the vectors. Raises InputError where it is not on this machine, nor on the Hub."""
        return open_model_of(self.place, self.stamp, self.model, WeightsSource(fetch=True), DEFAULT_READING, Native())

    def query(
        self,
        queries: NDArray[np.floating[Any]] | ImageLike | Sequence[ImageLike],
        k: int = 10,
        *,
        where: str | None = None,
    ) -> list[Match]:
        """The k most similar rows, the most similar first; all rows if there are fewer.

        queries: a vector (C,), vectors (Q, C), an image or a list of images, as Predictor.embed takes them. Several are
        one query: the mean of their directions.
        where: a condition in SQL on the columns of `table`, such as "label = 'cat' AND width >= 640".

        Raises ImageError for an image that cannot be read. Raises InputError for vectors of another length or without a
        direction, for a condition that LanceDB refuses, and for a model with other weights.
        """
        if isinstance(queries, np.ndarray) and np.issubdtype(queries.dtype, np.floating):
            vector_QC = np.atleast_2d(queries)
        else:
            vector_QC = np.atleast_2d(self.predictor.embed(queries).vectors)  # type: ignore[arg-type] # no array of floats
        return self.nearest(direction_of(vector_QC, self.stamp.channels), k, where=where)

    def nearest(
        self, direction_C: NDArray[np.float32], k: int, *, where: str | None = None, without: Collection[str] = ()
    ) -> list[Match]:
        """As `query`. direction_C: by direction_of. without: paths that are left out, such as the query itself."""
        whole("k", k, least=1)
        fitting = self.rows if where is None else self.count(where)
        limit = min(k + len(without), fitting)
        if not limit:
            return []
        with lance_errors(self.place):
            if where is not None and self.is_exact(fitting):
                found = self._compared(direction_C, where)
            else:
                found = self._searched(direction_C, limit, where)
        rows = [(cosine, row) for cosine, row in found if row["path"] not in without]
        rows.sort(key=lambda row: (-row[0], row[1]["path"]))
        return [Match(rank=i, similarity=cosine, **row) for i, (cosine, row) in enumerate(rows[:k], start=1)]

    def is_exact(self, fitting: int) -> bool:
        """Whether a search compares every row. fitting: the rows that the condition leaves."""
        return self.approximate is None or fitting <= FEW_ROWS

    def _searched(self, direction_C: NDArray[np.float32], limit: int, where: str | None) -> list[Found]:
        """The nearest rows, by LanceDB."""
        search = self.table.search(direction_C, vector_column_name=VECTOR).distance_type("cosine").limit(limit)
        if where is not None:
            search = search.where(_whole(where), prefilter=True)
        if self.approximate is None:
            search = search.bypass_vector_index()
        else:
            # The nearest lists may hold few of the rows that fit, or of many that are wanted: the search then goes on
            # in all lists, as far as they may hold nearer rows. At 1,000,000 rows this takes 35 to 125 ms.
            usual = where is None and limit <= NEAREST + 1  # as recall was measured, the query itself among them
            search = search.minimum_nprobes(self.approximate.nprobes)
            search = search.maximum_nprobes(self.approximate.nprobes if usual else 0)
            search = search.refine_factor(self.approximate.refine)
        rows = search.select([*SHOWN, "_distance"]).to_arrow().to_pylist()
        return [(min(max(1 - row.pop("_distance"), -1.0), 1.0), row) for row in rows]

    def _compared(self, direction_C: NDArray[np.float32], where: str) -> list[Found]:
        """All rows that fit, by numpy: LanceDB would read all vectors for them."""
        table = self.table.search().where(_whole(where)).select([*SHOWN, VECTOR]).to_arrow()
        vector_BC = vectors_of(table[VECTOR].combine_chunks())
        cosine_B = np.clip(vector_BC @ direction_C / np.linalg.norm(vector_BC, axis=1), -1, 1)
        return list(zip(cosine_B.tolist(), table.select(SHOWN).to_pylist(), strict=True))

    def count(self, where: str) -> int:
        """How many rows the condition leaves. Raises InputError for one that LanceDB refuses."""
        try:
            return int(self.table.count_rows(_whole(where)))
        except (ValueError, RuntimeError, OSError) as error:
            reason = said_by_lance(error).partition(" Valid fields")[0].rstrip(". ")
            columns = ", ".join(name for name in self.table.schema.names if name != VECTOR)
            raise InputError(
                f"where is {where!r}, and LanceDB refuses it: {reason}. Wanted a condition in SQL "
                f"on these columns: {columns}; such as \"label = 'cat'\""
            ) from None

    def vectors_of(self, paths: Sequence[str]) -> NDArray[np.float32]:
        """(Q, C): of the rows with these paths. Raises InputError for a path that no row has."""
        found: dict[str, NDArray[np.float32]] = {}
        for path in paths:
            with lance_errors(self.place):
                row = self.table.search().where(f"path = {text_of(path)}").select([VECTOR]).limit(1).to_arrow()
            if not len(row):
                raise InputError(f"{self.place} has no row {path!r}; wanted the path of a row, as a search shows it")
            found[path] = vectors_of(row[VECTOR].combine_chunks())[0]
        return np.stack([found[path] for path in paths])

    def has_row(self, path: str) -> bool:
        with lance_errors(self.place):
            return bool(self.table.count_rows(f"path = {text_of(path)}"))


def direction_of(vector_QC: NDArray[np.floating[Any]], channels: int) -> NDArray[np.float32]:
    """(C,) of length 1: the mean of the directions. Raises InputError for another shape, and for a mean of zero."""
    if vector_QC.ndim != 2 or not len(vector_QC) or vector_QC.shape[1] != channels:
        shape = " × ".join(map(str, vector_QC.shape))
        raise InputError(f"the query has the shape {shape}; wanted vectors of {channels} numbers, as the index holds")
    wide_QC = vector_QC.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_C = (wide_QC / np.linalg.norm(wide_QC, axis=1, keepdims=True)).mean(axis=0)
        length = np.linalg.norm(mean_C)
        direction_C: NDArray[np.float32] = (mean_C / length).astype(np.float32)
    if not np.isfinite(direction_C).all() or length < 1e-6:
        raise InputError("the query has no direction: a vector is zero or not finite, or the vectors cancel out")
    return direction_C


def _whole(where: str) -> str:
    """Without the brackets, LanceDB ignores what follows a condition, as in "label = 'cat'; …"."""
    return f"({where})"
