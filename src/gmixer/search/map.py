"""Stored embeddings → points on a map, each with its image, and the ways to color them.

N points, C channels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gmixer.bulk.stored import StoredEmbeddings, directions, vectors_of
from gmixer.checks import whole
from gmixer.errors import require
from gmixer.runtimes import default_threads
from gmixer.search.layout import SEED, lay_out
from gmixer.search.thumbnails import Picture

COLORS = 8  # as many groups have a color of their own; a reader cannot tell more apart
OTHER = -1
_COLUMNS = ("path", "bytes", "sha256", "label", "top_label")


@dataclass(frozen=True, slots=True)
class Coloring:
    """by: "label", "prediction" or "cluster". names: of the groups that have a color, the largest first.

    group_N: the group of each point, or OTHER. others: how many groups have no color; unknown: points without a group.
    """

    by: str
    names: list[str]
    group_N: NDArray[np.int64]
    others: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Map:
    """place_N2: as lay_out gives it. colorings: the first is the one to show first. label, prediction: or None each.

    rows: of the stored embeddings. without_vector, without_direction: rows that are left out, because they have no
    vector, or because their vector is zero or not finite.
    """

    model: str
    place_N2: NDArray[np.float64]
    pictures: list[Picture]
    labels: list[str | None]
    predictions: list[str | None]
    colorings: list[Coloring]
    rows: int
    without_vector: int
    without_direction: int


def make_map(
    stored: StoredEmbeddings,
    *,
    points: int = 50_000,
    on_progress: Callable[[int, int], object] = lambda done, of: None,
) -> Map:
    """points: of more rows with a vector, that many are taken, evenly over the rows. Raises InputError below 1.

    Memory holds the vectors of the points; on_progress gets the steps of the layout that are done, and of how many.
    """
    whole("points", points, least=1)
    rows = stored.count()
    table, x_NC, taken, empty = _sample(stored, points)
    place_N2 = lay_out(x_NC, threads=default_threads(), on_progress=on_progress)
    columns = {name: table[name].to_pylist() for name in _COLUMNS}
    labels, predictions = columns["label"], columns["top_label"]
    clusters = _clusters(x_NC, labels if any(labels) else predictions)
    named = [("label", labels), ("prediction", predictions), ("cluster", clusters)]
    return Map(
        model=stored.stamp.model,
        place_N2=place_N2,
        pictures=[Picture(*row) for row in zip(columns["path"], columns["bytes"], columns["sha256"], strict=True)],
        labels=labels,
        predictions=predictions,
        colorings=[_coloring(by, names) for by, names in named if any(name is not None for name in names)],
        rows=rows,
        without_vector=rows - taken,
        without_direction=empty,
    )


def _sample(stored: StoredEmbeddings, points: int) -> tuple[pa.Table, NDArray[np.float32], int, int]:
    """The rows of the map, their vectors of length 1, how many rows have a vector, how many taken ones no direction."""
    total = stored.count(readable=True)
    wanted = np.unique(np.linspace(0, max(total - 1, 0), min(points, total)).round().astype(np.int64))
    schema = pa.schema([stored.dataset.schema.field(name) for name in _COLUMNS])
    tables, vectors, at, empty = [schema.empty_table()], [np.empty((0, stored.stamp.channels), np.float32)], 0, 0
    for batch in stored.batches([*_COLUMNS, "vector"], readable=True):
        here = wanted[(wanted >= at) & (wanted < at + len(batch))] - at
        at += len(batch)
        batch = batch.take(pa.array(here))
        unit_BC, has_B = directions(vectors_of(batch.column("vector")))
        empty += int((~has_B).sum())
        vectors.append(unit_BC[has_B])
        kept = batch.select(_COLUMNS).filter(pa.array(has_B))
        tables.append(pa.Table.from_batches([kept]).cast(schema))
    return pa.concat_tables(tables), np.concatenate(vectors), total, empty


def _coloring(by: str, names_N: Sequence[str | None]) -> Coloring:
    counted = Counter(name for name in names_N if name is not None)
    ordered = sorted(counted, key=lambda name: (-counted[name], name))
    color_of = {name: i for i, name in enumerate(ordered[:COLORS])}
    group_N = np.array([OTHER if name is None else color_of.get(name, OTHER) for name in names_N], np.int64)
    return Coloring(by, ordered[:COLORS], group_N, max(len(ordered) - COLORS, 0), sum(name is None for name in names_N))


def _clusters(x_NC: NDArray[np.float32], words_N: Sequence[str | None]) -> list[str | None]:
    """By k-means. A cluster is called by its number and its commonest word."""
    k = min(COLORS, len(np.unique(x_NC, axis=0)))
    if k < 2:
        return [None] * len(x_NC)
    with require("gmixer map", "search", ("sklearn",)):
        from sklearn.cluster import KMeans
    cluster_N = KMeans(k, n_init=3, random_state=SEED).fit_predict(x_NC)
    order = np.argsort(-np.bincount(cluster_N, minlength=k), kind="stable")  # the largest is number 1
    name_of = {}
    for number, cluster in enumerate(order.tolist(), 1):
        words = Counter(words_N[i] for i in np.flatnonzero(cluster_N == cluster).tolist() if words_N[i])
        name_of[cluster] = f"{number}: {words.most_common(1)[0][0]} …" if words else f"{number}"
    return [name_of[int(cluster)] for cluster in cluster_N]
