"""Search over many made vectors: time and recall of a query, time and memory of the build, size on disk.

    python -m benchmarks.search_million [--rows 1000000] [--channels 384] [--folder FOLDER]

It prints one JSON object. It needs gmixer[search], and 5 GB in FOLDER for a million rows. It writes stored embeddings
there, builds the index in a fresh process, and opens it in another fresh process. A query is a new vector, not a row.

The vectors are a mixture of Gaussians with a cluster for 300 rows, to be as uneven as those of photos:
- Clusters have different sizes (Pareto, shape 1.5) and different widths (log-normal, median 0.78 of the distance of the
  centres, σ 0.35). So clusters overlap: the 10th neighbour of a query has a cosine of 0.76 at a million rows.
- Channels have different variances (channel i: i^-0.5), and all vectors share a mean, as embeddings do.

N rows, Q queries, K clusters, C channels.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gmixer.bench.machine import this_machine
from gmixer.bulk.schema import schema_of
from gmixer.bulk.stamp import Stamp
from gmixer.bulk.stored import open_stored, vectors_of

PART_ROWS = 4_096
QUERIES = 1_000  # are timed
JUDGED = 200  # of them: their neighbours are compared with numpy's
NEAREST = 10


class Mixture:
    def __init__(self, clusters: int, channels: int) -> None:
        rng = np.random.default_rng(0)
        scale_C = (1 + np.arange(channels)) ** -0.25
        self._scale_C = (scale_C / np.sqrt((scale_C**2).mean())).astype(np.float32)
        self._mean_C = (0.7 * rng.standard_normal(channels) * self._scale_C).astype(np.float32)
        self._centre_KC = rng.standard_normal((clusters, channels), np.float32) * self._scale_C
        share_K = rng.pareto(1.5, clusters) + 0.2
        self._share_K = share_K / share_K.sum()
        self._width_K = np.exp(rng.normal(-0.25, 0.35, clusters)).astype(np.float32)

    def drawn(self, rows: int, seed: int) -> NDArray[np.float32]:
        """(rows, C)"""
        rng = np.random.default_rng((seed, 1))
        k = rng.choice(len(self._share_K), rows, p=self._share_K)
        noise = rng.standard_normal((rows, len(self._scale_C)), np.float32) * self._scale_C
        vectors: NDArray[np.float32] = self._mean_C + self._centre_KC[k] + self._width_K[k, None] * noise
        return vectors


def write_parts(folder: Path, mixture: Mixture, rows: int, channels: int) -> None:
    stamp = Stamp(
        model="made",
        weights_sha256="0" * 64,
        channels=channels,
        precision="fp32",
        preprocessing={},
        reading={},
        rows={"dtype": "float32", "normalize": False, "classes": 0, "hash": False},
        part_size=PART_ROWS,
        gmixer="0",
    )
    schema = schema_of(stamp)
    folder.mkdir(parents=True)
    for part, start in enumerate(range(0, rows, PART_ROWS)):
        numbers = range(start, min(start + PART_ROWS, rows))
        vectors = pa.array(mixture.drawn(len(numbers), seed=part).ravel())
        given = {
            "path": pa.array([f"photos/{i // 1_000:06}/{i:09}.jpg" for i in numbers]),
            "label": pa.array([f"class {i % 100}" for i in numbers]),
            "vector": pa.FixedSizeListArray.from_arrays(vectors, channels),
        }
        columns = [given.get(field.name, pa.nulls(len(numbers), field.type)) for field in schema]
        pq.write_table(pa.table(columns, schema=schema), folder / f"part-{part:06}.parquet")


def measure_build(out: Path, index: Path) -> dict[str, Any]:
    from gmixer.search.build import build_index

    began, training = time.perf_counter(), [0.0]

    def note_training(rows: int) -> None:
        training[0] = time.perf_counter()

    built = build_index([open_stored(str(out))], str(index), on_training=note_training)
    ended = time.perf_counter()
    return {
        "build_s": round(ended - began, 1),
        "of_which_training_s": round(ended - training[0], 1) if built.approximate else 0,
        "build_peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "index_MB": _bytes_in(index) // 10**6,
        "search": asdict(built.approximate) if built.approximate else "exact",
    }


def measure_queries(out: Path, index: Path, queries_QC: NDArray[np.float32]) -> dict[str, Any]:
    from gmixer.search.index import open_index

    opened = open_index(index)
    for query_C in queries_QC[:20]:  # the first ones read the files
        opened.query(query_C)
    times_ms, found = [], []
    for query_C in queries_QC:
        began = time.perf_counter()
        matches = opened.query(query_C, NEAREST)
        times_ms.append(1e3 * (time.perf_counter() - began))
        found.append({match.path for match in matches})
    judged = min(JUDGED, len(queries_QC))
    exact = exact_neighbours(out, queries_QC[:judged])
    recall = sum(len(a & b) for a, b in zip(found[:judged], exact, strict=True)) / (NEAREST * judged)
    began = time.perf_counter()
    opened.query(queries_QC[0], NEAREST, where="label = 'class 7'")
    return {
        "n": len(times_ms),
        **{f"p{p}_ms": round(float(np.percentile(times_ms, p)), 1) for p in (10, 50, 90, 99)},
        "recall@10": recall,
        "with_a_filter_ms": round(1e3 * (time.perf_counter() - began), 1),
        "query_peak_MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def exact_neighbours(out: Path, queries_QC: NDArray[np.float32]) -> list[set[str]]:
    """The paths of the nearest rows of each query, by numpy over all rows."""
    unit_QC = queries_QC / np.linalg.norm(queries_QC, axis=1, keepdims=True)
    best: list[list[tuple[float, str]]] = [[] for _ in queries_QC]
    for paths, vector_BC in _batches(out):
        cosine_QB = unit_QC @ (vector_BC / np.linalg.norm(vector_BC, axis=1, keepdims=True)).T
        top_QK = np.argpartition(-cosine_QB, min(NEAREST, cosine_QB.shape[1] - 1), axis=1)[:, :NEAREST]
        for q, top_K in enumerate(top_QK):
            best[q] += [(float(cosine_QB[q, i]), paths[i]) for i in top_K]
            best[q] = sorted(best[q], reverse=True)[:NEAREST]
    return [{path for _, path in nearest} for nearest in best]


def _batches(out: Path) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
    for batch in open_stored(str(out)).batches(["path", "vector"]):
        yield batch.column("path").to_pylist(), vectors_of(batch.column("vector"))


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--channels", type=int, default=384)
    parser.add_argument("--folder", type=Path, help="an empty folder for the files; default: a temporary one")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp())
    out, index = folder / "out", folder / "index"
    mixture = Mixture(max(1, given.rows // 300), given.channels)
    try:
        write_parts(out, mixture, given.rows, given.channels)
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:  # each call in a new process
            found = fresh.apply(measure_build, (out, index))
            queries_QC = mixture.drawn(QUERIES, seed=2**32)
            found |= fresh.apply(measure_queries, (out, index, queries_QC))
    finally:
        if not given.folder:
            shutil.rmtree(folder)
    machine = asdict(this_machine(["lancedb", "numpy", "pyarrow"]))
    print(json.dumps({"what": "search", "rows": given.rows, "channels": given.channels, **found, "machine": machine}))


if __name__ == "__main__":
    main()
